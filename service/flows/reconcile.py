"""Brings our stored orders in line with the exchange's, one by one."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Final, Protocol
from weakref import WeakValueDictionary

from loguru import logger

from service.bus import Bus, FillsFound
from service.crashpoints import crashpoint
from service.domain.account import Absence
from service.domain.errors import (
    BoundaryError,
    DomainError,
    ExchangeRefused,
    ExchangeUnavailable,
)
from service.domain.markets import Market
from service.domain.order_checks import (
    Oddity,
    PriceRange,
    Reading,
    contradiction,
    reading,
)
from service.domain.orders import (
    IDENTIFIER_PREFIX,
    OPEN,
    ZERO,
    ExchangeOrder,
    Fill,
    ListedOrder,
    Order,
    OrderStatus,
    Quarantine,
    fills_from,
)
from service.domain.trading_states import TradingStatus
from service.flows.looks import (
    ABSENT,
    DOUBT,
    FEE,
    LONG_ABSENT,
    NOTHING_LEFT,
    PERSISTS,
    Bound,
    Looks,
)
from service.flows.order_events import line, tell, tell_open
from service.ports.clock import MarketClock, RealClock
from service.ports.exchange import Exchange
from service.ports.store import Orders, TradingStates

ACTOR: Final = "system:reconcile"
#: Reasons for which a market may only be reduced until an operator has looked at it.
CONTRADICTED: Final = "order_contradicted"
RECOVERED: Final = "order_recovered"
#: Reasons of a quarantine besides the checks and oddities of domain/order_checks.py.
GONE: Final = "order_gone"  #: the exchange no longer knows an order that it had accepted
UNREADABLE: Final = "lookup_unreadable"
REFUSED: Final = "lookup_refused"
UNANSWERED: Final = "lookup_unanswered"  #: while look-ups of other orders are answered
AGAINST_BOOKS: Final = "against_our_rows"  #: the tables rule out what the exchange says
FAULT: Final = "fault_of_ours"

#: Real seconds between two looks at an order that is put aside, and between two questions whether
#: the exchange's lists explain an absence.
SELDOM_S: Final = 30.0
_BELIEVED: Final[Mapping[Oddity, Bound]] = {
    Oddity.NOTHING_LEFT: NOTHING_LEFT,
    Oddity.FEE_TRAILS: FEE,
}
_FINAL: Final = frozenset({OrderStatus.EXECUTED, OrderStatus.CANCELLED})
_NOT_ACKNOWLEDGED: Final = frozenset({OrderStatus.PENDING, OrderStatus.UNKNOWN})
_STORE_TRIES: Final = 3
#: So many look-ups in a row without an answer end a pass: more are an outage.
_UNANSWERED_MOST: Final = 2
_OF_ALL: Final = frozenset({"unreachable", "too_many_requests", "banned"})
#: No order is ever called so; whether look-ups are answered at all is asked with it.
_NO_ORDER: Final = f"{IDENTIFIER_PREFIX}none"
_AROUND: Final = timedelta(minutes=30)  #: of a trade, whose price is compared
#: A trade's instant may lie so far before its order or after our clock: clocks differ.
CLOCKS_APART: Final = timedelta(minutes=10)
_LATELY: Final = timedelta(hours=24)  #: a price of so long ago is compared where there is no other

#: Whether the exchange's open and closed lists, by our prefix, and the account's balances explain
#: that this order does not exist. Raises: BoundaryError.
ExplainsAbsence = Callable[[Order], Awaitable[Absence]]


class Prices(Protocol):
    """Satisfied by ports.MarketData."""

    async def price_range(
        self, market: Market, *, since: datetime, until: datetime
    ) -> PriceRange | None: ...

    async def newest_prices(
        self, markets: Sequence[Market], *, since: datetime
    ) -> Mapping[Market, Decimal]: ...


@dataclass(slots=True)
class _UnansweredLooks:
    """Those of one pass. Attributes: others: whether another look of it was answered."""

    found: list[tuple[Order, ExchangeUnavailable]] = field(default_factory=list)
    in_a_row: int = 0
    others: bool = False


class Reconciler:
    """Looks up our open orders by identifier and stores what the exchange says of them.

    An order is final when the exchange says so in an answer that adds up. Whatever goes wrong about
    one order concerns that order: it is put aside (`Order.quarantine`), its market may only be
    reduced, and the others are settled.

    Attributes:
        contradicted: whether an open order is put aside, or one could not even be put aside.
    """

    def __init__(
        self,
        *,
        orders: Orders,
        exchange: Exchange,
        states: TradingStates,
        bus: Bus,
        clock: MarketClock,
        real_clock: RealClock,
        prices: Prices | None = None,
        explains_absence: ExplainsAbsence | None = None,
        clocks_apart: timedelta = CLOCKS_APART,
    ) -> None:
        """Args:
        prices: None: the prices of market orders are not compared.
        explains_absence: None: an order is never given up because it is not found.
        """
        self._orders = orders
        self._exchange = exchange
        self._states = states
        self._bus = bus
        self._clock = clock
        self._real_clock = real_clock
        self._prices = prices
        self._explains_absence = explains_absence
        self._clocks_apart = clocks_apart
        self.contradicted = False
        self._looks = Looks()
        self._told: set[str] = set()  #: orders of a kind that is never sent here
        self._stuck: set[str] = set()  #: could not even be put aside in this pass
        self._not_before: dict[str, float] = {}  #: of seldom looks, `RealClock.monotonic()`
        self._looked_at: dict[str, float] = {}
        self._in_hand: set[str] = set()
        self._untold: set[str] = set()  #: orders of which fills may be booked and were not told
        #: One for each order that is being looked up; without a user it is dropped.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def take(self, identifier: str) -> None:
        """Skip this order in `reconcile`: the executor is sending or following it."""
        self._in_hand.add(identifier)

    async def left_open(self, order: Order) -> None:
        """Have the open orders looked up soon: what became of this one could not be stored."""
        await tell_open(self._bus, order)

    def let_go(self, identifier: str) -> None:
        self._in_hand.discard(identifier)

    # --- what is looked up ----------------------------------------------------------------

    async def reconcile(self, *, within_s: float = inf) -> int:
        """Look up every open order; return how many reached another status.

        An order whose look-ups alone stay without an answer is put aside, and the others go on.

        Args:
            within_s: real seconds after which the rest is left to the next pass, which begins with
                it.
        Raises: BoundaryError, when exchange or database did not answer.
        """
        moved, contradicted, unanswered = 0, False, _UnansweredLooks()
        self._stuck.clear()
        until = self._real_clock.monotonic() + within_s
        for order in self._longest_unseen(await self._orders.open()):
            if order.identifier in self._in_hand:
                continue
            if self._real_clock.monotonic() > until:
                break
            self._looked_at[order.identifier] = self._real_clock.monotonic()
            if order.quarantine is not None and not self._is_due(order.identifier):
                contradicted = True
                continue
            settled = await self._settle_one(order, unanswered)
            if unanswered.in_a_row == _UNANSWERED_MOST:
                break
            if settled is None:
                continue
            crashpoint("reconcile.mid")
            moved += settled.status is not order.status
            contradicted = contradicted or settled.quarantine is not None
        try:
            contradicted = await self._judge(unanswered) or contradicted
        finally:
            self.contradicted = contradicted or bool(self._stuck)
        return moved

    async def _settle_one(self, order: Order, unanswered: _UnansweredLooks) -> Order | None:
        """Settle `order`; None, noted in `unanswered`, when its look-up is not answered."""
        try:
            settled = await self.settle(order)
        except ExchangeUnavailable as exc:
            if not _may_be_of_one_order(exc):
                raise
            unanswered.found.append((order, exc))
            unanswered.in_a_row += 1
            return None
        unanswered.in_a_row, unanswered.others = 0, True
        return settled

    async def _judge(self, unanswered: _UnansweredLooks) -> bool:
        """Return whether an order is aside because its look-ups stay without an answer.

        Raises: BoundaryError, in an outage, or until each of them is aside.
        """
        if not unanswered.found:
            return False
        if not unanswered.others:
            await self._exchange.find(_NO_ORDER)  # raises in an outage
        afters = [(await self._unanswered(order, exc), exc) for order, exc in unanswered.found]
        for after, exc in afters:
            if after.quarantine is None or unanswered.in_a_row == _UNANSWERED_MOST:
                raise exc
        return True

    async def _unanswered(self, order: Order, error: ExchangeUnavailable) -> Order:
        """Count a look without an answer, while others are answered, against its order."""
        self._count(order, UNANSWERED, cause=str(error))
        if order.quarantine is None and self._reached(order, PERSISTS):
            return await self._put_aside(order, UNANSWERED, {})
        return order

    def _longest_unseen(self, found: Sequence[Order]) -> Sequence[Order]:
        """Return the orders in the order of their last look; those of equal age as they are."""
        identifiers = {order.identifier for order in found}
        self._looked_at = {name: at for name, at in self._looked_at.items() if name in identifiers}
        return sorted(found, key=lambda order: self._looked_at.get(order.identifier, -inf))

    async def settle(self, order: Order) -> Order:
        """Look `order` up at the exchange; return it as stored afterwards.

        One look at one order at a time: of two answers the older one could be stored last.

        Raises: BoundaryError, for an outage; anything else about this order puts it aside.
        """
        lock = self._locks.setdefault(order.identifier, asyncio.Lock())
        is_looked_up = lock.locked()
        async with lock:
            if is_looked_up:  # and stored meanwhile, so `order` is of before that
                order = await self._orders.find(order.identifier) or order
            return await self._settle(order)

    async def _settle(self, order: Order) -> Order:
        if order.quarantine is not None:
            self._look_seldom(order.identifier)
        try:
            seen = await self._exchange.find(order.identifier)
            if seen is None:
                return await self._absent(order)
            return await self.absorb(order, seen)
        except BoundaryError as exc:
            if not _is_of_one_order(exc):
                raise
            word = REFUSED if isinstance(exc, ExchangeRefused) else UNREADABLE
            return await self._look_again(order, word, cause=str(exc))
        except Exception as exc:  # noqa: BLE001 - a bug about one order must not stop the others
            return await self._failed_about(order, exc)

    async def look(self, identifier: str) -> None:
        """Look up an open order of which the exchange has news, unless the executor follows it.

        Raises: BoundaryError, for an outage.
        """
        if identifier in self._in_hand:
            return
        order = await self._orders.find(identifier)
        if order is not None and order.status in OPEN and order.quarantine is None:
            await self.settle(order)

    async def take_in(self, listed: ListedOrder) -> Order | None:
        """Bring our rows in line with an order of ours in the exchange's lists, and return it.

        One without a row gets one, and one that counts as failed is on the book again: both are
        RECOVERED, alert, and let their market only be reduced. A final one that disagrees gets the
        fills and the fee that it lacks. None: it is being sent right now, or is of a kind that this
        service never sends.

        Raises: BoundaryError.
        """
        identifier = listed.order.identifier
        if identifier is None or identifier in self._in_hand:
            return None
        order = await self._orders.find(identifier)
        if order is None and listed.intent is None:
            await self._never_sent(identifier, listed.order.market)
            return None
        if order is None and listed.intent is not None:
            await self._reduce(
                listed.order.market, RECOVERED, {"identifier": identifier, "row": "none"}
            )
            order = await self._orders.adopt(
                listed.intent,
                identifier=identifier,
                exchange_uuid=listed.order.uuid,
                made_at=listed.order.created_at,
                at=self._clock.now(),
            )
            crashpoint("reconcile.adopted")
            line(order).error("the exchange has an order of ours that had no row")
        return None if order is None else await self._settle_listed(order)

    async def _settle_listed(self, order: Order) -> Order:
        try:
            return await self.settle(order)
        except ExchangeUnavailable as exc:
            if not _may_be_of_one_order(exc):
                raise
            await self._exchange.find(_NO_ORDER)  # else an outage: raises
            after = await self._unanswered(order, exc)
            if after.quarantine is None:
                raise
            return after

    async def _never_sent(self, identifier: str, market: Market) -> None:
        """Let the market only be reduced, once: after a resume the lists still show the order."""
        if identifier in self._told:
            return
        detail = {"identifier": identifier, "row": "never_sent"}
        await self._reduce(market, RECOVERED, detail)
        self._told.add(identifier)
        logger.bind(event="order", identifier=identifier, market=str(market)).error(
            "the exchange has an order under our prefix that this service cannot have sent"
        )

    # --- what the exchange answered -------------------------------------------------------

    async def accepted(self, order: Order, seen: ExchangeOrder) -> Order:
        """Store the answer to the request: the order is on the book, and that is all it proves.

        The real exchange answers `wait` before it matches, so nothing else is believed of it: a
        final state here would never be looked up again.
        """
        return await self.acknowledged(order, uuid=seen.uuid)

    async def acknowledged(self, order: Order, *, uuid: str | None) -> Order:
        """Store that the exchange has taken the order, which it calls `uuid`."""
        after = order.moved_to(OrderStatus.SUBMITTED)
        return await self._store(order, replace(after, exchange_uuid=uuid))

    async def absorb(self, order: Order, seen: ExchangeOrder) -> Order:
        """Store the exchange's answer to a look-up: new fills once, fee, status, position.

        Raises: BoundaryError.
        """
        for _ in range(_STORE_TRIES):
            settled = await self._absorbed(order, seen)
            if settled is not None:
                return settled
            # Another process, or a request's outcome, moved the row: this answer may be older.
            order = await self._orders.find(order.identifier) or order
            again = await self._exchange.find(order.identifier)
            if again is None:
                return await self._absent(order)
            seen = again
        line(order).warning("an order moves each time it is looked up; the next pass tries again")
        return order

    async def _absorbed(self, order: Order, seen: ExchangeOrder) -> Order | None:
        """Return None, with nothing stored, when the order's row is not as `order` any more."""
        known = await self._orders.fills(order.id)
        prices = await self._prices_at(order, seen, known)
        found = contradiction(
            order,
            seen,
            known,
            prices=prices,
            between=(
                order.created_at - self._clocks_apart,
                self._clock.now() + self._clocks_apart,
            ),
        )
        if found is not None:
            return await self._put_aside(order, found.check.value, found.numbers)
        what = reading(order, seen, known)
        if what.oddity is None:
            self._looks.forget(order.identifier)
            return await self._write(order, seen, what, what.status, known)
        self._count(order, what.oddity.value, of=seen)
        bound = _BELIEVED.get(what.oddity)
        if bound is not None and self._reached(order, bound):
            return await self._write(order, seen, what, what.status, known)
        return await self._doubted(order, seen, what, what.oddity, known)

    async def _doubted(
        self,
        order: Order,
        seen: ExchangeOrder,
        what: Reading,
        oddity: Oddity,
        known: Sequence[Fill],
    ) -> Order | None:
        """Store what is certain of an answer that cannot be final; see `_absorbed`."""
        if order.quarantine is not None:
            return order  # stays aside until an answer adds up
        is_older = oddity is Oddity.KNOWS_LESS
        if self._reached(order, PERSISTS) and (is_older or order.is_open):
            return await self._put_aside(order, oddity.value, what.numbers)
        if is_older or order.status in _FINAL:
            return order
        return await self._write(order, seen, what, what.cautious_status, known)

    async def _write(
        self,
        order: Order,
        seen: ExchangeOrder,
        what: Reading,
        status: OrderStatus,
        known: Sequence[Fill],
    ) -> Order | None:
        fills: tuple[Fill, ...] = ()
        paid_fee: Decimal | None = None
        if what.adds_up:
            fills = fills_from(seen.trades, paid_fee=seen.paid_fee, known=known)
            paid_fee = seen.paid_fee if known or fills else None
        if order.status is OrderStatus.PARTIALLY_FILLED and status is OrderStatus.SUBMITTED:
            status = order.status  # an answer may be older than the last one: no step back
        is_booked = not fills and paid_fee in {None, sum((fill.fee for fill in known), ZERO)}
        if status is order.status and is_booked and order.exchange_uuid == seen.uuid:
            await self._tell_found(order)
            return order
        if order.status is OrderStatus.FAILED:
            await self._reduce(order.market, RECOVERED, _numbers_of(order, seen))
            after = order.recovered(status)
        else:
            after = order.moved_to(status)
        after = replace(
            _with_fills(after, (*known, *fills), paid_fee=paid_fee), exchange_uuid=seen.uuid
        )
        try:
            is_stored = await self._advance(order, after, fills=fills, paid_fee=paid_fee)
        except BoundaryError:
            if fills:
                self._untold.add(order.identifier)
            raise
        if not is_stored:
            return None
        crashpoint("fill.after_commit")
        self._untold.discard(order.identifier)
        await tell(self._bus, order, after, fills)
        return after

    async def _tell_found(self, order: Order) -> None:
        """Tell once that the fills of a COMMIT without an answer are stored after all."""
        if order.identifier in self._untold:
            self._untold.discard(order.identifier)
            await self._bus.publish(FillsFound(market=order.market, side=order.intent.side))

    async def _prices_at(
        self, order: Order, seen: ExchangeOrder, known: Sequence[Fill]
    ) -> PriceRange | None:
        """Return what a market order's new trades are compared with. Raises: BoundaryError."""
        booked = {fill.trade_uuid for fill in known}
        at = [trade.traded_at for trade in seen.trades if trade.uuid not in booked]
        if self._prices is None or order.intent.price is not None or not at:
            return None
        collected = await self._prices.price_range(
            order.market, since=min(at) - _AROUND, until=max(at) + _AROUND
        )
        return collected or await self._newest_price(self._prices, order.market)

    async def _newest_price(self, prices: Prices, market: Market) -> PriceRange:
        """Return the newest collected price, or where there is none lately the exchange's."""
        newest = await prices.newest_prices([market], since=self._clock.now() - _LATELY)
        price = newest.get(market)
        if price is None:
            (ticker,) = await self._exchange.tickers([market])
            price = ticker.price
        return PriceRange(low=price, high=price)

    # --- what cannot be believed ----------------------------------------------------------

    async def _look_again(self, order: Order, word: str, *, cause: str | None = None) -> Order:
        """Count a look without an answer; the order is put aside when that goes on."""
        self._count(order, word, cause=cause)
        if order.is_open and order.quarantine is None and self._reached(order, PERSISTS):
            return await self._put_aside(order, word, {})
        return order

    def _count(
        self, order: Order, word: str, *, of: ExchangeOrder | None = None, cause: str | None = None
    ) -> None:
        """Count a look that settled nothing; the first of a run is a warning."""
        looks = self._looks.count(
            order.identifier, _finding(word, of), at=self._real_clock.monotonic()
        )
        if looks == 1:
            line(order).bind(oddity=word, cause=cause).warning(
                "what the exchange says of an order cannot be final, it is looked up again"
            )

    def _reached(self, order: Order, bound: Bound) -> bool:
        return self._looks.reached(order.identifier, bound, at=self._real_clock.monotonic())

    async def _failed_about(self, order: Order, error: Exception) -> Order:
        """Put the order aside whose settling failed. No text of a foreign error is logged."""
        known = isinstance(error, DomainError)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        line(order).bind(
            error=type(error).__name__,
            cause=str(error) if known else f"{frame.name}:{frame.lineno}",
        ).error("an order cannot be settled, it is put aside")
        try:
            return await self._put_aside(order, AGAINST_BOOKS if known else FAULT, {})
        except BoundaryError:
            raise
        except Exception as exc:  # noqa: BLE001 - see settle
            line(order).bind(error=type(exc).__name__).critical(
                "an order can be neither settled nor put aside, it stays open"
            )
            self._stuck.add(order.identifier)
            return order

    async def _put_aside(self, order: Order, reason: str, detail: Mapping[str, str]) -> Order:
        self._look_seldom(order.identifier)
        if order.quarantine is not None and order.quarantine.reason == reason:
            return order
        # First the market: a crash between the two repeats both.
        whole = {"identifier": order.identifier, "reason": reason, **detail}
        await self._reduce(order.market, CONTRADICTED, whole)
        at = self._clock.now()
        after = order.put_aside(Quarantine(at=at, reason=reason, detail=detail))
        if not await self._orders.advance(after, seen=order.status, at=at):
            return await self._orders.find(order.identifier) or order
        await tell(self._bus, order, after)
        return after

    async def _reduce(self, market: Market, reason: str, detail: Mapping[str, str]) -> None:
        """Let `market` only be reduced until an operator has looked; a repeat changes nothing."""
        await self._states.halt(
            kind=TradingStatus.REDUCING,
            reason=reason,
            actor=ACTOR,
            at=self._clock.now(),
            detail=detail,
            market=market,
        )

    def _is_due(self, what: str) -> bool:
        return self._real_clock.monotonic() >= self._not_before.get(what, 0.0)

    def _look_seldom(self, what: str) -> None:
        self._not_before[what] = self._real_clock.monotonic() + SELDOM_S

    # --- what the exchange does not know --------------------------------------------------

    async def _absent(self, order: Order) -> Order:
        if order.status is OrderStatus.FAILED:
            return order
        if order.status not in _NOT_ACKNOWLEDGED or order.is_acknowledged:
            return await self._look_again(order, GONE)
        self._looks.count(order.identifier, GONE, at=self._real_clock.monotonic())
        if order.status is OrderStatus.PENDING and self._reached(order, DOUBT):
            order = await self.unknown(order)  # so that health and alerts tell of it
        if not self._reached(order, ABSENT):
            return order
        if not await self._is_proved(order):
            return order
        return await self.not_placed(order, reason="not_placed")

    async def _is_proved(self, order: Order) -> bool:
        """Ask for a proof that the order does not exist: look-ups alone are none."""
        question = f"absence of {order.identifier}"
        if self._explains_absence is None or not self._is_due(question):
            return False
        self._look_seldom(question)
        try:
            absence = await self._explains_absence(order)
        except BoundaryError as exc:
            line(order).bind(error=type(exc).__name__, cause=str(exc)).warning(
                "the exchange's lists cannot be read, the order stays unknown"
            )
            return False
        if absence is Absence.ONE_SIDED:
            # What was answered about the order once, true or not, is more than a lag.
            return order.quarantine is None and self._reached(order, LONG_ABSENT)
        return absence is Absence.EXPLAINED

    async def not_placed(self, order: Order, *, reason: str) -> Order:
        """Store that the order never reached the exchange; return it as stored afterwards."""
        self._looks.forget(order.identifier)
        return await self._store(order, order.moved_to(OrderStatus.FAILED, reason=reason))

    # --- what the executor knows ----------------------------------------------------------

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

    async def _store(self, before: Order, after: Order) -> Order:
        if not await self._advance(before, after):
            # Another pass moved it first; its answer is as true as ours.
            return await self._orders.find(before.identifier) or before
        crashpoint("outcome.after_commit")
        await tell(self._bus, before, after)
        return after

    async def _advance(
        self,
        before: Order,
        after: Order,
        *,
        fills: Sequence[Fill] = (),
        paid_fee: Decimal | None = None,
    ) -> bool:
        return await self._orders.advance(
            after, seen=before.status, fills=fills, paid_fee=paid_fee, at=self._clock.now()
        )


