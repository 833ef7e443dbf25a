"""The bounded queue before aiopg's pool: its cost for one read, and its refusals in a flood."""

import time
from functools import partial
from typing import Final

import aiopg

from benchmarks.comparison import Result, interleaved
from benchmarks.concurrency import LoopRunner, through_bare, through_ours, together
from benchmarks.databases import Databases
from benchmarks.pool_size import AT_ONCE, READ, ROUNDS
from service.app.resources import POOL_MAX
from service.domain.errors import StoreBusy
from service.store.database.pool import open_pool

READS: Final = 1_000  #: a round
FLOOD: Final = 500
FLOODS: Final = 3
SLOW: Final = "SELECT pg_sleep(0.05)"
AT_LEAST: Final = 0.6
REFUSED_WITHIN_MS: Final = 1_000.0  #: the longest wait in the queue


def measure(databases: Databases) -> list[Result]:
    dsn = databases.empty("pool")
    return [_against_bare_pool(dsn), _refusal(dsn)]


def _against_bare_pool(dsn: str) -> Result:
    with LoopRunner() as loop:
        ours = loop.enter(open_pool(dsn, minsize=POOL_MAX, maxsize=POOL_MAX))
        bare = loop.enter(
            aiopg.create_pool(dsn, minsize=POOL_MAX, maxsize=POOL_MAX, enable_hstore=False)
        )
        rates = interleaved(
            {
                "ours": partial(loop.rate, through_ours(ours, READ), READS, at_once=AT_ONCE),
                "bare": partial(loop.rate, through_bare(bare, READ), READS, at_once=AT_ONCE),
            },
            rounds=ROUNDS,
        )
    return Result.of(
        f"our pool / bare aiopg pool, {AT_ONCE} reads at once",
        rates["ours"], rates["bare"], unit="op/s", at_least=AT_LEAST,
    )  # fmt: skip


def _refusal(dsn: str) -> Result:
    """Five hundred at once: 20 run, 64 wait in the queue, the others are refused."""
    refused_ms: list[float] = []
    with LoopRunner() as loop:
        pool = loop.enter(open_pool(dsn, minsize=POOL_MAX, maxsize=POOL_MAX))
        operate = through_ours(pool, SLOW)

        async def attempt() -> None:
            began = time.perf_counter()
            try:
                await operate()
            except StoreBusy:
                refused_ms.append((time.perf_counter() - began) * 1000)

        for _ in range(FLOODS):
            loop.run(together(attempt, FLOOD, at_once=FLOOD))
    return Result(
        name=f"{FLOOD} at once for 50 ms, the longest until a refusal",
        ours=max(refused_ms), unit="ms", at_most=REFUSED_WITHIN_MS,
    )  # fmt: skip
