"""Brings our stored orders in line with the exchange's, one by one."""

from dataclasses import dataclass, replace
from typing import Final

from loguru import logger

from service.bus import Bus, OrderFilled, OrderMoved
from service.domain.errors import BoundaryError, DomainError, ExchangeRefused, ServiceError
from service.domain.orders import (
    ZERO,
    ExchangeOrder,
    Fill,
    Order,
    OrderStatus,
    fills_from,
    status_on_exchange,
)
from service.ports.clock import MarketClock, RealClock
from service.ports.exchange import Exchange
from service.ports.store import Orders

#: An order unknown to the exchange may still be on its way to the book. It counts as never
#: placed after so many searches over at least so many real seconds.
ABSENT_AFTER_SEARCHES: Final = 3
ABSENT_AFTER_S: Final = 30.0

_FINAL: Final = frozenset({OrderStatus.EXECUTED, OrderStatus.CANCELLED})


@dataclass(slots=True)
class _Search:
    since: float  #: `RealClock.monotonic()` of the first search that found nothing
    count: int = 0


class Reconciler:
    """Looks up our open orders by identifier and stores what the exchange says of them.

    Attributes:
        contradicted: whether the last complete pass found an answer that our records rule out.
    """

    def __init__(
        self,
        *,
        orders: Orders,
        exchange: Exchange,
        bus: Bus,
        clock: MarketClock,
        real_clock: RealClock,
    ) -> None:
        self._orders = orders
        self._exchange = exchange
        self._bus = bus
        self._clock = clock
        self._real_clock = real_clock
        self.contradicted = False
        self._searches: dict[str, _Search] = {}
        self._in_hand: set[str] = set()

    def take(self, identifier: str) -> None:
        """Skip this order in `reconcile`: the executor is sending or following it."""
        self._in_hand.add(identifier)

    def let_go(self, identifier: str) -> None:
        self._in_hand.discard(identifier)

    async def reconcile(self) -> int:
        """Look up every open order; return how many reached another status.

        Raises: BoundaryError, when exchange or database did not answer; after all orders, the
            first error that concerns one order only.
        """
        moved = 0
        odd: list[ServiceError] = []
        for order in await self._orders.open():
            if order.identifier in self._in_hand:
                continue
            try:
                moved += (await self.settle(order)).status is not order.status
            except (BoundaryError, DomainError) as exc:
                if not _is_of_one_order(exc):
                    raise
                logger.bind(
                    event="order",
                    identifier=order.identifier,
                    error=type(exc).__name__,
                    cause=str(exc),
                ).warning("the order cannot be settled")
                odd.append(exc)
        self.contradicted = any(isinstance(exc, DomainError) for exc in odd)
        if odd:
            raise odd[0]
        return moved

    async def settle(self, order: Order) -> Order:
        """Look `order` up at the exchange; return it as stored afterwards."""
        seen = await self._exchange.find(order.identifier)
        if seen is None:
            return await self._absent(order)
        self._searches.pop(order.identifier, None)
        return await self.absorb(order, seen)

    async def absorb(self, order: Order, seen: ExchangeOrder) -> Order:
        """Store the exchange's answer on `order`: new fills once, status, position."""
        known = await self._orders.fills(order.id)
        fills = fills_from(seen.trades, paid_fee=seen.paid_fee, known=known)
        status = status_on_exchange(seen, order.intent)
        booked = sum((fill.volume for fill in (*known, *fills)), ZERO)
        if status in _FINAL and booked != seen.executed_volume:
            # The trades trail the order: it is final once they add up to the executed volume.
            logger.bind(event="order", identifier=order.identifier).warning(
                "the exchange's trades do not explain the executed volume yet"
            )
            status = OrderStatus.PARTIALLY_FILLED if booked else OrderStatus.SUBMITTED
        if order.status is OrderStatus.PARTIALLY_FILLED and status is OrderStatus.SUBMITTED:
            status = order.status  # an answer may be older than the last one: no step back
        if status is order.status and not fills and order.exchange_uuid == seen.uuid:
            return order
        moved = replace(order.moved_to(status), exchange_uuid=seen.uuid)
        return await self._store(order, moved, fills)

    async def _absent(self, order: Order) -> Order:
        now = self._real_clock.monotonic()
        search = self._searches.setdefault(order.identifier, _Search(since=now))
        search.count += 1
        if order.status not in {OrderStatus.PENDING, OrderStatus.UNKNOWN}:
            logger.bind(event="order", identifier=order.identifier).error(
                "the exchange no longer knows an order it had accepted"
            )
            return order
        if search.count < ABSENT_AFTER_SEARCHES or now - search.since < ABSENT_AFTER_S:
            return order
        del self._searches[order.identifier]
        return await self._store(order, order.moved_to(OrderStatus.FAILED, reason="not_placed"))

    async def refused(self, order: Order, error: ExchangeRefused) -> Order:
        """Store that the exchange refused: the order was certainly never on the book."""
        reason = error.code or "refused"
        return await self._store(order, order.moved_to(OrderStatus.FAILED, reason=reason))

    async def unsent(self, order: Order, *, reason: str = "not_sent") -> Order:
        """Store that the request was certainly not sent."""
        return await self._store(order, order.moved_to(OrderStatus.FAILED, reason=reason))

    async def unknown(self, order: Order) -> Order:
        """Store that it is not known yet whether the order is on the book."""
        return await self._store(order, order.moved_to(OrderStatus.UNKNOWN))

    async def _store(self, before: Order, after: Order, fills: tuple[Fill, ...] = ()) -> Order:
        stored = await self._orders.advance(
            after, seen=before.status, fills=fills, at=self._clock.now()
        )
        if not stored:
            return before  # another pass moved it first; its answer is as true as ours
        await self._tell(before, after, fills)
        return after

    async def _tell(self, before: Order, after: Order, fills: tuple[Fill, ...]) -> None:
        intent = after.intent
        line = logger.bind(
            event="order",
            market=str(intent.market),
            order_id=after.id,
            identifier=after.identifier,
            side=intent.side.value,
            type=intent.type.value,
            status=after.status.value,
            reason=after.reason,
            fills=len(fills),
        )
        bad = after.status in {OrderStatus.FAILED, OrderStatus.UNKNOWN}
        line.log("WARNING" if bad else "INFO", "order")
        if fills:
            await self._bus.publish(
                OrderFilled(
                    order_id=after.id,
                    identifier=after.identifier,
                    market=intent.market,
                    side=intent.side,
                    volume=sum((fill.volume for fill in fills), ZERO),
                    funds=sum((fill.funds for fill in fills), ZERO),
                    fills=fills,
                )
            )
        if after.status is not before.status:
            await self._bus.publish(
                OrderMoved(
                    order_id=after.id,
                    identifier=after.identifier,
                    market=intent.market,
                    side=intent.side,
                    status=after.status,
                    reason=after.reason,
                )
            )


def _is_of_one_order(error: ServiceError) -> bool:
    """Whether `error` concerns one order only: anything but an outage."""
    if isinstance(error, BoundaryError):
        return isinstance(error, ExchangeRefused) or error.code == "bad_answer"
    return True
