"""Passes of jobs by the hour: equal to the passes themselves, for any writer and time."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.errors import CheckViolation

from service.domain.latency import LAST_BUCKET, LEAST_MS, Sketch, bucket_of
from service.ports.store import JobRun
from service.store.database.dsn import connect, parameters
from service.store.database.pool import Cursor, Pool, open_pool
from service.store.migrations.migrate import migrations_folder
from service.store.queries.metrics import PASSES_UPTO, PgStatistics
from service.store.tables.metrics import PgMetricRows
from tests.builders import T0
from tests.integration.store.seeds import execute, rows, until_locked_out
from tests.integration.store.test_metrics import a_run, latencies, shown

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MONTH = 31 * 24 * HOUR
JOBS = ("collect_market_data", "send_alerts", "sync_pending_orders")

Hours = dict[tuple[datetime, str, bool], Sketch]

STORED = "SELECT hour, job, success, count, sum_ms, max_ms, buckets, counts FROM job_hours"
PASSES = "SELECT job, started_at, success, duration_ms FROM job_runs"
OF_THE_SAME_ROWS = """
    SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms),
           count(*), count(*) FILTER (WHERE success), max(duration_ms), avg(duration_ms)
      FROM job_runs
     WHERE started_at >= %(since)s AND started_at < %(until)s
"""


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


async def stored(pool: Pool) -> Hours:
    return {
        (hour, job, success): Sketch(
            count, round(sum_ms, 3), max_ms, dict(zip(buckets, counts, strict=True))
        )
        for hour, job, success, count, sum_ms, max_ms, buckets, counts in await rows(pool, STORED)
    }


async def added_up_again(pool: Pool) -> Hours:
    hours: Hours = {}
    for job, at, success, ms in await rows(pool, PASSES):
        hours.setdefault((hour_of(at), job, success), Sketch()).add(ms)
    for sketch in hours.values():
        # In another order floats add up to something else in their last digits.
        sketch.sum_ms = round(sketch.sum_ms, 3)
    return hours


async def window(pool: Pool, since: datetime, until: datetime) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await PgStatistics(pool).jobs(since=since, until=until))
    return answer


def some_runs(count: int, *, seed: int, over: timedelta = 5 * HOUR) -> list[JobRun]:
    chance = random.Random(seed)
    return [
        a_run(
            seed * 100_000 + n,
            job=chance.choice(JOBS),
            started_at=T0 + over * chance.random(),
            duration_ms=ms,
            error="ExchangeUnavailable" if chance.random() < 0.2 else None,
        )
        for n, ms in enumerate(latencies(count, seed=seed))
    ]


# --- what is written ------------------------------------------------------------------------------


@pytest.mark.proves("S6.2", "FR-006")
async def test_hours_are_what_the_passes_add_up_to(pool: Pool) -> None:
    runs, store = some_runs(900, seed=1), PgMetricRows(pool)

    for part in range(7):
        await store.add_job_runs(runs[part::7])

    hours = await stored(pool)
    assert len(hours) > 20
    assert {success for _, _, success in hours} == {True, False}
    assert hours == await added_up_again(pool)


async def test_what_is_sent_again_is_counted_once(pool: Pool) -> None:
    runs, store = some_runs(60, seed=2), PgMetricRows(pool)

    await store.add_job_runs(runs[:40])
    await store.add_job_runs(runs[:40])
    await store.add_job_runs([*runs[20:], *runs[50:]])

    hours = await stored(pool)
    assert sum(sketch.count for sketch in hours.values()) == 60
    assert hours == await added_up_again(pool)


async def test_a_batch_that_is_refused_is_in_no_hour(pool: Pool) -> None:
    with pytest.raises(CheckViolation):
        await PgMetricRows(pool).add_job_runs([a_run(1), a_run(2, attempts=0)])

    assert await stored(pool) == {}


async def test_more_than_two_bytes_hold_fall_into_one_bucket(pool: Pool) -> None:
    """A clock that stands still keeps a week of passes in one hour."""
    store = PgMetricRows(pool)
    await store.add_job_runs([a_run(1)])
    await execute(pool, "UPDATE job_hours SET count = 40000, counts = '{40000}'")

    await store.add_job_runs([a_run(2)])

    (sketch,) = (await stored(pool)).values()
    assert sketch.count == sum(sketch.buckets.values()) == 40_001


async def test_two_recorders_at_once_lose_nothing(dsn: str) -> None:
    """Over the same hours, crosswise, and every third pass sent by both."""
    runs = some_runs(1_200, seed=3)
    async with (
        open_pool(dsn, minsize=2, maxsize=2) as one,
        open_pool(dsn, minsize=2, maxsize=2) as other,
    ):

        async def record(pool: Pool, batches: Sequence[Sequence[JobRun]]) -> None:
            for batch in batches:
                await PgMetricRows(pool).add_job_runs(batch)

        shared = [runs[n::30] for n in range(0, 30, 3)]
        mine = [*(runs[n::30] for n in range(1, 30, 3)), *shared]
        its = [*shared, *(runs[n::30][::-1] for n in range(2, 30, 3))]
        await asyncio.gather(record(one, mine), record(other, its))

        hours = await stored(one)
        assert sum(sketch.count for sketch in hours.values()) == 1_200
        assert hours == await added_up_again(one)


class WithinTransaction(Pool):
    """Stands in for a pool whose statement is not answered yet."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    @asynccontextmanager
    async def cursor(self) -> AsyncIterator[Cursor]:
        yield self._cursor


