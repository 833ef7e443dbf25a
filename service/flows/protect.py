"""Watches every position on every price, and begins an exit when a rule is breached."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from math import inf
from typing import Final, Protocol

from loguru import logger

from service.bus import FillsFound, OrderFilled
from service.domain.errors import BoundaryError, ServiceError
from service.domain.markets import Market, whole_steps
from service.domain.orders import ZERO, Breach, ExitRule, Order, Side
from service.domain.positions import Position
from service.domain.prices import LivePrice, PriceDoubt, PriceSource
from service.domain.protection import (
    ExitLimits,
    ExitSettings,
    Protection,
    Unwatched,
    booked,
    distance_pct,
)
from service.domain.trading_states import OrderAct, OrderSource, permits
from service.flows.leadership import Leadership
from service.flows.live_prices import LivePrices
from service.flows.open_sales import OpenSales
from service.flows.trading_switch import TradingSwitch
from service.flows.watched_positions import OngoingExit, WatchedPosition, WatchedPositions
from service.ports.clock import MarketClock, RealClock
from service.ports.exchange import Exchange
from service.ports.protection import Protections, StoredProtection
from service.ports.store import MarketData, Orders
from service.settings.settings import Settings
from service.settings.table import STOP_LOSS_PCT, TAKE_PROFIT_PCT, TRAILING_STOP_PCT

STEP_EVERY_S: Final = 1.0
UNWATCHED_S: Final = 30.0  #: real, without a sane price
UNDONE_S: Final = 30.0  #: real, until an exit that has not sold the position is an alert
ASK_AFTER_S: Final = 10.0  #: real, without a price, until REST is asked
ASK_EVERY_S: Final = 5.0
SAVE_EVERY_S: Final = 5.0
COMPARE_EVERY_S: Final = 15.0
RULES_LAST_S: Final = 600.0
#: Minutes of an outage are collected within this time of the start; then fewer are read again.
_CAUGHT_UP_S: Final = 900.0
_RECENT: Final = timedelta(hours=2)
_HEARD: Final = frozenset({STOP_LOSS_PCT.name, TAKE_PROFIT_PCT.name, TRAILING_STOP_PCT.name})
#: A last trade that is old is still the market's price.
_BELIEVED: Final = frozenset({None, PriceDoubt.STALE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionStatus:
    """What an operator sees of a position's protection.

    Attributes:
        limits: on the tick where the market's rules are known; None without a position.
        distance_pct: how far the price has to fall to the stop; None without a price.
        unwatched: why no rule would sell it now; None: one would.
        doubt: why the newest word about its price is not believed.
        exit: the rule that sells it right now.
        sold: coins of it that are sold, and whose fills are booked once the database is back.
        price_age_s: the market's seconds since a sane price was heard.
    """

    limits: ExitLimits | None = None
    distance_pct: Decimal | None = None
    unwatched: Unwatched | None = None
    is_dust: bool = False
    price_age_s: float | None = None
    doubt: PriceDoubt | None = None
    exit: ExitRule | None = None
    sold: Decimal = ZERO


class PositionAlerts(Protocol):
    """Satisfied by AlertMonitor. Each call names all markets for which the problem holds."""

    def positions_unwatched(self, markets: Collection[Market]) -> None: ...

    def exits_undone(self, markets: Collection[Market]) -> None: ...


class Protector:
    """Decides on each price at once: no model, no call and no query comes before the decision.

    Positions are loaded before this process trades, kept by the fills it books, and compared with
    the table again and again. Settings are kept as last read while the database is away.
    """

    def __init__(
        self,
        *,
        positions: WatchedPositions,
        orders: Orders,
        rows: Protections,
        market_data: MarketData,
        prices: LivePrices,
        exchange: Exchange,
        open_sales: OpenSales,
        leadership: Leadership,
        switch: TradingSwitch,
        settings: Settings,
        alerts: PositionAlerts,
        unprotected: Callable[[Market], str | None],
        clock: MarketClock,
        real_clock: RealClock,
    ) -> None:
        self._positions = positions
        self._orders = orders
        self._rows = rows
        self._market_data = market_data
        self._prices = prices
        self._exchange = exchange
        self._open_sales = open_sales
        self._leadership = leadership
        self._switch = switch
        self._settings = settings
        self._alerts = alerts
        self._unprotected = unprotected
        self._clock = clock
        self._real_clock = real_clock
        self.settings = ExitSettings(
            stop_loss_pct=STOP_LOSS_PCT.default,
            take_profit_pct=TAKE_PROFIT_PCT.default,
            trailing_stop_pct=TRAILING_STOP_PCT.default,
        )
        self._has_settings = False
        self._known: dict[Market, Position] = {}  #: as the table had them, and fills since
        self._fills = 0  #: how many were heard
        self._differing: Mapping[Market, Position] = {}  #: what the last comparison found
        self._saved: dict[Market, StoredProtection] = {}
        self._minutes_from: dict[Market, datetime] = {}
        self._silent: frozenset[Market] = frozenset()  #: without a believed price, as was logged
        self._undone: frozenset[Market] = frozenset()  #: for long in an exit, as was logged
        self._loaded_in: int | None = None
        self._loaded_at = -inf
        self._done_at: dict[str, float] = {}
        settings.on_change(self.setting_changed)

    # --- the decision ---------------------------------------------------------------------

    def hear(self, price: LivePrice) -> None:
        """Judge a sane price. Nothing is waited for."""
        watched = self._positions.get(price.market)
        if watched is None:
            return
        watched.heard_at = self._real_clock.monotonic()
        if watched.bought_at > (now := self._clock.now()):
            # Our clock was set back: no price would be of later than the purchase for that long.
            watched.bought_at = min(price.heard_at, now)
        if price.price > watched.protection.highest:
            self._raise(watched, price)
        self._judge(watched, price)

    def _raise(self, watched: WatchedPosition, price: LivePrice) -> None:
        """Let the trailing stop follow a price that was traded since the position was opened."""
        if price.traded_at >= min(watched.protection.opened_at, watched.bought_at):
            watched.protect(watched.protection.seen(price.price), self.settings)

    def _judge(self, watched: WatchedPosition, price: LivePrice) -> None:
        if watched.is_dust and watched.rules is not None:
            watched.is_dust = watched.is_below(watched.rules, price=price.price)
        if watched.exit is not None or watched.is_dust or price.traded_at < watched.bought_at:
            return
        breach = watched.limits.breach(price.price)
        if breach is None or not self._may_exit(watched.market):
            return
        watched.exit = OngoingExit(breach=breach, began_at=self._real_clock.monotonic())
        self._positions.wake.set()
        self._done_at.pop("save", None)  # the next process carries it on, should this one end
        logger.bind(event="risk", market=str(watched.market), rule=breach.rule.value).warning(
            "a rule of protection is breached, the position is sold"
        )

    def _may_exit(self, market: Market) -> bool:
        # With the database away the lease lapses: whether a sale may leave is asked where it does.
        status = self._switch.known_status(market)
        return self._leadership.is_last_known_owner and permits(
            status, OrderSource.RULE, OrderAct.SELL
        )

    # --- what is held ---------------------------------------------------------------------

    async def load(self) -> None:
        """Read what is held; before this process trades. Raises: BoundaryError."""
        epoch = self._leadership.last_known_epoch
        await self._read_settings()
        stored = {row.market: row for row in await self._rows.all()}
        fills: int | None = None
        while fills != self._fills:  # else what was read may be older than what is known here
            fills, known = self._fills, self._open_sales.names()
            open_orders, positions = await self._held()
            highs = {
                one.market: await self._restored(one, stored) for one in positions if one.volume
            }
            await self._anchor(positions)
        self._open_sales.compare(open_orders, known=known)
        for position in positions:
            self._take(position, highest=highs.get(position.market), row=stored)
        for market in set(self._positions) - set(highs):
            del self._positions[market]
        self._saved, self._differing = stored, {}
        self._loaded_in, self._loaded_at = epoch, self._real_clock.monotonic()
        logger.bind(event="risk", positions=len(self._positions)).info("positions are watched")

    async def _held(self) -> tuple[Sequence[Order], Sequence[Position]]:
        """Return the open orders, and the positions with all fills of the others. Raises: as load.

        In this order: of a sale that ends between the two reads the coins are still counted.
        """
        open_orders = await self._orders.open()
        return open_orders, await self._orders.positions()

    async def _anchor(self, positions: Iterable[Position]) -> None:
        """Let no position be sold by a first price that nothing was compared with."""
        averages = {one.market: one.average_price for one in positions}
        held = {market: price for market, price in averages.items() if price is not None}
        await self._prices.anchor_held(held, self._market_data)

    async def _restored(
        self, position: Position, stored: Mapping[Market, StoredProtection]
    ) -> Decimal | None:
        """Return the highest price since `position` was opened, as far as it is stored."""
        assert position.opened_at is not None  # noqa: S101 - it has coins
        self._minutes_from[position.market] = position.opened_at
        row = stored.get(position.market)
        kept = row.highest if row is not None and row.opened_at == position.opened_at else None
        found = await self._highest(position.market, since=position.opened_at)
        return max((one for one in (kept, found) if one is not None), default=None)

    async def _highest(self, market: Market, *, since: datetime) -> Decimal | None:
        pct = self._prices.limits.max_jump_pct
        return await self._rows.highest(market, since=since, max_jump_pct=pct)

    async def filled(self, event: OrderFilled) -> None:
        """Book the fills of an order on what is known of its position."""
        self._fills += 1
        position = self._known.get(event.market, Position(market=event.market))
        for fill in event.fills:
            position = booked(position, event.side, fill)
        self._take(position)
        watched = self._positions.get(event.market)
        if watched is not None and event.side is Side.BUY:
            # As for the prices: no later than now, or a clock of ours that is slow would keep
            # every price from being judged.
            bought_at = min(max(fill.traded_at for fill in event.fills), self._clock.now())
            watched.bought_at = max(watched.bought_at, bought_at)

    async def found(self, event: FillsFound) -> None:
        """Read what is held of a market whose purchase was stored and not told.

        The comparison would find it half a minute later, or never while the database is away. The
        coins of a sale need no haste: as long as its fills were not heard they are kept from sale.
        """
        if event.side is Side.SELL:
            return
        fills = -1
        try:
            while fills < self._fills:  # one heard meanwhile may be missing in what was read
                fills = self._fills
                position = await self._orders.position(event.market)
        except BoundaryError as exc:
            logger.bind(event="risk", market=str(event.market), error=type(exc).__name__).warning(
                "a purchase is stored and cannot be read, the next comparison finds it"
            )
            return
        if position != self._known.get(event.market):
            self._correct(position)

    def _take(
        self,
        position: Position,
        *,
        highest: Decimal | None = None,
        row: Mapping[Market, StoredProtection] | None = None,
    ) -> None:
        """Watch `position` as it is now."""
        market = position.market
        self._known[market] = position
        watched = self._positions.get(market)
        if not position.volume:
            self._positions.pop(market, None)
            return
        if watched is None:
            watched = self._positions[market] = self._begin(position)
            self._restore_exit(watched, (row or {}).get(market))
        after = watched.protection.moved_to(position)
        assert after is not None  # noqa: S101 - it has coins
        watched.protect(after if highest is None else after.seen(highest), self.settings)

    def _begin(self, position: Position) -> WatchedPosition:
        assert position.opened_at is not None  # noqa: S101 - it has coins
        self._minutes_from.setdefault(position.market, position.opened_at)
        protection = Protection.of(position)
        return WatchedPosition(
            protection=protection,
            limits=protection.limits(self.settings),
            heard_at=self._real_clock.monotonic(),
            bought_at=min(position.opened_at, self._clock.now()),
        )

    def _restore_exit(self, watched: WatchedPosition, row: StoredProtection | None) -> None:
        """Carry on the exit that an earlier process began, and leave the dust that it left."""
        if row is None or row.opened_at != watched.protection.opened_at:
            return
        watched.is_dust = row.is_dust
        if row.exit is not None:
            watched.exit = OngoingExit(breach=row.exit, began_at=self._real_clock.monotonic())
            self._positions.wake.set()

    # --- upkeep ---------------------------------------------------------------------------

    async def setting_changed(self, name: str) -> None:
        """Take a changed setting at once; while it cannot be read the last one stays."""
        if name not in _HEARD:
            return
        self._has_settings = False
        try:
            await self._read_settings()
        except BoundaryError as exc:
            logger.bind(event="risk", error=type(exc).__name__, cause=str(exc)).warning(
                "a setting of protection may have changed and cannot be read, the last one counts"
            )

    async def _read_settings(self) -> None:
        """Raises: BoundaryError."""
        read = ExitSettings(
            stop_loss_pct=await self._settings.get(STOP_LOSS_PCT),
            take_profit_pct=await self._settings.get(TAKE_PROFIT_PCT),
            trailing_stop_pct=await self._settings.get(TRAILING_STOP_PCT),
        )
        self._has_settings = True
        if read != self.settings:
            self.settings = read
            for watched in self._positions.values():
                watched.protect(watched.protection, read)
        self._judge_all()

    async def watch(self) -> None:
        """Judge the newest prices again, and tell of positions that are not watched.

        A halt may have ended, or a limit may have moved since the price was heard.
        """
        if not self._leadership.is_last_known_owner:
            return
        self._judge_all()
        now = self._real_clock.monotonic()
        watched = [
            one
            for one in self._positions.values()
            if not one.is_dust and not self._is_sold(one.position)
        ]
        silent = frozenset(one.market for one in watched if self._is_silent(one))
        undone = frozenset(
            one.market for one in watched if one.exit and now - one.exit.began_at > UNDONE_S
        )
        self._log(silent, undone)
        self._alerts.positions_unwatched(silent)
        self._alerts.exits_undone(undone)
        for one in watched:
            self._tell_small(one)

    def _log(self, silent: frozenset[Market], undone: frozenset[Market]) -> None:
        """Say what alerts tell, too: there may be no target that they could be sent to."""
        for market in sorted(silent - self._silent):
            logger.bind(event="risk", market=str(market)).warning(
                "no price of a position is believed, its stop cannot act"
            )
        for market in sorted(self._silent - silent):
            logger.bind(event="risk", market=str(market)).info(
                "a position that had no believed price is watched again, or closed"
            )
        for market in sorted(undone - self._undone):
            logger.bind(event="risk", market=str(market)).warning(
                "a rule has been selling a position for long, and not all is sold"
            )
        self._silent, self._undone = silent, undone

    def _tell_small(self, watched: WatchedPosition) -> None:
        """Tell once of a position whose stop cannot sell it: a purchase found too few coins."""
        was_small = watched.is_small
        watched.is_small = watched.is_below(watched.rules, price=watched.limits.stop)
        if watched.is_small and not was_small and watched.exit is None:
            logger.bind(event="risk", market=str(watched.market)).warning(
                "a position is below the exchange's smallest order at its stop, no stop can sell it"
            )

    def _judge_all(self) -> None:
        for watched in self._positions.values():
            latest = self._prices.latest(watched.market)
            if latest is not None and self._prices.doubt(watched.market) in _BELIEVED:
                self._judge(watched, latest)

    async def keep(self) -> None:
        """Keep what is in memory and what is stored in agreement. Raises: BoundaryError."""
        if not self._leadership.is_last_known_owner:
            self._positions.clear()
            self._known.clear()
            self._loaded_in, self._silent, self._undone = None, frozenset(), frozenset()
            return
        if self._loaded_in != self._leadership.last_known_epoch:
            # Only where settling the past has not done it: this process may not trade yet.
            return
        if not self._has_settings:
            await self._read_settings()
        if self._is_due("save", SAVE_EVERY_S):
            await self._save()
        if self._is_due("compare", COMPARE_EVERY_S):
            await self._compare()
            await self._read_minutes()

    async def _save(self) -> None:
        rows = [_stored(watched) for watched in self._positions.values()]
        changed = [row for row in rows if self._saved.get(row.market) != row]
        await self._rows.save(changed, at=self._clock.now())
        self._saved.update({row.market: row for row in changed})

    async def _compare(self) -> None:
        """Take the table's word where it says twice, with no fill between, what is not known here.

        A fill may be in the table already and not yet heard of: once is no contradiction. Until
        then the coins of the market's ended sales are not free: their fills may be the difference.
        """
        fills, names = self._fills, self._open_sales.names()
        open_orders, positions = await self._held()
        found = {one.market: one for one in positions}
        if fills != self._fills:
            self._differing = {}
            return
        differing = {
            market: found.get(market, Position(market=market))
            for market in found.keys() | self._known.keys()
            if found.get(market) != self._known.get(market)
        }
        for market, position in differing.items():
            if self._differing.get(market) == position:
                self._correct(position)
        self._differing = differing
        still = {one for one, position in differing.items() if self._known.get(one) != position}
        self._open_sales.compare(open_orders, known=names, differing=still)

    def _correct(self, position: Position) -> None:
        known = self._known.get(position.market)
        if known is None or (known.volume, known.cost) != (position.volume, position.cost):
            logger.bind(event="risk", market=str(position.market)).warning(
                "a position in memory was not as it is stored, it is corrected"
            )
        self._take(position)

    async def _read_minutes(self) -> None:
        """Let minutes that were collected after an outage count for the highest price."""
        is_caught_up = self._real_clock.monotonic() - self._loaded_at > _CAUGHT_UP_S
        for watched in tuple(self._positions.values()):
            since = self._minutes_from.get(watched.market, watched.protection.opened_at)
            since = max(since, watched.protection.opened_at)
            highest = await self._highest(watched.market, since=since)
            if highest is not None:
                watched.protect(watched.protection.seen(highest), self.settings)
            if is_caught_up:
                self._minutes_from[watched.market] = self._clock.now() - _RECENT

    async def ask(self) -> None:
        """Ask REST for prices that the feed does not bring, and for rules. Raises: ServiceError."""
        if not self._leadership.is_last_known_owner:
            return
        now = self._real_clock.monotonic()
        watched = tuple(self._positions.values())
        silent = [one.market for one in watched if now - one.heard_at > ASK_AFTER_S]
        asked: list[Callable[[], Awaitable[None]]] = []
        if silent and self._is_due("ask", ASK_EVERY_S):
            asked += [partial(self._ask_price, market) for market in silent]
        for one in watched:
            if one.rules is None or now - one.rules_at > RULES_LAST_S:
                asked.append(partial(self._ask_rules, one))
        await _each(asked)

    async def _ask_price(self, market: Market) -> None:
        for ticker in await self._exchange.tickers([market]):
            self._prices.hear(ticker, source=PriceSource.REST)

    async def _ask_rules(self, watched: WatchedPosition) -> None:
        rules = await self._exchange.rules(watched.market)
        watched.rules, watched.rules_at = rules, self._real_clock.monotonic()

    def _is_due(self, what: str, every_s: float) -> bool:
        now = self._real_clock.monotonic()
        if now - self._done_at.get(what, -inf) < every_s:
            return False
        self._done_at[what] = now
        return True

    # --- what is shown --------------------------------------------------------------------

    def status(self, position: Position) -> ProtectionStatus:
        """Return what protects `position` in this process; another one may watch it."""
        if not position.volume:
            return ProtectionStatus()
        market = position.market
        watched = self._positions.get(market)
        protection = Protection.of(position) if watched is None else watched.protection
        limits, latest = protection.limits(self.settings), self._prices.latest(market)
        rules = None if watched is None else watched.rules
        is_selling = watched is not None and not self._is_sold(position)
        return ProtectionStatus(
            limits=limits if rules is None else limits.on_tick(rules),
            distance_pct=None if latest is None else distance_pct(limits.stop, price=latest.price),
            unwatched=self._unwatched(watched),
            is_dust=watched is not None and watched.is_dust,
            price_age_s=self._prices.age_s(market),
            doubt=self._prices.doubt(market),
            exit=watched.exit.breach.rule if is_selling and watched and watched.exit else None,
            sold=self._open_sales.sold(market),
        )

    def positions(self) -> list[Position]:
        """Return what is held as it is known in memory."""
        return [watched.position for watched in self._positions.values()]

    def unsold(self) -> list[Market]:
        """Return the markets of the positions that are not sold to the last coin."""
        return [one.market for one in self.positions() if not self._is_sold(one)]

    def _is_sold(self, position: Position) -> bool:
        """Whether nothing of it is left at the exchange: its fills wait for the database."""
        sold = self._open_sales.sold(position.market)
        return sold > 0 and whole_steps(position.volume) <= sold

    def _unwatched(self, watched: WatchedPosition | None) -> Unwatched | None:
        if not self._leadership.is_last_known_owner:
            return Unwatched.NO_LEASE
        if not self._leadership.is_settled:
            return Unwatched.RECONCILING
        return Unwatched.NOT_LOADED if watched is None else self._unsold_because(watched)

    def _unsold_because(self, watched: WatchedPosition) -> Unwatched | None:
        """Return why the process that trades would sell no coin of it now."""
        if self._is_sold(watched.position):
            return Unwatched.SOLD
        if not self._switch.permits_exit(watched.market):
            return Unwatched.TRADING_STOPPED
        if (reason := self._unprotected(watched.market)) is not None:
            return Unwatched(reason)
        if watched.is_dust:
            return Unwatched.DUST
        if watched.exit is None and watched.is_below(watched.rules, price=watched.limits.stop):
            return Unwatched.SMALL
        return Unwatched.NO_PRICE if self._is_silent(watched) else None

    def _is_silent(self, watched: WatchedPosition) -> bool:
        return self._real_clock.monotonic() - watched.heard_at > UNWATCHED_S


async def _each(calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Each alone: a market that is no longer listed would cost the others their answer.

    Raises: the last of their errors.
    """
    failed: ServiceError | None = None
    for call in calls:
        try:
            await call()
        except ServiceError as exc:
            failed = exc
    if failed is not None:
        raise failed


def _stored(watched: WatchedPosition) -> StoredProtection:
    breach: Breach | None = None if watched.exit is None else watched.exit.breach
    return StoredProtection(
        market=watched.market,
        opened_at=watched.protection.opened_at,
        highest=watched.protection.highest,
        exit=breach,
        is_dust=watched.is_dust,
    )
