"""One thing that is asked from time to time, and what its answers have come to."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.ops.health.reasons import DEFINITE, MILD, Reason, reason_of
from service.ops.health.rules import HEALTHY, Finding
from service.ports.clock import Clock

FAILURES: Final = 2  #: in a row make it unhealthy; one success makes it healthy again
STALLED_PERIODS: Final = 3
JITTER: Final = 0.1  #: of the period, at most; processes started together shall not ask together
#: A cheap question works all the same on a day whose quota is used up, or on a full disk: only a
#: real call can tell that it is over.
_REAL_CALLS_TELL: Final[frozenset[Reason]] = frozenset({"quota_exhausted", "disk_full"})
#: The whole way was broken: a sign of life is worth asking again at once.
_OUTAGE: Final[frozenset[Reason]] = frozenset({"timeout", "connection_refused", "bad_response"})


@dataclass(frozen=True, slots=True)
class ProbeSchedule:
    """Real seconds."""

    every_s: float
    timeout_s: float


class Probe:
    """Asks one thing, one question at a time.

    Args:
        chance: 0..1 anew at each call; 0.5 is the period itself.

    Attributes:
        checked_at: the market's instant of the last answer or failure.
        latency_ms: of the last answer we asked for, None after a failure.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        schedule: ProbeSchedule,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self.checked_at: datetime | None = None
        self.latency_ms: float | None = None
        self._ask = ask
        self._schedule = schedule
        self._clock = clock
        self._chance = chance
        self._seen = clock.monotonic()
        self._due = self._seen
        self._failures = 0
        self._reason: Reason | None = "starting"
        self._kept: frozenset[Reason] = frozenset()
        self._asking: asyncio.Task[float] | None = None

    @property
    def asking(self) -> asyncio.Task[float] | None:
        """The question that has not been judged yet."""
        return self._asking

    def start_if_due(self) -> None:
        """Ask, unless it is too early or the last question is still open."""
        if self._asking is None and self._clock.monotonic() >= self._due:
            self._due = self._next_due()
            self._asking = asyncio.create_task(self._timed())
            # A failure nobody will look at, because the process stops, is no news.
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())

    def take_answer(self) -> BaseException | None:
        """Judge the question if it is over; return the error if there was one."""
        task = self._asking
        if task is None or not task.done():
            return None
        self._asking = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self.failed(reason_of(error))
        else:
            self.latency_ms = task.result()
            self._note(None if self._reason not in self._kept else self._reason)
        return error

    def heard(self, error: BaseException | None) -> None:
        """Take a real call for a question: what it met says more than any probe."""
        self._due = self._next_due()
        if error is None:
            self._note(None)
            self._kept = frozenset()
        else:
            self.failed(reason_of(error))
            self._kept = _REAL_CALLS_TELL

    def proved(self) -> None:
        """Take a real call that did what may have failed before; the next question is due as was.

        For calls that are so frequent that they would keep us from ever asking, and from
        measuring how long the answer takes.
        """
        self._note(None)
        self._kept = frozenset()

    def seems_well(self) -> None:
        """Ask at once, when it was away as a whole: something of it answers again."""
        if self._reason in _OUTAGE:
            self._due = self._clock.monotonic()

    def failed(self, reason: Reason) -> None:
        self._failures += 1
        self.latency_ms = None
        certain = reason in DEFINITE or self._failures >= FAILURES
        self._note(reason if certain else self._reason, failures=self._failures)

    def finding(self) -> Finding:
        silent_s = self._clock.monotonic() - self._seen
        if silent_s > STALLED_PERIODS * self._schedule.every_s + self._schedule.timeout_s:
            return Finding("unhealthy", "prober_stalled")
        if self._reason is None:
            return HEALTHY
        return Finding("warning" if self._reason in MILD else "unhealthy", self._reason)

    def cancel(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    def _note(self, reason: Reason | None, *, failures: int = 0) -> None:
        self._reason, self._failures = reason, failures
        self._seen, self.checked_at = self._clock.monotonic(), self._clock.now()

    def _next_due(self) -> float:
        jitter = 1 + JITTER * (2 * self._chance() - 1)
        return self._clock.monotonic() + self._schedule.every_s * jitter

    async def _timed(self) -> float:
        """Return how long the answer took, milliseconds."""
        began = self._clock.monotonic()
        async with asyncio.timeout(self._schedule.timeout_s):
            await self._ask()
        return round((self._clock.monotonic() - began) * 1000, 1)
