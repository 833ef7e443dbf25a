"""Sales by a rule while the database is away: in the exit journal first, sent once, stored later.

The order of things is that of `Executor`, with the file in the place of the table. What is in the
file and not in the tables is stored before this process trades again, and settled as any order.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from loguru import logger

from service.crashpoints import crashpoint
from service.domain.errors import (
    BoundaryError,
    DomainError,
    DuplicateOrder,
    ExchangeRefused,
    ExchangeUnavailable,
    JournalDown,
    NotLeader,
    OutcomeUnknown,
    SendRefused,
    StoreTimeout,
    TradingStopped,
)
from service.domain.markets import Market
from service.domain.orders import (
    OPEN,
    ZERO,
    Breach,
    ExchangeOrder,
    Intent,
    Order,
    OrderStatus,
    SendOutcome,
    Sent,
    Side,
    status_on_exchange,
)
from service.domain.trading_states import OrderSource
from service.flows.execute import FOLLOW_UP_S, SEND_WITHIN_S
from service.flows.leadership import Leadership
from service.flows.looks import Looks
from service.flows.open_sales import OpenSales
from service.flows.reconcile import Reconciler
from service.flows.sale_looks import is_final
from service.flows.trading_switch import TradingSwitch
from service.ports.clock import MarketClock, RealClock
from service.ports.exchange import Exchange
from service.ports.exit_journal import ExitJournal, JournaledExit
from service.ports.store import Orders

if TYPE_CHECKING:
    from loguru import Logger

LOOK_EVERY_S: Final = 1.0
#: Real seconds that a hung database may hold up the look-ups of what was sent without a row.
STORE_WITHIN_S: Final = 3.0
NO_ROW: Final = 0  #: `Order.id` of an order whose row is not written yet
#: Why a position is unprotected; a closed list.
LEASE_LAPSED: Final = "lease_lapsed"
JOURNAL_DOWN: Final = "journal_down"
TRADING_STOPPED: Final = "trading_stopped"

#: Real seconds for which a position counts as unprotected after a sale that could not leave.
TOLD_FOR_S: Final = 30.0

#: Told of every position that is unprotected now, and why.
Tell = Callable[[Mapping[Market, str]], None]


@dataclass(slots=True)
class _Unstored:
    """An order of the file.

    Attributes:
        order: as it is known here; its fills are not, and are never believed from here.
        is_in_hand: being sent right now.
    """

    entry: JournaledExit
    order: Order
    is_in_hand: bool = False


class UnstoredOrders:
    def __init__(
        self,
        *,
        journal: ExitJournal,
        orders: Orders,
        exchange: Exchange,
        reconciler: Reconciler,
        leadership: Leadership,
        trading_switch: TradingSwitch,
        open_sales: OpenSales,
        clock: MarketClock,
        real_clock: RealClock,
        is_alone: bool,
        tell: Tell,
        tell_damage: Callable[[str], None],
    ) -> None:
        """Args:
        is_alone: no process trades but the one that has taken the journal: every process of the
            embedded server shares its folder. Then a lapsed lease is nobody else's.
        tell_damage: called with the cause when the file is found damaged.
        """
        self._journal = journal
        self._orders = orders
        self._exchange = exchange
        self._reconciler = reconciler
        self._leadership = leadership
        self._switch = trading_switch
        self._open_sales = open_sales
        self._clock = clock
        self._real_clock = real_clock
        self._is_alone = is_alone
        self._tell = tell
        self._tell_damage = tell_damage
        self._unstored: dict[str, _Unstored] = {}
        self._looks = Looks()
        self._is_loaded = False
        self._is_damaged = False
        self._unprotected: dict[Market, str] = {}
        self._failed_at: dict[Market, float] = {}  #: the last sale that could not leave
        self._storing = asyncio.Lock()

    # --- before this process trades -------------------------------------------------------------

    async def load(self) -> None:
        """Read what the last process left; call it before anything looks at orders.

        Never fails: another process may write the file, and the leader tries again in `begin`.
        """
        try:
            await self._journal.take()
        except JournalDown as exc:
            logger.bind(event="order", cause=str(exc)).info("the exit journal is not ours to read")
            return
        await self._read()

    async def begin(self) -> None:
        """Become the journal's writer and store what it holds, before this process trades.

        Raises: JournalDown, where another process may send orders without a row; the errors of the
            store.
        """
        try:
            await self._journal.take()
        except JournalDown as exc:
            if self._is_alone:
                raise
            logger.bind(event="order", cause=str(exc)).warning(
                "the exit journal cannot be used: while the database is away nothing is sold"
            )
            return
        if not self._is_loaded:
            await self._read()
        await self.store()

    async def stand_by(self) -> None:
        """Let the next leader have the file, once nothing of this process is in it."""
        if self._is_loaded and not self._unstored:
            self._is_loaded = False
            await self._journal.let_go()

    async def close(self) -> None:
        """Let the next process have the file, whatever is in it: this one sends nothing more."""
        self._is_loaded = False
        await self._journal.let_go()

    async def _read(self) -> None:
        content = await self._journal.read()
        self._is_loaded = True
        if content.is_torn:
            logger.bind(event="order").warning(
                "the last line of the exit journal is not whole: its order was never sent"
            )
        if content.fault is not None:
            logger.bind(event="order", cause=content.fault).error(
                "the exit journal is damaged: the sweep finds an order that is missing from it"
            )
            self._is_damaged = True
            self._tell_damage(content.fault)
        for entry in content.unsettled:
            if entry.identifier not in self._unstored:
                self._add(entry)
        if content.unsettled:
            logger.bind(event="order", orders=len(content.unsettled)).warning(
                "orders were sent while the database was away, they are stored first"
            )

    # --- selling --------------------------------------------------------------------------------

    @property
    def is_needed(self) -> bool:
        """Whether the tables take no order of this process, since its lease has lapsed."""
        return self._leadership.has_lapsed

    async def sell(self, intent: Intent, *, identifier: str, breach: Breach) -> Order:
        """Write a rule's sale to the file, send it once, and return it as it is after a few looks.

        Its `id` is NO_ROW.

        Args:
            intent: of coins that are held and in no open sale.
            identifier: that of an insert whose outcome is not known: it is the same order.
        Raises: NotLeader, when another process may trade; TradingStopped; JournalDown;
            DuplicateOrder, while an order of the market has no row; ExchangeUnavailable, while it
            asked for no orders. Then nothing was sent, and where nothing else can sell either, an
            alert says so.
        """
        market = intent.market
        self._check_only(market)
        try:
            epoch = self._leadership.unstored_epoch(is_alone=self._is_alone)
            self._switch.check(source=OrderSource.RULE, side=intent.side, market=market)
            self._exchange.check_orders()
            # Before anything is waited for, so that nothing else takes these coins or this order.
            entry = self._entry(intent, identifier=identifier, breach=breach, epoch=epoch)
            unstored = self._add(entry)
            unstored.is_in_hand = True
            try:
                await self._write(unstored)
                await self._send(unstored, epoch=epoch)
                self._failed_at.pop(market, None)
                self._take({one: why for one, why in self._unprotected.items() if one != market})
                await self._follow(unstored)
            finally:
                unstored.is_in_hand = False
        except (NotLeader, TradingStopped, JournalDown) as exc:
            self._failed_at[market] = self._real_clock.monotonic()
            self._take(self._unprotected | {market: _why(exc)})
            raise
        return unstored.order

    def _check_only(self, market: Market) -> None:
        """Raises: DuplicateOrder; one after the other is looked up before the next is sized."""
        if any(one.order.market == market and one.order.is_open for one in self._unstored.values()):
            raise DuplicateOrder(f"an order for {market} is open and has no row yet")

    def _entry(
        self, intent: Intent, *, identifier: str, breach: Breach, epoch: int
    ) -> JournaledExit:
        if intent.side is not Side.SELL:
            raise ValueError("without the database nothing is bought")
        return JournaledExit(
            identifier=identifier,
            intent=intent,
            breach=breach,
            epoch=epoch,
            at=self._clock.now(),
        )

    async def _write(self, unstored: _Unstored) -> None:
        entry = unstored.entry
        try:
            # On the disk before it is sent: after a crash every order on the book is looked up.
            await self._journal.append(entry)
        except JournalDown:
            self._drop(unstored)
            self._open_sales.let_go(entry.identifier, None)
            raise
        crashpoint("exit.journaled")
        _line(entry).warning("the database is away, a rule's sale is sent from the exit journal")

    def _add(self, entry: JournaledExit) -> _Unstored:
        """Have everything else leave this order alone until it has a row."""
        order = Order(
            id=NO_ROW,
            identifier=entry.identifier,
            intent=entry.intent,
            status=OrderStatus.PENDING,
            decision_id=None,
            created_at=entry.at,
            sent_at=entry.at,
            rule=entry.breach.rule,
        )
        unstored = _Unstored(entry=entry, order=order)
        self._unstored[entry.identifier] = unstored
        # Else the sweep would adopt it as an order that lost its row, and halt the market.
        self._reconciler.take(entry.identifier)
        self._open_sales.begin(entry.identifier, entry.intent, source=OrderSource.RULE)
        self._learn(unstored, entry.sent)
        return unstored

    def _drop(self, unstored: _Unstored) -> None:
        """Leave an order of the tables, or one that was never sent, to everything else."""
        identifier = unstored.entry.identifier
        self._unstored.pop(identifier, None)
        self._looks.forget(identifier)
        self._reconciler.let_go(identifier)

    async def _send(self, unstored: _Unstored, *, epoch: int) -> None:
        entry = unstored.entry
        check = partial(
            self._check_send,
            entry.intent,
            epoch=epoch,
            written_at=self._real_clock.monotonic(),
        )
        sent = await _sent_once(self._exchange, entry, before_send=check)
        self._learn(unstored, sent)
        try:
            await self._journal.note(entry.identifier, sent)
        except JournalDown as exc:
            # Without this line it is looked up, as after a crash.
            _line(entry).bind(cause=str(exc)).warning("an outcome could not be written to the file")
        crashpoint("exit.noted")

    def _check_send(self, intent: Intent, *, epoch: int, written_at: float) -> None:
        """Raises: SendRefused, unless the order may leave at this moment."""
        if self._real_clock.monotonic() - written_at > SEND_WITHIN_S:
            raise SendRefused("too long after it was written", reason="too_late")
        try:
            held = self._leadership.unstored_epoch(is_alone=self._is_alone)
            self._switch.check(source=OrderSource.RULE, side=intent.side, market=intent.market)
        except NotLeader as exc:
            raise SendRefused(str(exc), reason="lease_lost") from exc
        except TradingStopped as exc:
            raise SendRefused(str(exc), reason="trading_stopped") from exc
        if held != epoch:
            raise SendRefused("the trading lease was lost meanwhile", reason="lease_lost")

    def _learn(self, unstored: _Unstored, sent: Sent | None) -> None:
        if sent is None:
            return
        unstored.entry = replace(unstored.entry, sent=sent)
        order = unstored.order
        match sent.outcome:
            case SendOutcome.ACCEPTED:
                order = order.moved_to(OrderStatus.SUBMITTED)
                order = replace(order, exchange_uuid=sent.exchange_uuid)
            case SendOutcome.UNKNOWN:
                order = order.moved_to(OrderStatus.UNKNOWN)
            case SendOutcome.REFUSED | SendOutcome.UNSENT:
                order = order.moved_to(OrderStatus.FAILED, reason=sent.reason)
                # It certainly sold nothing: its coins may be sold by the next one.
                self._open_sales.let_go(order.identifier, None)
        unstored.order = order

    # --- while the database is away -------------------------------------------------------------

    async def _follow(self, unstored: _Unstored) -> None:
        for wait_s in FOLLOW_UP_S:
            if not unstored.order.is_open:
                return
            await self._real_clock.sleep_real(wait_s)
            await self._look(unstored)

    async def _look(self, unstored: _Unstored) -> None:
        """Look the order up by its identifier; one that is not found may still arrive."""
        entry = unstored.entry
        try:
            seen = await self._exchange.find(entry.identifier)
        except BoundaryError as exc:
            _line(entry).bind(error=type(exc).__name__, cause=str(exc)).warning(
                "the order cannot be looked up right now"
            )
            return
        if seen is None:
            return
        if not self._is_believed(entry, seen):
            return
        before = unstored.order.status
        unstored.order = _as_seen(unstored.order, seen)
        if not unstored.order.is_open:
            # Booked later, from the tables' own look-up. What it did not sell is free again.
            self._open_sales.ended_at(entry.identifier, executed=seen.executed_volume)
        if unstored.order.status is not before:
            _line(entry).bind(status=unstored.order.status.value).info(
                "order, its row is written when the database is back"
            )

    def _is_believed(self, entry: JournaledExit, seen: ExchangeOrder) -> bool:
        """Whether the answer may be kept: an end that does not add up frees no coins yet."""
        if status_on_exchange(seen, entry.intent) in OPEN:
            return True
        now = self._real_clock.monotonic()
        if is_final(self._looks, entry.identifier, entry.intent, seen, at=now):
            return True
        _line(entry).warning("the order's end does not add up yet, its coins are not sold again")
        return False

    async def step(self) -> None:
        """Store what has no row yet; while that fails, look it up.

        Raises: BoundaryError, of the store.
        """
        if not self._unstored:
            return
        try:
            await self.store()
        except BoundaryError:
            await self._look_at_open()
            raise

    async def _look_at_open(self) -> None:
        for unstored in tuple(self._unstored.values()):
            if unstored.order.is_open and not unstored.is_in_hand:
                await self._look(unstored)

    def unprotected(self, market: Market) -> str | None:
        """Return why nothing may sell its position, as told last; None: something may."""
        return self._unprotected.get(market)

    async def watch(self, held: Iterable[Market]) -> None:
        """Tell of each position that could not be sold now, should its stop be reached.

        Args: held: the markets with a position, as this process knows them.
        """
        since = self._real_clock.monotonic() - TOLD_FOR_S
        lately = {market for market, at in self._failed_at.items() if at >= since}
        unprotected = {one: why for one, why in self._unprotected.items() if one in lately}
        unprotected |= await self._blocked(held)
        self._take(unprotected)

    async def _blocked(self, held: Iterable[Market]) -> Mapping[Market, str]:
        leadership = self._leadership
        # With the lease the tables answer; without one another process sells.
        if leadership.is_leader or not leadership.is_last_known_owner:
            return {}
        try:
            leadership.unstored_epoch(is_alone=self._is_alone)
            await self._journal.check()
        except (NotLeader, JournalDown) as exc:
            return dict.fromkeys(held, _why(exc))
        return {one: TRADING_STOPPED for one in held if not self._switch.permits_exit(one)}

    def _take(self, unprotected: Mapping[Market, str]) -> None:
        for market in unprotected.keys() - self._unprotected.keys():
            logger.bind(event="risk", market=str(market), reason=unprotected[market]).error(
                "a position is unprotected: the database is away, and nothing else may sell it"
            )
        self._unprotected = dict(unprotected)
        # Again each time: an earlier process may have told of one that is over.
        self._tell(self._unprotected)

    # --- when it is back ------------------------------------------------------------------------

    async def store(self) -> None:
        """Write each order of the file to the tables, once, and settle it there.

        Raises: BoundaryError, of the store.
        """
        async with self._storing:
            for unstored in tuple(self._unstored.values()):
                if unstored.is_in_hand:
                    continue
                try:
                    await self._store(unstored)
                except DomainError as exc:
                    # It concerns this order only. The sweep finds it in the exchange's lists.
                    _line(unstored.entry).bind(error=type(exc).__name__, cause=str(exc)).error(
                        "an order of the exit journal cannot be stored"
                    )
                    self._drop(unstored)
                    self._open_sales.lost_row(unstored.entry.identifier)
            await self._tidy()

    async def _store(self, unstored: _Unstored) -> None:
        entry = unstored.entry
        row = await self._row(entry)
        crashpoint("exit.stored")
        if row.status is OrderStatus.PENDING and entry.sent is not None:
            row = await self._outcome(row, entry.sent)
        try:
            await self._journal.settle(entry.identifier)
        except JournalDown as exc:
            # The next start stores it again, and finds its row.
            _line(entry).bind(cause=str(exc)).warning("the exit journal could not be tidied")
        _line(entry).bind(order_id=row.id, status=row.status.value).info(
            "an order that was sent while the database was away has its row"
        )
        self._drop(unstored)
        await self._settle(row)

    async def _row(self, entry: JournaledExit) -> Order:
        try:
            async with asyncio.timeout(STORE_WITHIN_S):
                return await self._orders.add_sent(
                    entry.intent,
                    identifier=entry.identifier,
                    breach=entry.breach,
                    epoch=entry.epoch,
                    at=entry.at,
                    now=self._clock.now(),
                )
        except TimeoutError as exc:
            raise StoreTimeout("PostgreSQL does not answer") from exc

    async def _outcome(self, row: Order, sent: Sent) -> Order:
        match sent.outcome:
            case SendOutcome.ACCEPTED:
                return await self._reconciler.acknowledged(row, uuid=sent.exchange_uuid)
            case SendOutcome.UNKNOWN:
                return await self._reconciler.unknown(row)
            case SendOutcome.REFUSED | SendOutcome.UNSENT:
                return await self._reconciler.unsent(row, reason=sent.reason or "not_sent")

    async def _settle(self, row: Order) -> None:
        """Book its fills now: its market waits for them."""
        after = row
        try:
            if row.is_open:
                after = await self._reconciler.settle(row)
        except BoundaryError as exc:
            # The job sync_pending_orders follows it from here.
            logger.bind(event="order", identifier=row.identifier, error=type(exc).__name__).warning(
                "the order cannot be looked up right now"
            )
        finally:
            self._open_sales.let_go(row.identifier, after)

    async def _tidy(self) -> None:
        if not self._is_damaged or self._unstored:
            return
        try:
            await self._journal.set_aside()
        except JournalDown as exc:
            logger.bind(event="order", cause=str(exc)).warning(
                "the damaged exit journal could not be put aside"
            )
        else:
            self._is_damaged = False


async def _sent_once(
    exchange: Exchange, entry: JournaledExit, *, before_send: Callable[[], None]
) -> Sent:
    """Without a certain refusal the order is looked up, never sent again."""
    try:
        seen = await exchange.submit(
            entry.intent, identifier=entry.identifier, before_send=before_send
        )
    except SendRefused as exc:
        return Sent(outcome=SendOutcome.UNSENT, reason=exc.reason)
    except ExchangeRefused as exc:
        return Sent(outcome=SendOutcome.REFUSED, reason=exc.code or "refused")
    except ExchangeUnavailable:
        return Sent(outcome=SendOutcome.UNSENT, reason="not_sent")
    except OutcomeUnknown as exc:
        _line(entry).bind(cause=str(exc)).warning(
            "the order may be on the book, it will be looked up and never sent again"
        )
        return Sent(outcome=SendOutcome.UNKNOWN)
    return Sent(outcome=SendOutcome.ACCEPTED, exchange_uuid=seen.uuid)


def _as_seen(order: Order, seen: ExchangeOrder) -> Order:
    """Return the order as the exchange says; an answer may be older than the last one."""
    status = status_on_exchange(seen, order.intent)
    if seen.executed_volume < order.executed_volume or (not order.is_open and status in OPEN):
        return order
    return replace(
        order,
        status=status,
        exchange_uuid=seen.uuid,
        executed_volume=seen.executed_volume,
        executed_funds=sum((trade.funds for trade in seen.trades), ZERO),
        paid_fee=seen.paid_fee,
    )


def _why(error: NotLeader | TradingStopped | JournalDown) -> str:
    if isinstance(error, NotLeader):
        return LEASE_LAPSED
    return JOURNAL_DOWN if isinstance(error, JournalDown) else TRADING_STOPPED


def _line(entry: JournaledExit) -> "Logger":
    """Return the logger for a line about the order. It holds no amount."""
    return logger.bind(
        event="order",
        market=str(entry.intent.market),
        identifier=entry.identifier,
        side=entry.intent.side.value,
        rule=entry.breach.rule.value,
    )
