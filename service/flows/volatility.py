"""Stops the purchases of a market whose price has moved too far within the last minutes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from loguru import logger

from service.domain.decimals import decimal_text
from service.domain.errors import BoundaryError
from service.domain.instants import rfc3339
from service.domain.limits.volatility import (
    MinuteRange,
    RecentRange,
    is_volatile,
    may_resume,
    minute_of,
    moved_pct,
)
from service.domain.markets import Market
from service.domain.trading_states import VOLATILITY
from service.flows.trading_switch import TradingSwitch
from service.ports.clock import MarketClock
from service.ports.store import JSON, MarketData, TradingStates
from service.settings.settings import Settings
from service.settings.table import (
    VOLATILITY_AUTO_RESUME_MINUTES,
    VOLATILITY_THRESHOLD_PCT,
    VOLATILITY_WINDOW_MINUTES,
)

ACTOR: Final = "system:volatility"
_SHOWN: Final = Decimal("0.01")
_KEYS: Final = frozenset(
    key.name
    for key in (
        VOLATILITY_THRESHOLD_PCT,
        VOLATILITY_WINDOW_MINUTES,
        VOLATILITY_AUTO_RESUME_MINUTES,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """The operator's settings, as last read."""

    threshold_pct: Decimal
    minutes: int
    resume_after: int | None


@dataclass(slots=True, kw_only=True)
class _Watch:
    """One market's last minutes.

    Attributes:
        heard: the minute of the newest price heard; None before the first.
        hole_ends: the minute at which prices were heard again, while older ones may be missing.
        fresh_from: an operator ended a halt in this minute; only later prices count.
        is_halted: our halt stood when it was looked for last.
        looked_at: the second in which it was looked for.
    """

    recent: RecentRange
    heard: int | None = None
    hole_ends: int | None = None
    fresh_from: int | None = None
    is_halted: bool = False
    looked_at: datetime | None = None


