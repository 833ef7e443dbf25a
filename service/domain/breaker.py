"""A circuit breaker as a value. Failures open it; an open breaker refuses every call.

When its time is over, one call is let through as a probe. A success closes the breaker, a failure
opens it again for longer. ADR 0015 says which calls it guards, and why failures within one second
count once. Source: M. Nygard, Release It! (2007), "Circuit Breaker".
"""

from dataclasses import dataclass, replace
from typing import Final

MAX_CONSECUTIVE: Final = 5  #: failures; the last of them opens the breaker
MIN_CALLS: Final = 10  #: in the window; of fewer the failure ratio is not computed
MAX_FAILURE_RATIO: Final = 0.5  #: of the calls in the window, 0..1
WINDOW_S: Final = 30.0
#: A call that begins later than this after the last failure starts a new count of failures.
STREAK_GAP_S: Final = 30.0
ONE_MOMENT_S: Final = 1.0  #: failures closer together count once
OPEN_S: Final = (15.0, 30.0, 60.0)  #: of the first, second, third … opening; the last repeats


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission for one call."""

    at: float
    generation: int
    is_probe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The state between two calls. All instants are seconds of one monotonic clock."""

    #: Goes up when the breaker opens or closes; results of calls of an earlier one are ignored.
    generation: int = 0
    calls: tuple[tuple[float, bool], ...] = ()  #: (instant of the end, whether it worked)
    #: Failures since the last success, none more than STREAK_GAP_S after the one before.
    consecutive_failures: int = 0
    failed_at: float | None = None  #: the last failure that counted
    opened_at: float | None = None  #: None: closed
    times_opened: int = 0  #: since it was last closed
    probing: bool = False

    def wait_s(self, now: float) -> float:
        """Return for how many seconds calls are still refused; 0 when a call may be made."""
        if self.opened_at is None:
            return 0.0
        if self.probing:
            return ONE_MOMENT_S  # the probe's result will decide
        return max(self.opened_at + self._open_s() - now, 0.0)

    def begin(self, now: float) -> tuple["Breaker", Permit] | None:
        """Return a permit for one call, or None while calls are refused.

        Each permit must be given back to `end`, also after an exception.
        """
        if self.wait_s(now) > 0:
            return None
        is_probe = self.opened_at is not None
        return replace(self, probing=is_probe), Permit(now, self.generation, is_probe)

    def end(self, permit: Permit, now: float, *, worked: bool | None) -> "Breaker":
        """Return the state after the call of `permit`.

        Args: worked: None, when the result says nothing about the other side.
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
        is_consecutive = last is not None and permit.at - last <= STREAK_GAP_S
        failed = replace(
            self,
            calls=(*self._recent(now), (now, False)),
            consecutive_failures=self.consecutive_failures + 1 if is_consecutive else 1,
            failed_at=now,
        )
        return self._opened(now) if _must_open(failed) else failed

    def _opened(self, now: float) -> "Breaker":
        generation, times_opened = self.generation + 1, self.times_opened + 1
        return Breaker(generation=generation, opened_at=now, times_opened=times_opened)

    def _open_s(self) -> float:
        return OPEN_S[min(self.times_opened, len(OPEN_S)) - 1]

    def _recent(self, now: float) -> tuple[tuple[float, bool], ...]:
        return tuple(call for call in self.calls if now - call[0] <= WINDOW_S)


def _must_open(breaker: Breaker) -> bool:
    calls, failures = len(breaker.calls), sum(not worked for _, worked in breaker.calls)
    is_ratio_high = calls >= MIN_CALLS and failures >= MAX_FAILURE_RATIO * calls
    return breaker.consecutive_failures >= MAX_CONSECUTIVE or is_ratio_high
