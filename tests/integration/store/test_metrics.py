"""What is measured, on real PostgreSQL: percentiles against numpy, sums, windows, room."""

import asyncio
import json
import math
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.latency import Sketch
from service.domain.model_budget import Reservation
from service.domain.signals import Usage
from service.ports.store import JobRun, RequestSlot
from service.store.database.pool import Pool
from service.store.queries.metrics import MINUTES_KEPT, PgStatistics
from service.store.tables.metrics import PgMetricRows
from service.store.tables.model_spending import PgModelSpending
from service.store.tables.signals import PgSignals
from tests.builders import T0, an_answer
from tests.integration.store.seeds import a_call, execute, rows

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAY = timedelta(days=1)
RATIOS = (50, 95, 99)


def a_run(n: int = 1, **overrides: Any) -> JobRun:
    values: dict[str, Any] = {
        "run_id": str(UUID(int=n)),
        "job": "collect_market_data",
        "started_at": T0,
        "finished_at": T0,
        "duration_ms": 12.5,
        "attempts": 1,
        "error": None,
        "code": None,
    }
    return JobRun(**values | overrides)


def a_slot(durations_ms: Iterable[float] = (1.0,), **overrides: Any) -> RequestSlot:
    sketch = Sketch()
    for ms in durations_ms:
        sketch.add(ms)
    values: dict[str, Any] = {
        "minute": T0,
        "route": "/api/v1/signals",
        "method": "GET",
        "status_class": 2,
        "sketch": sketch,
    }
    return RequestSlot(**values | overrides)


async def jobs(pool: Pool, *, hours: int = 24) -> list[dict[str, Any]]:
    body = await PgStatistics(pool).jobs(since=T0, until=T0 + hours * HOUR)
    items: list[dict[str, Any]] = json.loads(body)["items"]
    return items


async def requests(pool: Pool, since: datetime, until: datetime) -> list[dict[str, Any]]:
    body = await PgStatistics(pool).requests(since=since, until=until)
    items: list[dict[str, Any]] = json.loads(body)["items"]
    return items


def latencies(count: int, *, seed: int, around_ms: float = 5.0) -> list[float]:
    chance = random.Random(seed)
    return [round(chance.lognormvariate(math.log(around_ms), 0.8), 3) for _ in range(count)]


def percentiles(samples: Sequence[float]) -> list[float]:
    return [float(value) for value in np.percentile(samples, RATIOS)]


def shown(item: dict[str, Any]) -> list[float]:
    return [item[f"p{ratio}_ms"] for ratio in RATIOS]


# --- jobs -----------------------------------------------------------------------------------------


@pytest.mark.proves("S6.2", "SC-006", "FR-006")
@pytest.mark.parametrize("count", [1, 2, 3, 100, 8_640])
async def test_percentiles_of_a_job_are_exact(pool: Pool, count: int) -> None:
    took = latencies(count, seed=count)
    await PgMetricRows(pool).add_job_runs(
        [a_run(n, duration_ms=ms, started_at=T0 + n * MINUTE / 6) for n, ms in enumerate(took)]
    )

    (item,) = await jobs(pool)

    assert shown(item) == pytest.approx(percentiles(took), abs=0.000_501)
    assert item["max_ms"] == max(took)
    assert item["mean_ms"] == pytest.approx(float(np.mean(took)), abs=0.000_501)
    assert item["count"] == item["successes"] == count


async def test_failures_count_with_their_durations_and_the_last_pass_is_told(pool: Pool) -> None:
    await PgMetricRows(pool).add_job_runs(
        [
            a_run(1, duration_ms=10.0),
            a_run(2, duration_ms=30.0, started_at=T0 + MINUTE),
            a_run(
                3,
                duration_ms=7_000.0,
                started_at=T0 + 2 * MINUTE,
                finished_at=T0 + DAY,
                attempts=4,
                error="ExchangeUnavailable",
                code="upbit\x00500",
            ),
        ]
    )

    (item,) = await jobs(pool)

    assert item == {
        "job": "collect_market_data",
        "count": 3,
        "successes": 2,
        "failures": 1,
        "success_rate": 0.666667,
        "p50_ms": 30.0,
        "p95_ms": 6303.0,
        "p99_ms": 6860.6,
        "max_ms": 7000.0,
        "mean_ms": 2346.667,
        "last": {
            "started_at": "2026-01-24T09:02:00.000000Z",
            "finished_at": "2026-01-25T09:00:00.000000Z",
            "duration_ms": 7000,
            "attempts": 4,
            "success": False,
            "error": "ExchangeUnavailable",
            "code": "upbit\N{REPLACEMENT CHARACTER}500",
        },
    }


