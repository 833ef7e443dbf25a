"""Writes measurements to the database in batches, and keeps them in memory during an outage."""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from loguru import logger

from service.domain.errors import BoundaryError
from service.domain.latency import Sketch
from service.ops.metrics.requests import RequestMeter
from service.ports.clock import RealClock
from service.ports.store import JobRun, MetricRows, RequestSlot

#: Kept while the database is away: hours of passes, and hours of a dozen routes a minute.
MOST_RUNS: Final = 20_000
MOST_SLOTS: Final = 3_000
_AT_ONCE: Final = 500  #: rows a statement: making its text must not block the event loop
#: Rows by the minute are kept for two days; older windows use the rows by the hour.
_MINUTES_KEPT: Final = timedelta(hours=49)
_DROP_EVERY: Final = timedelta(hours=1)

_Key = tuple[datetime, str, str, int]


class Recorder:
    """Collects passes of jobs and minutes of requests, and flushes them to the database.

    During an outage of the database measurements stay in memory, up to a limit. The operator will
    look for the passes that failed because of it.

    Attributes:
        dropped: passes and slots dropped because of the limit.
    """

    def __init__(
        self,
        *,
        requests: RequestMeter,
        rows: MetricRows,
        real_clock: RealClock,
        most_runs: int = MOST_RUNS,
        most_slots: int = MOST_SLOTS,
    ) -> None:
        self.dropped = 0
        self._requests = requests
        self._rows = rows
        self._real_clock = real_clock
        self._most_runs, self._most_slots = most_runs, most_slots
        self._runs: deque[JobRun] = deque()
        self._slots: dict[_Key, Sketch] = {}
        self._drop_at = real_clock.utc_now()
        self._failing = False

    def note(self, run: JobRun) -> None:
        self._runs.append(run)
        while len(self._runs) > self._most_runs:
            self._runs.popleft()
            self.dropped += 1

    async def flush(self) -> None:
        """Write all measurements; after a failure keep them, and log the first failure."""
        self._keep(self._requests.take())
        try:
            await self._write_runs()
            await self._write_requests()
            await self._drop_minutes()
        except BoundaryError as exc:
            self._log_failure(exc)
            return
        if self._failing:
            self._failing = False
            logger.bind(event="app").info("what was measured is written again")

    async def _write_runs(self) -> None:
        while self._runs:
            batch = tuple(islice(self._runs, _AT_ONCE))
            await self._rows.add_job_runs(batch)
            written = {run.run_id for run in batch}
            # By run_id: meanwhile the oldest passes may have been dropped for new ones.
            while self._runs and self._runs[0].run_id in written:
                self._runs.popleft()

    async def _write_requests(self) -> None:
        while self._slots:
            # Taken out first: requests answered meanwhile start a new slot, none counts twice.
            keys = tuple(islice(self._slots, _AT_ONCE))
            batch = _as_slots({key: self._slots.pop(key) for key in keys})
            try:
                await self._rows.add_requests(batch)
            except BaseException:
                self._keep(batch)
                raise

    async def _drop_minutes(self) -> None:
        now = self._real_clock.utc_now()
        if now >= self._drop_at:
            await self._rows.drop_minutes(before=now - _MINUTES_KEPT)
            self._drop_at = now + _DROP_EVERY

    def _keep(self, slots: Iterable[RequestSlot]) -> None:
        for slot in slots:
            key = (slot.minute, slot.route, slot.method, slot.status_class)
            self._slots.setdefault(key, Sketch()).merge(slot.sketch)
        for key in sorted(self._slots)[: max(len(self._slots) - self._most_slots, 0)]:
            del self._slots[key]
            self.dropped += 1

    def _log_failure(self, exc: BoundaryError) -> None:
        if not self._failing:
            self._failing = True
            logger.bind(
                event="app", error=type(exc).__name__, cause=str(exc), dropped=self.dropped
            ).warning("what was measured cannot be written right now, it is kept")


def _as_slots(sketches: dict[_Key, Sketch]) -> Sequence[RequestSlot]:
    return [
        RequestSlot(
            minute=minute, route=route, method=method, status_class=status_class, sketch=sketch
        )
        for (minute, route, method, status_class), sketch in sketches.items()
    ]
