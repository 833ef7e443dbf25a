"""What is measured reaches the database, once, and is kept while it cannot."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from service.domain.errors import StoreBusy, StoreDown
from service.ops.metrics.recorder import Recorder
from service.ops.metrics.requests import RequestMeter
from service.ports.store import JobRun, RequestSlot
from tests.builders import T0
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs


class FakeRows:
    """Satisfies ports.MetricRows. `fail` is raised by every call while it is set."""

    def __init__(self) -> None:
        self.runs: list[JobRun] = []
        self.slots: list[RequestSlot] = []
        self.dropped_before: list[datetime] = []
        self.fail: BaseException | None = None

    async def add_job_runs(self, runs: Sequence[JobRun]) -> None:
        self._raise_failure()
        self.runs += runs

    async def add_requests(self, slots: Sequence[RequestSlot]) -> None:
        self._raise_failure()
        self.slots += slots

    async def drop_minutes(self, *, before: datetime) -> None:
        self._raise_failure()
        self.dropped_before.append(before)

    def _raise_failure(self) -> None:
        if self.fail is not None:
            raise self.fail


class Bench:
    def __init__(self, **limits: int) -> None:
        self.clock = FakeClock()
        self.meter = RequestMeter(self.clock)
        self.rows = FakeRows()
        self.recorder = Recorder(
            requests=self.meter, rows=self.rows, real_clock=self.clock, **limits
        )

    def request(self, count: int = 1) -> None:
        for _ in range(count):
            self.meter.answered(self.meter.began(), route="/x", method="GET", status=200)

    @property
    def requests_stored(self) -> int:
        return sum(slot.sketch.count for slot in self.rows.slots)


def a_run(n: int) -> JobRun:
    return JobRun(
        run_id=f"run-{n}",
        job="collect_market_data",
        started_at=T0,
        finished_at=T0,
        duration_ms=1.0,
        attempts=1,
        error=None,
        code=None,
    )


async def test_what_was_measured_is_written_once() -> None:
    bench = Bench()
    bench.recorder.note(a_run(1))
    bench.request(3)

    await bench.recorder.flush()
    await bench.recorder.flush()

    assert [run.run_id for run in bench.rows.runs] == ["run-1"]
    assert bench.requests_stored == 3


async def test_a_large_batch_is_written_in_several_statements_in_order() -> None:
    bench = Bench()
    for n in range(1_234):
        bench.recorder.note(a_run(n))

    await bench.recorder.flush()

    assert [run.run_id for run in bench.rows.runs] == [f"run-{n}" for n in range(1_234)]


@pytest.mark.proves("FR-012")
@pytest.mark.parametrize("error", [StoreDown("gone"), StoreBusy("full", retry_after_s=1)])
async def test_an_outage_loses_nothing_and_is_told_as_it_begins_and_ends(
    logs: Logs, error: Exception
) -> None:
    bench = Bench()
    bench.rows.fail = error
    for n in range(3):
        bench.recorder.note(a_run(n))
        bench.request()
        await bench.recorder.flush()
        bench.clock.pass_time(60)
    bench.rows.fail = None

    await bench.recorder.flush()

    assert len(bench.rows.runs) == 3
    assert bench.requests_stored == 3
    assert len({slot.minute for slot in bench.rows.slots}) == 3
    assert logs.levels == ["WARNING", "INFO"]


async def test_a_bug_in_a_statement_keeps_the_requests_and_is_the_runners_to_tell() -> None:
    bench = Bench()
    bench.request()
    bench.rows.fail = KeyError("bug")

    with pytest.raises(KeyError):
        await bench.recorder.flush()
    bench.rows.fail = None
    await bench.recorder.flush()

    assert bench.requests_stored == 1


async def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    bench = Bench(most_runs=3, most_slots=2)
    bench.rows.fail = StoreDown("gone")
    for n in range(5):
        bench.recorder.note(a_run(n))
        bench.request()
        await bench.recorder.flush()
        bench.clock.pass_time(60)
    bench.rows.fail = None

    await bench.recorder.flush()

    assert [run.run_id for run in bench.rows.runs] == ["run-2", "run-3", "run-4"]
    assert [slot.minute for slot in bench.rows.slots] == [
        T0 + timedelta(minutes=3),
        T0 + timedelta(minutes=4),
    ]
    assert bench.recorder.dropped == 2 + 3


async def test_old_minutes_are_dropped_once_an_hour() -> None:
    bench = Bench()
    for _ in range(121):
        await bench.recorder.flush()
        bench.clock.pass_time(60)

    hours = [T0 + timedelta(hours=n - 49) for n in range(3)]
    assert bench.rows.dropped_before == hours
