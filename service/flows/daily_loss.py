"""Stops purchases once the Korean day has lost what the operator allows."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from loguru import logger

from service.domain.days import korean_day, korean_midnight
from service.domain.decimals import decimal_text
from service.domain.errors import BoundaryError, ServiceError
from service.domain.instants import rfc3339
from service.domain.limits.daily_loss import DailyLoss
from service.domain.markets import Market
from service.domain.orders import ZERO
from service.domain.positions import Position
from service.domain.prices import LivePrice, PriceSource
from service.domain.trading_states import DAILY_LOSS
from service.flows.live_prices import LivePrices
from service.flows.trading_switch import TradingSwitch
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.loss_days import LossDay, LossDayRows
from service.ports.store import Halt, Orders, ReleasedHalt, TradingStates
from service.settings.settings import Settings
from service.settings.table import DAILY_LOSS_LIMIT_PCT

ACTOR: Final = "system:daily_loss"
REFRESH_EVERY_S: Final = 2.0  #: real; prices and fills are taken at once
#: A price that was heard longer ago does not say what a position is worth.
PRICE_LASTS: Final = timedelta(seconds=60)
_DAY: Final = timedelta(days=1)
_SHOWN: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossShare:
    """What of the day's limit is used, and what is left, in percent of the day's equity."""

    used_pct: Decimal
    left_pct: Decimal


@dataclass(slots=True, kw_only=True)
class _Ledger:
    """One quote currency's positions, and its day.

    Attributes:
        settled: what all sales brought, less every fee and the cost of what is held.
        held: coins by market.
        values: of the coins, at the newest price.
        day: as stored; None while its start is not known.
        traded: something was bought or sold today.
        loss: as judged last; None before.
    """

    quote: str
    settled: Decimal = ZERO
    held: dict[Market, Decimal] = field(default_factory=dict)
    values: dict[Market, Decimal] = field(default_factory=dict)
    day: LossDay | None = None
    traded: bool = False
    loss: DailyLoss | None = None
    is_warned: bool = False
    asks_to_warn: bool = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing can have been lost today."""
        return not self.held and not self.traded

    def value(self, market: Market, price: Decimal) -> None:
        if volume := self.held.get(market):
            self.values[market] = volume * price

    def judge(self, limit_pct: Decimal) -> DailyLoss | None:
        """Return the day's loss now; None while start or prices are not known."""
        if self.day is None or self.held.keys() != self.values.keys():
            return None
        self.loss = DailyLoss(
            start=self.day.start,
            pnl=sum(self.values.values(), self.settled),
            limit_pct=limit_pct,
            excused=self.day.excused,
        )
        return self.loss


