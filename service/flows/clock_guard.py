"""No trading by a clock that is far off: ages, signals and limits would all be judged wrongly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loguru import logger

from service.ports.clock import Clock
from service.ports.store import TradingStates

REASON: Final = "clock_skew"
ACTOR: Final = "system:clock"
FAR_OFF_S: Final = 30.0
FINE_S: Final = 2.0
#: One answer, or all that came in one moment, may be one odd server's: so many over so long.
ANSWERS: Final = 5
HALT_AFTER_S: Final = 10.0
#: Slower than the halt: a clock that was just set may be set again.
RESUME_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Run:
    """Answers in a row that agree."""

    since: float  #: `Clock.monotonic()`
    until: float  #: that of the last one; the silence after it says nothing
    answers: int

    def lasted(self, seconds: float) -> bool:
        return self.answers >= ANSWERS and self.until - self.since >= seconds


class ClockGuard:
    """Halts trading while our clock is far off the exchange's, and ends only this halt of ours.

    A halt that somebody ends by hand comes back while the clock is still off.

    Args:
        leads: whether this process trades: another one's clock is of no account.
    """

    def __init__(self, *, state: TradingStates, clock: Clock, leads: Callable[[], bool]) -> None:
        self._state = state
        self._clock = clock
        self._leads = leads
        self._off: _Run | None = None
        self._fine: _Run | None = None
        self._skew_s = 0.0

    async def look(self, skews_s: Sequence[float]) -> None:
        """Take note of how far off each answer since the last look found us; halt or resume.

        Call it every few seconds, without answers too. Raises: BoundaryError, when what is
        certain cannot be stored; the next look tries again.
        """
        if skews_s:
            now = self._clock.monotonic()
            # Between fine and far off is neither: both runs end.
            self._off = _continued(
                self._off, skews_s, now, holds=min(map(abs, skews_s)) > FAR_OFF_S
            )
            self._fine = _continued(
                self._fine, skews_s, now, holds=max(map(abs, skews_s)) <= FINE_S
            )
            self._skew_s = min(skews_s, key=abs)
        if not self._leads():
            return
        if self._off is not None and self._off.lasted(HALT_AFTER_S):
            await self._halt()
        elif self._fine is not None and self._fine.lasted(RESUME_AFTER_S):
            await self._resume()

    async def _halt(self) -> None:
        state = await self._state.trading_state()
        if state.state == "HALTED":
            return
        at, skew_s = self._clock.now(), round(self._skew_s, 1)
        if await self._state.halt(reason=REASON, actor=ACTOR, at=at, detail={"skew_s": skew_s}):
            logger.bind(event="risk", reason=REASON, actor=ACTOR, skew_s=skew_s).error(
                "trading is halted: our clock is far off the exchange's, set it"
            )

    async def _resume(self) -> None:
        state = await self._state.trading_state()
        if (state.reason, state.halted_by) != (REASON, ACTOR):
            return
        at, skew_s = self._clock.now(), round(self._skew_s, 1)
        if await self._state.resume(reason=REASON, actor=ACTOR, at=at, detail={"skew_s": skew_s}):
            logger.bind(event="risk", reason=REASON, actor=ACTOR, skew_s=skew_s).warning(
                "trading goes on: our clock agrees with the exchange's again"
            )


def _continued(
    run: _Run | None, skews_s: Sequence[float], now: float, *, holds: bool
) -> _Run | None:
    if not holds:
        return None
    before = run or _Run(since=now, until=now, answers=0)
    return _Run(since=before.since, until=now, answers=before.answers + len(skews_s))
