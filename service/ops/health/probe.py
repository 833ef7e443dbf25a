"""One periodic probe, and the finding from its last answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.ops.health.reasons import DEFINITE, MILD, Reason, reason_of
from service.ops.health.rules import HEALTHY, Finding
from service.ports.clock import MarketClock, RealClock

FAILURES: Final = 2  #: in a row make a component unhealthy; one success makes it healthy
STALLED_PERIODS: Final = 3
JITTER: Final = 0.1  #: of the period, at most; so processes started together do not probe together
#: A probe's cheap request succeeds even with a used-up quota or a full disk. Only a successful real
#: call shows that these are over.
_REAL_CALLS_TELL: Final[frozenset[Reason]] = frozenset({"quota_exhausted", "disk_full"})
#: Reasons of a complete outage: after them one success elsewhere is a reason to probe at once.
_OUTAGE: Final[frozenset[Reason]] = frozenset({"timeout", "connection_refused", "bad_response"})


@dataclass(frozen=True, slots=True)
class ProbeSchedule:
    """Period and timeout, in real seconds."""

    every_s: float
    timeout_s: float


class Probe:
    """Sends one kind of request, one at a time.

    Args:
        chance: returns a random number 0..1 for the jitter; 0.5 is no jitter.

    Attributes:
        checked_at: the market's instant of the last answer or failure.
        latency_ms: of the probe's last own answer, None after a failure.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        schedule: ProbeSchedule,
        clock: MarketClock,
        real_clock: RealClock,
        chance: Callable[[], float],
    ) -> None:
        self.checked_at: datetime | None = None
        self.latency_ms: float | None = None
        self._ask = ask
        self._schedule = schedule
        self._clock = clock
        self._real_clock = real_clock
        self._chance = chance
        self._seen = real_clock.monotonic()
        self._due = self._seen
        self._failures = 0
        self._reason: Reason | None = "starting"
        self._kept: frozenset[Reason] = frozenset()
        self._asking: asyncio.Task[float] | None = None

    @property
    def asking(self) -> asyncio.Task[float] | None:
        """The request of which no result was taken yet."""
        return self._asking

    def start_if_due(self) -> None:
        """Send the request, unless it is too early or the last one is still open."""
        if self._asking is None and self._real_clock.monotonic() >= self._due:
            self._due = self._next_due()
            self._asking = asyncio.create_task(self._timed())
            # Retrieves the exception, so that asyncio does not report it when the process stops.
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())

    def take_answer(self) -> BaseException | None:
        """Take the result of a finished request; return its error, if any."""
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
        """Count a real call as a probe: its result says more than a probe's."""
        self._due = self._next_due()
        if error is None:
            self._note(None)
            self._kept = frozenset()
        else:
            self.failed(reason_of(error))
            self._kept = _REAL_CALLS_TELL

    def proved(self) -> None:
        """Count a successful real call as proof of health, without moving the next probe.

        For frequent calls: if each moved the next probe, no probe would ever run and measure the
        latency.
        """
        self._note(None)
        self._kept = frozenset()

    def seems_well(self) -> None:
        """Probe at once after a complete outage, because a part of the component answers again."""
        if self._reason in _OUTAGE:
            self._due = self._real_clock.monotonic()

    def failed(self, reason: Reason) -> None:
        self._failures += 1
        self.latency_ms = None
        certain = reason in DEFINITE or self._failures >= FAILURES
        self._note(reason if certain else self._reason, failures=self._failures)

    def finding(self) -> Finding:
        silent_s = self._real_clock.monotonic() - self._seen
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
        self._seen, self.checked_at = self._real_clock.monotonic(), self._clock.now()

    def _next_due(self) -> float:
        jitter = 1 + JITTER * (2 * self._chance() - 1)
        return self._real_clock.monotonic() + self._schedule.every_s * jitter

    async def _timed(self) -> float:
        """Return how long the answer took, milliseconds."""
        began = self._real_clock.monotonic()
        async with asyncio.timeout(self._schedule.timeout_s):
            await self._ask()
        return round((self._real_clock.monotonic() - began) * 1000, 1)
