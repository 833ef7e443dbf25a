"""The log alone tells the same percentiles as the table (SC-006)."""

import io
import json
import random
from typing import Any
from uuid import UUID

import pytest

from service.domain.errors import ExchangeRefused, ExchangeUnavailable
from service.loops.loop import Loop, every
from service.loops.runner import Pass, Runner
from service.ops.log_report.parse import Tally, measured
from service.ops.log_report.summaries import log_stats
from service.ports.store import JobRun
from service.store.database.pool import Pool
from service.store.queries.metrics import PgStatistics
from service.store.tables.metrics import PgMetricRows
from tests.builders import T0
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs

PASSES = 300
NAMES = ("p50_ms", "p95_ms", "p99_ms", "max_ms", "mean_ms")
COUNTS = ("job", "count", "successes", "failures", "success_rate")


class Trouble:
    """A step that takes its time and fails now and then, for a while or for good."""

    def __init__(self, clock: FakeClock, runner: Runner, *, seed: int) -> None:
        self._clock, self._runner = clock, runner
        self._chance = random.Random(seed)
        self._left = PASSES

    async def __call__(self) -> None:
        self._clock.pass_time(self._chance.lognormvariate(-4, 1))
        luck = self._chance.random()
        if luck < 0.1:
            raise ExchangeUnavailable("busy", code="429")
        self._left -= 1
        if not self._left:
            self._runner.stop()
        if luck < 0.2:
            raise ExchangeRefused("no", code="refused")


@pytest.mark.proves("FR-009", "SC-006")
async def test_the_log_and_the_table_tell_the_same_of_the_same_passes(
    pool: Pool,
) -> None:
    clock, runs = FakeClock(), list[JobRun]()

    async def observe(done: Pass) -> None:
        runs.append(
            JobRun(
                run_id=done.run_id,
                job=done.job,
                started_at=done.started_at,
                finished_at=clock.now(),
                duration_ms=round(done.duration_ms, 3),
                attempts=done.attempts,
                error=type(done.error).__name__ if done.error else None,
                code=getattr(done.error, "code", None),
            )
        )

    ids = (str(UUID(int=n)) for n in range(10_000))
    with Logs.captured() as logs:
        for seed, name in enumerate(("collect_market_data", "sync_pending_orders")):
            runner = Runner(
                clock=clock, real_clock=clock, new_id=lambda: next(ids), observe=observe
            )
            step = Trouble(clock, runner, seed=seed)
            await runner.run(Loop(name=name, every=every(seconds=10), step=step))
    await PgMetricRows(pool).add_job_runs(runs)

    body = await PgStatistics(pool).jobs(since=T0, until=clock.now())
    by_log: Any = log_stats(measured(io.BytesIO(logs.raw), Tally()))["jobs"]

    by_table = json.loads(body)["items"]
    assert [row["job"] for row in by_table] == ["collect_market_data", "sync_pending_orders"]
    assert all(row["failures"] > 5 for row in by_table)
    for logged, stored in zip(by_log, by_table, strict=True):
        for name in (*COUNTS, *NAMES):
            assert logged[name] == stored[name], name
        for name in ("duration_ms", "attempts", "success", "error", "code"):
            assert logged["last"][name] == stored["last"][name], name