@pytest.mark.parametrize("sent_again", [True, False])
async def test_who_writes_to_an_hour_that_is_being_written_waits_and_adds(
    pool: Pool, *, sent_again: bool
) -> None:
    """Also when it is the same batch: its answer did not come, and the server went on with it."""
    runs, others = some_runs(30, seed=4), some_runs(30, seed=5)
    async with pool.transaction() as unanswered:
        await PgMetricRows(WithinTransaction(unanswered)).add_job_runs(runs)
        more = [*runs, *others] if sent_again else others
        waiting = asyncio.create_task(PgMetricRows(pool).add_job_runs(more))
        await until_locked_out(pool, 1)
    await waiting

    hours = await stored(pool)
    assert sum(sketch.count for sketch in hours.values()) == 60
    assert hours == await added_up_again(pool)


async def test_passes_of_an_older_version_are_counted_by_the_migration(
    pool: Pool, dsn: str
) -> None:
    await PgMetricRows(pool).add_job_runs(some_runs(400, seed=9, over=70 * 24 * HOUR))
    written = await stored(pool)

    with closing(connect(parameters(dsn))) as connection, connection.cursor() as cursor:
        for file in ("0013_job_hours.rollback.sql", "0013_job_hours.sql"):
            cursor.execute((migrations_folder() / file).read_text())

    assert len({hour.month for hour, _, _ in written}) == 4
    assert await stored(pool) == written


async def test_postgresql_finds_the_bucket_that_python_finds(pool: Pool) -> None:
    corners = [0.0, LEAST_MS / 2, LEAST_MS, 1.0, 9.6e6, 1e12]
    durations = [*corners, *latencies(5_000, seed=6, around_ms=40.0)]

    found = await rows(
        pool,
        "SELECT bucket_of(ms) FROM unnest(%(ms)s::float8[]) WITH ORDINALITY AS t (ms, n)"
        " ORDER BY n",
        {"ms": durations},
    )

    assert [bucket for (bucket,) in found] == [bucket_of(ms) for ms in durations]
    assert found[5] == (LAST_BUCKET,)


# --- what is answered -----------------------------------------------------------------------------