async def test_a_window_takes_its_beginning_and_leaves_its_end(pool: Pool) -> None:
    edges = [T0 - MINUTE, T0, T0 + HOUR - MINUTE, T0 + HOUR]
    await PgMetricRows(pool).add_job_runs(
        [a_run(n, started_at=at, duration_ms=float(n)) for n, at in enumerate(edges)]
    )

    (item,) = await jobs(pool, hours=1)

    assert (item["count"], item["max_ms"]) == (2, 2.0)


async def test_a_job_that_did_not_run_in_the_window_is_shown_with_its_last_pass(pool: Pool) -> None:
    await PgMetricRows(pool).add_job_runs(
        [a_run(1, job="b", started_at=T0 - DAY), a_run(2, job="a")]
    )

    ran, stood_still = await jobs(pool)

    assert (ran["job"], ran["count"]) == ("a", 1)
    assert (stood_still["job"], stood_still["count"]) == ("b", 0)
    assert stood_still["success_rate"] is stood_still["p99_ms"] is None
    assert stood_still["last"]["started_at"] == "2026-01-23T09:00:00.000000Z"


async def test_without_a_pass_there_are_no_jobs(pool: Pool) -> None:
    assert await jobs(pool) == []


async def test_a_run_that_is_sent_twice_is_stored_once(pool: Pool) -> None:
    store = PgMetricRows(pool)
    await store.add_job_runs([a_run(1), a_run(2)])
    await store.add_job_runs([a_run(2, duration_ms=99.0), a_run(3)])

    (item,) = await jobs(pool)

    assert (item["count"], item["max_ms"]) == (3, 12.5)


MANY_RUNS = """
    INSERT INTO job_runs (run_id, job, started_at, finished_at, duration_ms, attempts, success)
    SELECT gen_random_uuid(), 'job_' || n %% 5, %(at)s - n * interval '10 s', now(), n, 1, true
      FROM generate_series(1, 20000) AS n
"""


async def test_a_jobs_window_is_one_range_of_the_index(pool: Pool) -> None:
    async with pool.transaction() as cursor:
        # The tests' server commits lazily, and what is not on disk yet is not visible to all.
        await cursor.execute("SET LOCAL synchronous_commit = on")
        await cursor.execute(MANY_RUNS, {"at": T0})
    await execute(pool, "VACUUM ANALYZE job_runs")

    plan = await rows(
        pool,
        """
        EXPLAIN SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms),
                       count(*) FILTER (WHERE success)
                  FROM job_runs
                 WHERE job = 'job_1' AND started_at >= %(since)s AND started_at < %(until)s
        """,
        {"since": T0 - HOUR, "until": T0},
    )

    assert "Index Only Scan using job_runs_2026_01_job_started_at" in "\n".join(
        line for (line,) in plan
    )


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.proves("S6.2", "FR-006")
@pytest.mark.parametrize("count", [1, 2, 7, 1_000, 20_000])
async def test_percentiles_of_a_route_are_within_one_percent(pool: Pool, count: int) -> None:
    took = latencies(count, seed=count)
    await PgMetricRows(pool).add_requests(
        [a_slot(took[n::13], minute=T0 + n * MINUTE) for n in range(13) if took[n::13]]
    )

    (item,) = await requests(pool, T0, T0 + HOUR)

    assert shown(item) == pytest.approx(percentiles(took), rel=0.01, abs=0.001)
    assert item["max_ms"] == max(took)
    assert item["mean_ms"] == pytest.approx(float(np.mean(took)), abs=0.001)
    assert item["count"] == count


