"""The time to read statistics of a day and of a month, after a month at 100 requests a second."""

import asyncio
import math
import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks.comparison import Result
from benchmarks.databases import Databases
from service.domain.latency import Sketch
from service.ports.store import RequestSlot
from service.store.database.pool import Pool, open_pool
from service.store.queries.metrics import MINUTES_KEPT, PgStatistics
from service.store.tables.metrics import PgMetricRows

WITHIN_MS: Final = 100.0
DAYS: Final = 31
#: route and requests a minute; 6,000 together
MIX: Final = {
    "dashboard/summary": 2_400, "health": 1_200, "health/detailed": 600, "market/latest": 480,
    "market/candles": 360, "signals": 300, "trading/orders": 240, "trading/position": 180,
    "metrics": 60, "signals/{id}": 60, "trading/fills": 60, "config": 60,
}  # fmt: skip
UNTIL: Final = datetime(2026, 2, 1, 0, 37, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)


def measure(databases: Databases) -> list[Result]:
    return asyncio.run(_measure(databases.empty("request_window")))


async def _measure(dsn: str) -> list[Result]:
    async with open_pool(dsn, minsize=1, maxsize=1) as pool:
        if await _is_empty(pool):  # the second measurement finds it full
            await _fill(pool)
        async with pool.cursor() as cursor:
            await cursor.execute("VACUUM ANALYZE request_stats")
            await cursor.execute(
                "SELECT sum(pg_total_relation_size(part)) FROM month_tables('request_stats')"
            )
            row = await cursor.fetchone()
        assert row is not None
        day, month = [await _took_ms(pool, hours) for hours in (24, 744)]
    return [
        Result(
            name="metrics/http over a day at 100 requests/s", ours=day, unit="ms", at_most=WITHIN_MS
        ),
        Result(name="metrics/http over a month", ours=month, unit="ms"),
        Result(name="a month of request histograms", ours=float(row[0]) / 1e6, unit="MB"),
    ]


async def _is_empty(pool: Pool) -> bool:
    async with pool.cursor() as cursor:
        await cursor.execute("SELECT EXISTS (SELECT FROM request_stats)")
        row = await cursor.fetchone()
    assert row is not None
    return not row[0]


async def _fill(pool: Pool) -> None:
    """Write minute after minute; drop single minutes that the service would have dropped."""
    chance, store = random.Random(7), PgMetricRows(pool)
    drawn = {route: [_drawn(chance, count) for _ in range(11)] for route, count in MIX.items()}
    hours = [UNTIL.replace(minute=0) - n * timedelta(hours=1) for n in range(DAYS * 24 + 1)]
    for hour in reversed(hours):
        kept = hour >= UNTIL - MINUTES_KEPT
        minutes = [at for n in range(60) if (at := hour + n * MINUTE) < UNTIL]
        await store.add_requests(
            [
                RequestSlot(
                    minute=at, route=route, method="GET", status_class=2, sketch=sketches[n % 11]
                )
                for n, at in enumerate(minutes)
                for route, sketches in drawn.items()
            ]
        )
        if not kept:
            await store.drop_minutes(before=hour + timedelta(hours=1))
        if hour.hour == 0:
            # A month passes in seconds here, and autovacuum runs only once a minute.
            async with pool.cursor() as cursor:
                await cursor.execute("VACUUM request_stats")


def _drawn(chance: random.Random, count: int) -> Sketch:
    sketch = Sketch()
    for _ in range(count):
        sketch.add(chance.lognormvariate(math.log(4), 0.6))
    return sketch


async def _took_ms(pool: Pool, hours: int) -> float:
    seen = []
    for _ in range(5):
        began = time.monotonic()
        await PgStatistics(pool).requests(since=UNTIL - timedelta(hours=hours), until=UNTIL)
        seen.append((time.monotonic() - began) * 1000)
    return statistics.median(seen)
