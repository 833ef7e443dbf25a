"""Halts purchases while our clock is far off: ages and time limits would be judged wrongly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loguru import logger

from service.domain.trading_states import TradingStatus
from service.ports.clock import MarketClock, RealClock
from service.ports.store import TradingStates

REASON: Final = "clock_skew"
ACTOR: Final = "system:clock"
FAR_OFF_S: Final = 30.0
FINE_S: Final = 2.0
#: So many answers over so long: answers of one moment may all come from one wrong server.
ANSWERS: Final = 5
HALT_AFTER_S: Final = 10.0
#: Longer than for the halt: a clock that was just set may be set again.
RESUME_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive answers that agree."""

    since: float  #: `RealClock.monotonic()`
    until: float  #: `RealClock.monotonic()` of the last answer; the time after it does not count
    answers: int

    def lasted(self, seconds: float) -> bool:
        return self.answers >= ANSWERS and self.until - self.since >= seconds


class ClockGuard:
    """Halts purchases while our clock is far off the exchange's, and ends only this halt.

    If an operator ends it while the clock is still off, the guard halts it again.

    Args:
        leads: whether this process trades; the clock of a standby does not matter.
    """

    def __init__(
        self,
        *,
        state: TradingStates,
        clock: MarketClock,
        real_clock: RealClock,
        leads: Callable[[], bool],
    ) -> None:
        self._state = state
        self._clock = clock
        self._real_clock = real_clock
        self._leads = leads
        self._off: _Run | None = None
        self._fine: _Run | None = None
        self._skew_s = 0.0

    async def look(self, skews_s: Sequence[float]) -> None:
        """Take the skew of each answer since the last call; halt or resume trading.

        Call it every few seconds, also without answers. Raises: BoundaryError, when the halt or
        its end cannot be stored; the next call tries again.
        """
        if skews_s:
            now = self._real_clock.monotonic()
            # A skew between FINE_S and FAR_OFF_S ends both runs.
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
        if await self._stands():
            return
        at, skew_s = self._clock.now(), round(self._skew_s, 1)
        halted = await self._state.halt(
            kind=TradingStatus.REDUCING,
            reason=REASON,
            actor=ACTOR,
            at=at,
            detail={"skew_s": skew_s},
            ends="condition",
        )
        if halted:
            logger.bind(event="risk", reason=REASON, actor=ACTOR, skew_s=skew_s).error(
                "purchases are halted: our clock is far off the exchange's, set it"
            )

    async def _resume(self) -> None:
        if not await self._stands():
            return
        at, skew_s = self._clock.now(), round(self._skew_s, 1)
        if await self._state.resume(reason=REASON, actor=ACTOR, at=at, detail={"skew_s": skew_s}):
            logger.bind(event="risk", reason=REASON, actor=ACTOR, skew_s=skew_s).warning(
                "purchases go on: our clock agrees with the exchange's again"
            )

    async def _stands(self) -> bool:
        """Whether a halt of this guard stands; other halts are neither counted nor ended."""
        halts = await self._state.standing()
        return any((halt.reason, halt.actor) == (REASON, ACTOR) for halt in halts)


def _continued(
    run: _Run | None, skews_s: Sequence[float], now: float, *, holds: bool
) -> _Run | None:
    if not holds:
        return None
    before = run or _Run(since=now, until=now, answers=0)
    return _Run(since=before.since, until=now, answers=before.answers + len(skews_s))