class DailyLossGuard:
    """Halts all purchases for the rest of the Korean day, and ends only its own halt.

    Each quote currency counts in its own money. Positions are valued in memory by each price that
    is heard. After an operator's resume it halts again when clearly more is lost.

    Args:
        leads: whether this process trades.
        wake: called when a halt is in force and not stored yet.
        wake_self: called when `refresh` has something to store.
        price_lasts: by the market's clock.
    """

    def __init__(
        self,
        *,
        quotes: Collection[str],
        orders: Orders,
        days: LossDayRows,
        switch: TradingSwitch,
        states: TradingStates,
        prices: LivePrices,
        exchange: Exchange,
        settings: Settings,
        clock: MarketClock,
        leads: Callable[[], bool],
        wake: Callable[[], None] = lambda: None,
        wake_self: Callable[[], None] = lambda: None,
        price_lasts: timedelta = PRICE_LASTS,
    ) -> None:
        self._quotes = frozenset(quotes)
        self._orders = orders
        self._days = days
        self._switch = switch
        self._states = states
        self._prices = prices
        self._exchange = exchange
        self._settings = settings
        self._clock = clock
        self._leads = leads
        self._wake = wake
        self._wake_self = wake_self
        self._price_lasts = price_lasts
        self._day: date | None = None
        self._limit_pct = DAILY_LOSS_LIMIT_PCT.default
        self._ledgers: Mapping[str, _Ledger] = {}
        self._is_halted = False
        self._is_renewing = False  #: yesterday's halt makes way for today's
        #: The day whose resumes were read; a halt that is gone has them read again.
        self._excused_day: date | None = None
        self._unpriced: frozenset[Market] = frozenset()
        self._refreshing = asyncio.Lock()
        settings.on_change(self.changed)

    # --- in memory -------------------------------------------------------------------------------

    def hear(self, live: LivePrice) -> None:
        """Value the position by a price that is believed, and halt if the day has lost too much."""
        ledger = self._ledgers.get(live.market.quote)
        if ledger is not None and live.market in ledger.held:
            ledger.value(live.market, live.price)
            self._judge(ledger)
            self._ask_to_warn(ledger)

    def doubt(self, quote: str) -> str | None:
        """Return why it is not known what the day has lost in `quote`; None when it is."""
        if not self._is_today():
            return "day_not_read"
        if self._is_renewing:
            return "halt_renewed"
        ledger = self._ledgers.get(quote)
        if ledger is None or ledger.is_idle:
            return None
        if ledger.day is None:
            return "no_day_start"
        unpriced = sorted(str(market) for market in ledger.held if self._is_old(market))
        return f"no_price of {', '.join(unpriced)}" if unpriced else None

    def shares(self) -> Mapping[str, LossShare | None]:
        """Return how much of its limit each quote currency has used; None where it is not known."""
        if not self._is_today():
            return dict.fromkeys(self._quotes)
        return {quote: self._share(ledger) for quote, ledger in self._ledgers.items()}

    def _share(self, ledger: _Ledger) -> LossShare | None:
        if ledger.loss is None and ledger.is_idle:
            return LossShare(used_pct=ZERO, left_pct=self._limit_pct)
        if ledger.loss is None or any(self._is_old(market) for market in ledger.held):
            return None
        used, left = ledger.loss.used_pct, ledger.loss.left_pct
        if used is None or left is None:
            return None
        return LossShare(used_pct=used, left_pct=left)

    # --- each pass -------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read positions, day and limit; judge; store what is to be stored.

        Raises: BoundaryError.
        """
        # An older reading must not come after a newer one.
        async with self._refreshing:
            await self._refresh()

    async def _refresh(self) -> None:
        if not self._leads():
            self._day, self._excused_day, self._ledgers = None, None, {}
            return
        day = korean_day(self._clock.now())
        stood = self._stands()
        limit_pct = await self._settings.get(DAILY_LOSS_LIMIT_PCT)
        positions = await self._orders.positions()
        stored = await self._days.of(day, quotes=self._quotes | _quotes_of(positions))
        ledgers = self._ledgers_of(positions, stored.days, stored.traded)
        self._day, self._limit_pct, self._ledgers = day, limit_pct, ledgers
        if self._excused_day != day or (self._is_halted and not stood):
            await self._excuse(day)
        # What stood when the pass began may have been ended since: the next pass knows how.
        self._is_halted = stood or self._stands()
        self._judge_all()
        await self._end_of_earlier_days(day)
        await self._warn(day)
        await self._ask_prices()

    async def changed(self, name: str) -> None:
        """Have a changed limit take effect at once."""
        if name != DAILY_LOSS_LIMIT_PCT.name:
            return
        try:
            await self.refresh()
        except BoundaryError as exc:
            logger.bind(
                event="risk", setting=name, error=type(exc).__name__, cause=str(exc)
            ).warning("a limit has changed and cannot be read yet, the next pass reads it")

    def _ledgers_of(
        self, positions: Sequence[Position], days: Sequence[LossDay], traded: Collection[str]
    ) -> Mapping[str, _Ledger]:
        by_quote = {day.start.quote: day for day in days}
        ledgers = {quote: _Ledger(quote=quote) for quote in self._quotes}
        for position in positions:
            market = position.market
            ledger = ledgers.setdefault(market.quote, _Ledger(quote=market.quote))
            ledger.settled += position.realised_pnl - position.cost
            if position.volume:
                ledger.held[market] = position.volume
                # Read now, not before the waits: a newer price may have come meanwhile.
                if (live := self._prices.latest(market)) is not None:
                    ledger.value(market, live.price)
        for quote, ledger in ledgers.items():
            ledger.day, ledger.traded = by_quote.get(quote), quote in traded
            ledger.is_warned = ledger.day is not None and ledger.day.is_warned
        return ledgers

    # --- judging ---------------------------------------------------------------------------------

    def _judge_all(self) -> None:
        for ledger in self._ledgers.values():
            self._judge(ledger)

    def _judge(self, ledger: _Ledger) -> None:
        if not self._is_today() or not self._leads():
            return
        loss = ledger.judge(self._limit_pct)
        if loss is None:
            return
        if loss.is_reached and not self._is_halted:
            self._halt(loss)

    def _ask_to_warn(self, ledger: _Ledger) -> None:
        """Have `refresh` store the alert now; once, however many prices follow."""
        if ledger.loss is None or ledger.is_warned or ledger.asks_to_warn:
            return
        if ledger.loss.is_near:
            ledger.asks_to_warn = True
            self._wake_self()

    def _halt(self, loss: DailyLoss) -> None:
        self._is_halted = True
        # A ratio tells how far; amounts of money stand in no log and no event.
        used = None if loss.used_pct is None else str(loss.used_pct.quantize(_SHOWN))
        ends_at = korean_midnight(loss.start.day + _DAY)
        detail = {
            "quote": loss.start.quote,
            "day": loss.start.day.isoformat(),
            "limit": decimal_text(self._limit_pct),
            "actual": used,
            "until": rfc3339(ends_at),
        }
        if self._switch.impose(reason=DAILY_LOSS, actor=ACTOR, detail=detail):
            logger.bind(event="risk", reason=DAILY_LOSS, actor=ACTOR, **detail).error(
                "purchases are halted: the day has lost what the limit allows"
            )
            self._wake()

    async def _excuse(self, day: date) -> None:
        """Take what was lost by an operator's resume as accepted."""
        since = korean_midnight(day)
        released = await self._states.released(reason=DAILY_LOSS, actor=ACTOR, since=since)
        known = [await self._excuse_in(ledger, released) for ledger in self._ledgers.values()]
        self._excused_day = day if all(known) else None

    async def _excuse_in(self, ledger: _Ledger, released: Sequence[ReleasedHalt]) -> bool:
        """Return False where the loss is not known yet, so that the next pass looks again."""
        loss = ledger.judge(self._limit_pct)
        if not released:
            return True
        if ledger.day is None or loss is None:
            return ledger.is_idle
        at = released[-1].released_at
        if ledger.day.excused_at is None or ledger.day.excused_at < at:
            await self._days.excuse(ledger.quote, loss.start.day, loss=loss.loss, at=at)
            ledger.day = ledger.day.excused_by(loss.loss, at=at)
        return True

    async def _end_of_earlier_days(self, day: date) -> None:
        """End a halt of an earlier day, once it is known what its currency has lost today.

        Where today has lost as much, today's halt takes its place, with its own figures and end.
        """
        earlier = [
            halt
            for halt in self._switch.halts()
            if (halt.reason, halt.actor) == (DAILY_LOSS, ACTOR) and korean_day(halt.since) < day
        ]
        reached = [
            ledger.loss
            for ledger in self._ledgers.values()
            if ledger.loss is not None and ledger.loss.is_reached
        ]
        doubted = any(self.doubt(quote) for halt in earlier for quote in self._quotes_of(halt))
        if not earlier or (doubted and not reached):
            return
        # Between the end of one halt and the begin of the other nothing may be bought.
        self._is_renewing = True
        try:
            is_lifted = await self._switch.lift(reason=DAILY_LOSS, actor=ACTOR)
            self._is_halted = self._stands()
            self._judge_all()
        finally:
            self._is_renewing = False
        if is_lifted and not self._is_halted:
            logger.bind(event="risk", reason=DAILY_LOSS, actor=ACTOR).warning(
                "purchases go on: a new Korean day has begun"
            )

    async def _warn(self, day: date) -> None:
        for ledger in self._ledgers.values():
            if ledger.loss is not None and ledger.loss.is_near and not ledger.is_warned:
                await self._days.warn(ledger.quote, day, at=self._clock.now())
                ledger.is_warned = True

    # --- prices ----------------------------------------------------------------------------------

    async def _ask_prices(self) -> None:
        """Ask for the price of what is held where none was heard lately."""
        unpriced = frozenset(
            market
            for ledger in self._ledgers.values()
            for market in ledger.held
            if self._is_old(market)
        )
        for market in sorted(unpriced):
            try:
                for ticker in await self._exchange.tickers([market]):
                    self._prices.hear(ticker, source=PriceSource.REST)
            except ServiceError as exc:
                if market not in self._unpriced:
                    logger.bind(
                        event="risk", market=str(market), error=type(exc).__name__, cause=str(exc)
                    ).warning("a position cannot be valued, nothing is bought until it can")
        self._unpriced = frozenset(market for market in unpriced if self._is_old(market))

    def _is_old(self, market: Market) -> bool:
        age_s = self._prices.age_s(market)
        return age_s is None or age_s > self._price_lasts.total_seconds()

    def _is_today(self) -> bool:
        return self._day is not None and self._day == korean_day(self._clock.now())

    def _quotes_of(self, halt: Halt) -> Collection[str]:
        """Return the currency whose loss made the halt, or all of them where it names none."""
        quote = halt.detail.get("quote")
        return (quote,) if isinstance(quote, str) else self._quotes

    def _stands(self) -> bool:
        return self._switch.stands(reason=DAILY_LOSS, actor=ACTOR)


def _quotes_of(positions: Collection[Position]) -> frozenset[str]:
    return frozenset(position.market.quote for position in positions)