class VolatilityGuard:
    """Halts the purchases of single markets, and ends only its own halts.

    Prices are taken from memory as they are heard; the stored ones fill what was not heard. After
    an operator's resume only later prices count, so the same move does not halt again.

    Attributes:
        is_idle: whether the last pass found no missing prices and no halt of ours.

    Args:
        leads: whether this process trades.
        wake: called when a halt is in force and not stored yet.
        price_lasts: a price heard by then is known, however short the window. A fast market's
            minutes are shorter than an answer takes.
    """

    def __init__(
        self,
        *,
        markets: Collection[Market],
        switch: TradingSwitch,
        states: TradingStates,
        stored: MarketData,
        settings: Settings,
        clock: MarketClock,
        leads: Callable[[], bool],
        wake: Callable[[], None] = lambda: None,
        price_lasts: timedelta = timedelta(),
    ) -> None:
        self._price_lasts = price_lasts
        self._switch = switch
        self._states = states
        self._stored = stored
        self._settings = settings
        self._clock = clock
        self._leads = leads
        self._wake = wake
        self._rule: _Rule | None = None
        self.is_idle = False
        minutes = VOLATILITY_WINDOW_MINUTES.default
        self._watched = {market: _Watch(recent=RecentRange(minutes=minutes)) for market in markets}
        settings.on_change(self.changed)

    # --- in memory -------------------------------------------------------------------------------

    def hear(self, market: Market, price: Decimal) -> None:
        """Take a price that is believed, and halt the market if it moved too far."""
        watch = self._watched.get(market)
        if watch is None:
            return
        now = self._clock.now()
        minute = minute_of(now)
        if watch.heard is None or minute - watch.heard > 1:
            watch.hole_ends = minute
        watch.heard = minute
        # Once a second: thousands of prices may come in it, and many markets may be halted.
        if watch.is_halted and watch.looked_at != now.replace(microsecond=0):
            watch.looked_at = now.replace(microsecond=0)
            self._notice_release(market, watch)
        watch.recent.add(price, minute=minute)
        self._judge(market, watch)

    def moved_pct(self, market: Market) -> Decimal | None:
        """Return how far the price moved within the window; None without a price in it."""
        bounds = self._bounds(market)
        return None if bounds is None else moved_pct(*bounds)

    def doubt(self, market: Market) -> str | None:
        """Return why it is not known how far the price moved; None when it is."""
        if self._bounds(market) is not None or self._was_heard_lately(market):
            return None
        return "no_price_in_window"

    def _was_heard_lately(self, market: Market) -> bool:
        watch = self._watched.get(market)
        if watch is None or watch.heard is None:
            return False
        return timedelta(minutes=self._minute() - watch.heard) <= self._price_lasts

    @property
    def markets(self) -> Sequence[Market]:
        return tuple(self._watched)

    # --- each pass -------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Restore what an earlier process knew; call it before the first order.

        Raises: BoundaryError.
        """
        rule = await self._read_rule()
        minute = self._minute()
        released = await self._states.released(
            reason=VOLATILITY, actor=ACTOR, since=_instant(minute - rule.minutes)
        )
        ended = {one.market: minute_of(one.released_at) for one in released}
        for market, watch in self._watched.items():
            watch.hole_ends, watch.fresh_from = minute, ended.get(market)
            if watch.fresh_from is not None:
                watch.recent = RecentRange(minutes=rule.minutes)
            watch.is_halted = self._stands(market)
        await self._restore(rule)
        self._judge_all()

    async def check(self) -> None:
        """One pass of `check_volatility`. Raises: BoundaryError."""
        rule = await self._read_rule()
        self.is_idle = True
        if not self._leads():
            return
        was_missing = await self._restore(rule)
        for market, watch in self._watched.items():
            self._notice_release(market, watch)
            watch.is_halted = self._stands(market)
        self._judge_all()
        self.is_idle = not (await self._resume(rule) or was_missing)

    async def changed(self, name: str) -> None:
        """Have a changed setting take effect at once."""
        if name not in _KEYS or not self._leads():
            return
        try:
            await self.check()
        except BoundaryError as exc:
            logger.bind(
                event="risk", setting=name, error=type(exc).__name__, cause=str(exc)
            ).warning("a limit has changed and cannot be read yet, the next pass reads it")

    async def _read_rule(self) -> _Rule:
        get = self._settings.get
        rule = _Rule(
            threshold_pct=await get(VOLATILITY_THRESHOLD_PCT),
            minutes=await get(VOLATILITY_WINDOW_MINUTES),
            resume_after=await get(VOLATILITY_AUTO_RESUME_MINUTES),
        )
        if self._rule is None or self._rule.minutes != rule.minutes:
            for watch in self._watched.values():
                watch.recent = watch.recent.merge((), minutes=rule.minutes)
                watch.hole_ends = self._minute()
        self._rule = rule
        return rule

    async def _restore(self, rule: _Rule) -> bool:
        """Fill with stored prices what was not heard; return whether anything was missing."""
        minute = self._minute()
        holes = [market for market, watch in self._watched.items() if _has_hole(watch, minute)]
        if not holes:
            return False
        since = _instant(minute - rule.minutes)
        known: Mapping[Market, Sequence[MinuteRange]]
        before = _instant(minute + 1)
        known = await self._stored.minute_ranges(holes, since=since, before=before)
        for market in holes:
            watch = self._watched[market]
            first = -1 if watch.fresh_from is None else watch.fresh_from
            fresh = [one for one in known.get(market, ()) if one.minute > first]
            watch.recent = watch.recent.merge(fresh)
            # The rows of the last minute may come a little later.
            if watch.hole_ends is not None and minute > watch.hole_ends + 1:
                watch.hole_ends = None
        return True

    async def _resume(self, rule: _Rule) -> bool:
        """Return whether a halt of ours stands."""
        stands = False
        for halt in self._switch.halts():
            if (halt.reason, halt.actor) != (VOLATILITY, ACTOR) or halt.market is None:
                continue
            stands = True
            bounds = self._bounds(halt.market)
            is_calm = bounds is not None and not is_volatile(
                *bounds, threshold_pct=rule.threshold_pct
            )
            if may_resume(
                halted_at=halt.since,
                now=self._clock.now(),
                after_minutes=rule.resume_after,
                is_calm=is_calm,
            ):
                await self._lift(halt.market)
        return stands

    async def _lift(self, market: Market) -> None:
        # Before the wait: the end of our own halt is not an operator's.
        watch = self._watched[market]
        watch.is_halted = False
        try:
            is_lifted = await self._switch.lift(reason=VOLATILITY, actor=ACTOR, market=market)
        finally:
            # A price heard meanwhile found the old halt, and made no new one.
            watch.is_halted = self._stands(market)
            self._judge(market, watch)
        if is_lifted and not watch.is_halted:
            logger.bind(event="risk", reason=VOLATILITY, actor=ACTOR, market=str(market)).warning(
                "purchases of a market go on: its price is calm again"
            )

    # --- one market ------------------------------------------------------------------------------

    def _judge_all(self) -> None:
        for market, watch in self._watched.items():
            watch.recent.move_to(self._minute())
            self._judge(market, watch)

    def _judge(self, market: Market, watch: _Watch) -> None:
        rule, bounds = self._rule, watch.recent.bounds()
        if rule is None or bounds is None or watch.is_halted or not self._leads():
            return
        if not is_volatile(*bounds, threshold_pct=rule.threshold_pct):
            return
        watch.is_halted = True
        detail: dict[str, JSON] = {
            "limit": decimal_text(rule.threshold_pct),
            "actual": str(moved_pct(*bounds).quantize(_SHOWN)),
            "window_minutes": rule.minutes,
            "until": self._earliest_end(rule),
        }
        if self._switch.impose(
            reason=VOLATILITY,
            actor=ACTOR,
            market=market,
            detail=detail,
            ends="operator" if rule.resume_after is None else "condition",
        ):
            logger.bind(
                event="risk",
                reason=VOLATILITY,
                actor=ACTOR,
                market=str(market),
                **detail,
            ).error("purchases of a market are halted: its price has moved too far")
            self._wake()

    def _earliest_end(self, rule: _Rule) -> str | None:
        if rule.resume_after is None:
            return None
        return rfc3339(self._clock.now() + timedelta(minutes=rule.resume_after))

    def _notice_release(self, market: Market, watch: _Watch) -> None:
        """Begin anew after an operator ended our halt."""
        if not watch.is_halted or self._stands(market):
            return
        watch.is_halted, watch.fresh_from = False, self._minute()
        watch.recent = RecentRange(minutes=watch.recent.minutes)

    def _stands(self, market: Market) -> bool:
        return self._switch.stands(reason=VOLATILITY, actor=ACTOR, market=market)

    def _bounds(self, market: Market) -> tuple[Decimal, Decimal] | None:
        watch = self._watched.get(market)
        if watch is None:
            return None
        watch.recent.move_to(self._minute())
        return watch.recent.bounds()

    def _minute(self) -> int:
        return minute_of(self._clock.now())


def _has_hole(watch: _Watch, minute: int) -> bool:
    """Whether stored prices may know what was not heard: of an earlier time, or of now."""
    is_silent = watch.heard is None or minute - watch.heard > 1
    return is_silent or watch.hole_ends is not None


def _instant(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