@given(
    took=st.lists(
        st.floats(min_value=0.01, max_value=600_000, allow_nan=False), min_size=1, max_size=40
    )
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_set_of_durations_leads_further_astray_than_one_percent(
    pool: Pool, took: list[float]
) -> None:
    await execute(pool, "TRUNCATE request_stats")
    await PgMetricRows(pool).add_requests([a_slot(took)])

    (item,) = await requests(pool, T0, T0 + HOUR)

    assert shown(item) == pytest.approx(percentiles(took), rel=0.010_001, abs=0.001)


async def test_many_flushes_of_a_minute_are_one_row_that_says_the_same(pool: Pool) -> None:
    took = latencies(3_000, seed=1)
    store = PgMetricRows(pool)
    for part in range(6):
        await store.add_requests([a_slot(took[part::6])])

    (item,) = await requests(pool, T0, T0 + HOUR)

    stored = await rows(pool, "SELECT minutes, count, buckets, counts FROM request_stats")
    whole = a_slot(took).sketch.buckets
    assert {minutes for minutes, *_ in stored} == {1, 60}
    for _, count, buckets, counts in stored:
        assert count == sum(counts) == 3_000
        assert dict(zip(buckets, counts, strict=True)) == whole
    assert shown(item) == pytest.approx(percentiles(took), rel=0.01)


async def test_a_flood_in_one_bucket_is_counted_to_the_last_request(pool: Pool) -> None:
    store, flood = PgMetricRows(pool), Sketch()
    flood.add(1.0)
    ((bucket, _),) = flood.buckets.items()
    flood.count, flood.sum_ms, flood.buckets[bucket] = 100_000, 100_000.0, 100_000
    quick = a_slot([0.5] * 100_000)

    for slot in (a_slot(sketch=flood), quick, a_slot(sketch=flood)):
        await store.add_requests([slot])

    (item,) = await requests(pool, T0, T0 + HOUR)
    ((counted,),) = await rows(
        pool, "SELECT sum(n) FROM request_stats, unnest(counts) AS n WHERE minutes = 60"
    )
    assert item["count"] == counted == 300_000
    assert shown(item) == pytest.approx([1.0, 1.0, 1.0], rel=0.01)


async def test_errors_stand_beside_the_percentiles(pool: Pool) -> None:
    await PgMetricRows(pool).add_requests(
        [
            a_slot([1.0] * 6),
            a_slot([2.0] * 3, status_class=4),
            a_slot([3.0], status_class=5),
            a_slot([9.0], method="POST"),
        ]
    )

    asked, posted = await requests(pool, T0, T0 + HOUR)

    assert asked == {
        "route": "/api/v1/signals",
        "method": "GET",
        "count": 10,
        "client_errors": 3,
        "errors": 1,
        "error_rate": 0.1,
        "p50_ms": pytest.approx(1.0, rel=0.01),
        "p95_ms": pytest.approx(2.55, rel=0.01),
        "p99_ms": pytest.approx(2.91, rel=0.01),
        "max_ms": 3.0,
        "mean_ms": 1.5,
    }
    assert (posted["method"], posted["count"]) == ("POST", 1)


async def test_no_percentile_is_above_the_maximum(pool: Pool) -> None:
    await PgMetricRows(pool).add_requests([a_slot([10.0] * 100)])

    (item,) = await requests(pool, T0, T0 + HOUR)

    assert item["p99_ms"] <= item["max_ms"] == 10.0


@pytest.mark.parametrize("offset_minutes", [0, 1, 37, 59])
@pytest.mark.parametrize("hours", [1, 2, 24, 47])
async def test_hours_and_minutes_together_are_exactly_the_window(
    pool: Pool, offset_minutes: int, hours: int
) -> None:
    until = T0 + DAY + offset_minutes * MINUTE
    since = until - hours * HOUR
    every = [since + n * 7 * MINUTE for n in range(-30, hours * 9 + 30)]
    await PgMetricRows(pool).add_requests([a_slot(minute=at) for at in every])

    (item,) = await requests(pool, since, until)

    assert item["count"] == sum(since <= at < until for at in every)


async def test_the_window_within_one_hour_is_right_too(pool: Pool) -> None:
    await PgMetricRows(pool).add_requests([a_slot(minute=T0 + n * MINUTE) for n in range(60)])

    (item,) = await requests(pool, T0 + 5 * MINUTE, T0 + 50 * MINUTE)

    assert item["count"] == 45


async def test_once_the_minutes_are_dropped_a_long_window_says_the_same(pool: Pool) -> None:
    store, until = PgMetricRows(pool), T0 + 37 * MINUTE
    since = until - 100 * HOUR
    await store.add_requests([a_slot(minute=until - n * HOUR) for n in range(1, 120)])
    before = await PgStatistics(pool).requests(since=since, until=until)

    await store.drop_minutes(before=until - MINUTES_KEPT)

    after = await PgStatistics(pool).requests(since=since, until=until)
    minutes = await rows(pool, "SELECT count(*) FROM request_stats WHERE minutes = 1")
    assert json.loads(after) == json.loads(before)
    assert json.loads(after)["since"] == "2026-01-20T05:00:00.000000Z"
    assert json.loads(after)["items"][0]["count"] == 100
    assert minutes == [(48,)]


async def test_a_quiet_window_has_no_routes(pool: Pool) -> None:
    assert await requests(pool, T0, T0 + HOUR) == []


async def test_two_flushes_at_once_lose_nothing(dsn: str, pool: Pool) -> None:
    store = PgMetricRows(pool)
    batches = [[a_slot([5.0], route=f"/{n}") for n in range(20)] for _ in range(10)]
    await asyncio.gather(
        *(store.add_requests(batch[:: (-1) ** n]) for n, batch in enumerate(batches))
    )

    items = await requests(pool, T0, T0 + HOUR)

    assert [item["count"] for item in items] == [10] * 20


# --- a day at 100 requests a second ---------------------------------------------------------------

#: route and share of the requests: a page that renews itself, scripts, probes, the odd look
MIX = {
    "/api/v1/dashboard/summary": 0.40, "/health": 0.20, "/health/detailed": 0.10,
    "/api/v1/market/latest": 0.08, "/api/v1/market/candles": 0.06, "/api/v1/signals": 0.05,
    "/api/v1/trading/orders": 0.04, "/api/v1/trading/position": 0.03, "/metrics": 0.01,
    "/api/v1/signals/{id}": 0.01, "/api/v1/trading/fills": 0.01, "/api/v1/config": 0.01,
}  # fmt: skip


async def test_a_day_at_100_requests_a_second_takes_at_most_20_mb(pool: Pool) -> None:
    """Sketches of real samples, through the real statement; what they are drawn from repeats."""
    store, chance = PgMetricRows(pool), np.random.default_rng(7)
    drawn = {
        route: [
            a_slot(chance.lognormal(math.log(4), 0.6, int(6_000 * share)).tolist()).sketch
            for _ in range(17)
        ]
        for route, share in MIX.items()
    }
    for hour in range(24):
        minutes = [T0 + hour * HOUR + n * MINUTE for n in range(60)]
        await store.add_requests(
            [
                a_slot(minute=at, route=route, sketch=sketches[n % len(sketches)])
                for n, at in enumerate(minutes)
                for route, sketches in drawn.items()
            ]
        )

    sizes = await rows(
        pool,
        """
        SELECT (SELECT sum(pg_total_relation_size(part)) FROM month_tables('request_stats')),
               sum(count) FILTER (WHERE minutes = 1)
          FROM request_stats
        """,
    )

    ((size, count),) = sizes
    assert count > 8_600_000
    assert 1_000_000 < size <= 20_000_000, size


# --- the model ------------------------------------------------------------------------------------


async def model_calls(pool: Pool, days: int = 7) -> dict[str, Any]:
    midnight = datetime(2026, 1, 24, 15, tzinfo=UTC)  # in Korea
    body = await PgStatistics(pool).model_calls(
        since=midnight - days * DAY,
        until=midnight,
        today=date(2026, 1, 24),
        budget_usd=Decimal(2),
    )
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.mark.proves("S6.3", "FR-006")
async def test_a_days_calls_tokens_and_cost_stand_by_model(pool: Pool) -> None:
    signals = PgSignals(pool)
    await signals.add_call(a_call(duration_ms=100.0, cost_usd=Decimal("0.0010000001")))
    await signals.add_call(a_call(duration_ms=300.0, cost_usd=Decimal("0.002"), outcome="unusable"))
    await signals.add_call(a_call(duration_ms=5000.0, answer=None, cost_usd=None, outcome="error"))
    await signals.add_call(a_call(model="other", answer=an_answer(usage=Usage()), cost_usd=None))
    await signals.add_call(a_call(started_at=T0 - DAY))

    found = await model_calls(pool)

    today, other, yesterday = found["items"]
    assert today == {
        "day": "2026-01-24",
        "model": "gemini-3.8-flash",
        "calls": 3,
        "ok": 1,
        "unusable": 1,
        "error": 1,
        "input_tokens": 2400,
        "output_tokens": 170,
        "thinking_tokens": 600,
        "cached_tokens": 0,
        "total_tokens": 3170,
        "cost_usd": "0.0030000001",
        "calls_without_cost": 1,
        "p50_ms": 300.0,
        "p95_ms": 4530.0,
        "max_ms": 5000.0,
    }
    assert (other["model"], other["cost_usd"], other["calls_without_cost"]) == ("other", None, 1)
    assert yesterday["day"] == "2026-01-23"
    assert found["total"]["calls"] == 5
    assert found["total"]["cost_usd"] == "0.003123456889"
    assert found["total"]["calls_without_cost"] == 2


async def test_days_of_model_calls_are_korean_and_the_answer_says_so(pool: Pool) -> None:
    midnight = datetime(2026, 1, 23, 15, tzinfo=UTC)
    last = midnight - timedelta(microseconds=1)
    signals = PgSignals(pool)
    await signals.add_call(a_call(started_at=last, cost_usd=Decimal("0.1")))
    await signals.add_call(a_call(started_at=midnight, cost_usd=Decimal("0.2")))
    await signals.add_call(a_call(started_at=last + DAY, cost_usd=Decimal("0.4")))

    today = await model_calls(pool, days=1)
    both = await model_calls(pool, days=2)

    assert [(item["day"], item["cost_usd"]) for item in today["items"]] == [("2026-01-24", "0.6")]
    assert [(item["day"], item["cost_usd"]) for item in both["items"]] == [
        ("2026-01-24", "0.6"),
        ("2026-01-23", "0.1"),
    ]
    assert both["time_zone"] == "Asia/Seoul"
    assert today["since"] == "2026-01-23T15:00:00.000000Z"


async def test_without_a_call_the_total_is_nothing(pool: Pool) -> None:
    found = await model_calls(pool)

    assert found["items"] == []
    assert found["total"]["calls"] == 0
    assert found["total"]["cost_usd"] is None
    assert found["budget"] == {
        "day": "2026-01-24",
        "budget_usd": "2",
        "used_usd": "0",
        "reserved_usd": "0",
        "left_usd": "2",
    }


async def test_the_budget_of_today_stands_beside_what_is_used_and_reserved(pool: Pool) -> None:
    spending = PgModelSpending(pool)
    ended = Reservation(day=date(2026, 1, 24), usd=Decimal("0.50"))
    for day in (24, 24, 23):
        one = Reservation(day=date(2026, 1, day), usd=Decimal("0.50"))
        await spending.reserve(one, budget_usd=None)
    await PgSignals(pool).add_call(a_call(reservation=ended, booked_usd=Decimal("0.25")))

    found = await model_calls(pool)

    assert found["budget"] == {
        "day": "2026-01-24",
        "budget_usd": "2",
        "used_usd": "0.25",
        "reserved_usd": "0.5",
        "left_usd": "1.25",
    }