@given(
    passes=st.lists(
        st.tuples(
            st.floats(min_value=0.01, max_value=600_000, allow_nan=False),
            st.integers(min_value=0, max_value=100 * 60 - 1),
            st.booleans(),
        ),
        min_size=1,
        max_size=40,
    )
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_set_of_passes_leads_a_long_window_further_astray_than_one_percent(
    pool: Pool, passes: list[tuple[float, int, bool]]
) -> None:
    """Half an hour of them is read pass by pass: the last hour is not whole."""
    since, until = T0 + HOUR / 2, T0 + 100 * HOUR + HOUR / 2
    await execute(pool, "TRUNCATE job_runs, job_hours")
    await PgMetricRows(pool).add_job_runs(
        [
            a_run(
                n, duration_ms=ms, started_at=since + at * MINUTE, error=None if ok else "Refused"
            )
            for n, (ms, at, ok) in enumerate(passes)
        ]
    )

    (item,) = (await window(pool, since, until))["items"]

    same = await rows(pool, OF_THE_SAME_ROWS, {"since": since, "until": until})
    ((percentiles, count, successes, max_ms, mean_ms),) = same
    assert shown(item) == pytest.approx(percentiles, rel=0.010_001, abs=0.001)
    assert (item["count"], item["successes"], item["failures"]) == (
        count, successes, count - successes,
    )  # fmt: skip
    assert item["max_ms"] == pytest.approx(max_ms, abs=0.000_501)
    assert item["mean_ms"] == pytest.approx(mean_ms, abs=0.000_501)


async def test_a_long_window_says_what_a_short_one_says(pool: Pool) -> None:
    await PgMetricRows(pool).add_job_runs(some_runs(3_000, seed=7, over=47 * HOUR))
    end = T0 + 47 * HOUR

    exact = (await window(pool, T0, end))["items"]
    by_hour = (await window(pool, T0 - MONTH, end + 7 * MINUTE))["items"]

    near = {"p50_ms", "p95_ms", "p99_ms"}
    assert [item["job"] for item in by_hour] == list(JOBS)
    for short, long in zip(exact, by_hour, strict=True):
        assert long.keys() == short.keys()
        for name, value in short.items():
            assert long[name] == (pytest.approx(value, rel=0.01) if name in near else value), name


@pytest.mark.parametrize("offset_minutes", [0, 1, 37, 59])
@pytest.mark.parametrize("hours", [48, 49, 100, 744])
async def test_a_window_is_whole_and_a_long_one_begins_with_a_whole_hour(
    pool: Pool, offset_minutes: int, hours: int
) -> None:
    until = T0 + offset_minutes * MINUTE
    since = until - hours * HOUR
    step = 19 * MINUTE * max(hours // 100, 1)
    every = [since - 2 * HOUR + n * step for n in range((hours + 4) * HOUR // step)]
    await PgMetricRows(pool).add_job_runs([a_run(n, started_at=at) for n, at in enumerate(every)])

    answer = await window(pool, since, until)

    begins = since if hours * HOUR <= PASSES_UPTO else hour_of(since)
    assert answer["since"] == begins.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert answer["items"][0]["count"] == sum(begins <= at < until for at in every)


async def test_hours_outlive_their_passes(pool: Pool) -> None:
    await PgMetricRows(pool).add_job_runs(some_runs(500, seed=8))
    await PgMetricRows(pool).add_job_runs(
        [a_run(n, job=job, started_at=T0 - HOUR) for n, job in enumerate(JOBS)]
    )
    before = await window(pool, T0 - MONTH, T0 + 5 * HOUR)

    await execute(pool, "DELETE FROM job_runs WHERE started_at >= %(at)s", {"at": T0})

    after = await window(pool, T0 - MONTH, T0 + 5 * HOUR)
    assert [item | {"last": None} for item in after["items"]] == [
        item | {"last": None} for item in before["items"]
    ]


async def test_a_job_that_stood_still_all_month_is_shown_with_its_last_pass(pool: Pool) -> None:
    await PgMetricRows(pool).add_job_runs(
        [a_run(1, job="b", started_at=T0 - MONTH - HOUR), a_run(2, job="a", error="Refused")]
    )

    failed, stood_still = (await window(pool, T0 - MONTH, T0 + HOUR))["items"]

    assert (failed["job"], failed["count"], failed["success_rate"]) == ("a", 1, 0)
    assert (stood_still["job"], stood_still["count"], stood_still["failures"]) == ("b", 0, 0)
    assert stood_still["success_rate"] is stood_still["p99_ms"] is stood_still["mean_ms"] is None
    assert stood_still["last"]["duration_ms"] == 12.5


async def test_without_a_pass_a_long_window_has_no_jobs(pool: Pool) -> None:
    assert (await window(pool, T0 - MONTH, T0))["items"] == []


async def test_no_percentile_of_a_long_window_is_above_the_maximum(pool: Pool) -> None:
    await PgMetricRows(pool).add_job_runs([a_run(n, duration_ms=10.0) for n in range(100)])

    (item,) = (await window(pool, T0 - MONTH, T0 + HOUR))["items"]

    assert item["p99_ms"] <= item["max_ms"] == 10.0
