"""A circuit breaker as a value: after enough failures nobody is asked for a while, then one is.

Source: M. Nygard, Release It! (2007), "Circuit Breaker". ADR 0015 says what it guards here, and
why failures of one moment count once.
"""

from dataclasses import dataclass, replace
from typing import Final

IN_A_ROW: Final = 5
FEWEST: Final = 10  #: calls, before their rate says anything
TOO_MANY: Final = 0.5  #: of the calls in the window
WINDOW_S: Final = 30.0
#: A later call is asked in another situation: its failure goes on with no consecutive_failures.
STREAK_GAP_S: Final = 30.0
ONE_MOMENT_S: Final = 1.0  #: failures closer together are one
OPEN_S: Final = (15.0, 30.0, 60.0)  #: the last one again and again


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call."""

    at: float
    generation: int
    is_probe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The state between two calls. All instants are seconds of one clock that never goes back."""

    generation: int = 0  #: calls of an earlier one say nothing any more
    calls: tuple[tuple[float, bool], ...] = ()  #: when each ended, and whether it worked
    consecutive_failures: int = (
        0  #: failures since the last success, each soon after the one before
    )
    failed_at: float | None = None  #: the last one that counted
    opened_at: float | None = None  #: None: closed
    times: int = 0  #: it was opened without having been closed since
    probing: bool = False

    def wait_s(self, now: float) -> float:
        """Return for how long nobody is asked yet; 0 when a call may be made."""
        if self.opened_at is None:
            return 0.0
        if self.probing:
            return ONE_MOMENT_S  # somebody finds out right now
        return max(self.opened_at + self._open_s() - now, 0.0)

    def begin(self, now: float) -> tuple["Breaker", Permit] | None:
        """Return leave for one call, or None while there is none; `end` it whatever happens."""
        if self.wait_s(now) > 0:
            return None
        is_probe = self.opened_at is not None
        return replace(self, probing=is_probe), Permit(now, self.generation, is_probe)

    def end(self, permit: Permit, now: float, *, worked: bool | None) -> "Breaker":
        """Return the state after the call of `permit`.

        Args: worked: None, when the call's end says nothing about the other side.
        """
        if permit.generation != self.generation:
            return self
        if worked is None:
            return replace(self, probing=False)
        if permit.is_probe:
            return Breaker(generation=self.generation + 1) if worked else self._opened(now)
        return self._after_success(now) if worked else self._after_failure(permit, now)

    def _after_success(self, now: float) -> "Breaker":
        return replace(self, calls=(*self._recent(now), (now, True)), consecutive_failures=0)

    def _after_failure(self, permit: Permit, now: float) -> "Breaker":
        last = self.failed_at
        if last is not None and now - last < ONE_MOMENT_S:
            return self
        goes_on = last is not None and permit.at - last <= STREAK_GAP_S
        failed = replace(
            self,
            calls=(*self._recent(now), (now, False)),
            consecutive_failures=self.consecutive_failures + 1 if goes_on else 1,
            failed_at=now,
        )
        return self._opened(now) if _is_too_much(failed) else failed

    def _opened(self, now: float) -> "Breaker":
        return Breaker(generation=self.generation + 1, opened_at=now, times=self.times + 1)

    def _open_s(self) -> float:
        return OPEN_S[min(self.times, len(OPEN_S)) - 1]

    def _recent(self, now: float) -> tuple[tuple[float, bool], ...]:
        return tuple(call for call in self.calls if now - call[0] <= WINDOW_S)


def _is_too_much(breaker: Breaker) -> bool:
    failures = sum(not worked for _, worked in breaker.calls)
    is_rate = len(breaker.calls) >= FEWEST and failures >= TOO_MANY * len(breaker.calls)
    return breaker.consecutive_failures >= IN_A_ROW or is_rate