def _with_fills(order: Order, fills: Sequence[Fill], *, paid_fee: Decimal | None) -> Order:
    """Return the order with the sums of its fills, as its row has them."""
    fee = sum((fill.fee for fill in fills), ZERO)
    return replace(
        order,
        executed_volume=sum((fill.volume for fill in fills), ZERO),
        executed_funds=sum((fill.funds for fill in fills), ZERO),
        paid_fee=fee if paid_fee is None else paid_fee,
    )


def _finding(word: str, seen: ExchangeOrder | None) -> object:
    """Return what has to be the same in each look; a moving order is not odd for long."""
    return word, None if seen is None else (seen.executed_volume, seen.paid_fee, len(seen.trades))


def _numbers_of(order: Order, seen: ExchangeOrder) -> Mapping[str, str]:
    return {
        "identifier": order.identifier,
        "failed_for": order.reason or "",
        "executed_volume": f"{seen.executed_volume:f}",
    }


def _is_of_one_order(error: BoundaryError) -> bool:
    """Whether `error` concerns one order only: anything but an outage."""
    if isinstance(error, ExchangeRefused):
        return not error.of_account
    return error.code == "bad_answer"


def _may_be_of_one_order(error: ExchangeUnavailable) -> bool:
    """Whether other look-ups may be answered although this one was not: no ban, hold or limit."""
    return error.sent and error.code not in _OF_ALL
