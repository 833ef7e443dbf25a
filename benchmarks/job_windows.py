"""Reading the statistics of jobs over a day and over a month of passes."""

import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from service.store.database.pool import Pool, open_pool
from service.store.queries.job_metrics import JOBS
from service.store.queries.metrics import PgStatistics
from service.store.queries.page import INSTANT


async def print_reads(dsn: str, *, until: datetime) -> None:
    """Statistics of jobs: a day, 31 days by the hour, and 31 days pass by pass."""
    day, month = until - timedelta(hours=24), until - timedelta(days=31)
    async with open_pool(dsn, minsize=1, maxsize=1) as pool:
        stats = PgStatistics(pool)
        for name, read in {
            "jobs, a day": lambda: stats.jobs(since=day, until=until),
            "jobs, 31 days": lambda: stats.jobs(since=month, until=until),
            "the same, pass by pass": lambda: _pass_by_pass(pool, month, until),
        }.items():
            print(f"{name:30} {await _median_ms(read):8.2f} ms", flush=True)


async def _pass_by_pass(pool: Pool, since: datetime, until: datetime) -> None:
    """Read passes, as the service does for windows up to two days."""
    async with pool.cursor() as cursor:
        await cursor.execute(JOBS, {"since": since, "until": until, "instant": INSTANT})


async def _median_ms(work: Callable[[], Awaitable[object]], *, times: int = 20) -> float:
    took = []
    for _ in range(times):
        began = time.monotonic()
        await work()
        took.append((time.monotonic() - began) * 1000)
    return statistics.median(took)
