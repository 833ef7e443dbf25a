"""Ends an order of which an operator says that it never reached the exchange.

For what the exchange's lists and balances cannot prove. The operator's word alone is not enough:
the exchange is asked once more, and an order that turns up later is taken in as any other.
"""

from datetime import timedelta
from typing import Final

from service.domain.errors import AbsenceRefused, BoundaryError, NotFound
from service.domain.orders import Order, OrderStatus
from service.flows.account_book import AccountBook
from service.flows.leadership import Leadership
from service.flows.order_events import line
from service.flows.reconcile import Reconciler
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.store import Orders

BY_OPERATOR: Final = "not_placed_by_operator"
#: A request may be held on its way for nearly a minute, and execute after that. The age is told by
#: two wall clocks, of the process that wrote the order and of this one; both may be wrong.
YOUNGEST: Final = timedelta(minutes=5)


class NotPlacedOrders:
    def __init__(
        self,
        *,
        orders: Orders,
        exchange: Exchange,
        account_book: AccountBook,
        reconciler: Reconciler,
        leadership: Leadership,
        clock: MarketClock,
    ) -> None:
        self._orders = orders
        self._exchange = exchange
        self._account_book = account_book
        self._reconciler = reconciler
        self._leadership = leadership
        self._clock = clock

    async def declare(self, order_id: int, *, by: str) -> None:
        """End the order as FAILED. One that was ended so before stays as it is.

        Raises: NotFound; AbsenceRefused, with the rule; NotLeader; BoundaryError, when exchange or
            database did not answer: then nothing is stored.
        """
        self._leadership.check()
        order = await self._orders.by_id(order_id)
        if order is None:
            raise NotFound(f"there is no order {order_id}")
        if order.status is OrderStatus.FAILED and order.reason == BY_OPERATOR:
            return
        self._check_order(order)
        await self._check_exchange(order)
        # The lease may have been lost while the exchange was asked.
        self._leadership.check()
        line(order).bind(actor=by).warning("an operator says that an order was never placed")
        after = await self._reconciler.not_placed(order, reason=BY_OPERATOR)
        if after.status is not OrderStatus.FAILED:
            raise AbsenceRefused(f"order {order_id} is {after.status} now", rule="not_unknown")

    def _check_order(self, order: Order) -> None:
        """Raises: AbsenceRefused, for what the exchange had or may still get."""
        if order.status is not OrderStatus.UNKNOWN:
            raise AbsenceRefused(f"order {order.id} is {order.status}", rule="not_unknown")
        if order.is_acknowledged:
            raise AbsenceRefused(
                f"the exchange has accepted order {order.id} once", rule="acknowledged"
            )
        if self._clock.now() - order.created_at < YOUNGEST:
            raise AbsenceRefused(
                f"order {order.id} is younger than five minutes: it may still arrive",
                rule="too_young",
            )

    async def _check_exchange(self, order: Order) -> None:
        """Raises: AbsenceRefused, when the exchange knows the order; BoundaryError."""
        is_known = await self._account_book.is_listed(order)
        # The look-up comes last: what is stored next relies on an answer of this moment.
        is_known = is_known or await self._exchange.find(order.identifier) is not None
        if is_known:
            await self._settle(order)
            raise AbsenceRefused(f"the exchange has order {order.id}", rule="on_the_exchange")

    async def _settle(self, order: Order) -> None:
        try:
            await self._reconciler.settle(order)
        except BoundaryError as exc:
            # The job sync_pending_orders follows it from here.
            line(order).bind(error=type(exc).__name__, cause=str(exc)).warning(
                "the order cannot be looked up right now"
            )
