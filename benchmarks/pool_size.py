"""The figures behind the pool's smallest and largest size, 10 and 20 connections.

Operations are the smallest possible ones, one row read or one row committed, all from one event
loop. A cost that the pool adds to each operation is then visible.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import aiopg

from benchmarks.comparison import Result, interleaved
from benchmarks.concurrency import LoopRunner, Operation, through_bare, through_ours, together
from benchmarks.databases import Databases
from service.app.resources import POOL_MAX, POOL_MIN
from service.store.database.pool import open_pool

AT_ONCE: Final = POOL_MAX  #: with so many operations at once none waits; SC-001 asks for 10
TOO_LARGE: Final = 2 * POOL_MAX
READS, COMMITS = 15_000, 200
ROUNDS: Final = 15
READY_AT_MOST: Final = 0.9

READ: Final = "SELECT mode, state FROM trading_state"
COMMIT: Final = """
    INSERT INTO audit_log (at, actor, action, subject) VALUES (now(), 'bench', 'pool', 'one')
"""


def measure(databases: Databases) -> list[Result]:
    dsn = databases.empty("pool")
    return [*_first_operations(dsn), _wait_on_smallest(dsn), _commits_on_too_many(dsn)]


def _first_operations(dsn: str) -> Iterator[Result]:
    """The first twenty after the start: opening a connection takes longer than one operation."""

    async def ours(minsize: int) -> float:
        async with open_pool(dsn, minsize=minsize, maxsize=POOL_MAX) as pool:
            return await _took_ms(through_ours(pool, READ))

    async def default() -> float:
        async with aiopg.create_pool(dsn, minsize=1, maxsize=POOL_MAX, enable_hstore=False) as pool:
            return await _took_ms(through_bare(pool, READ))

    def candidate(minsize: int) -> Callable[[], float]:
        return lambda: asyncio.run(ours(minsize))

    sizes = {str(size): candidate(size) for size in (POOL_MIN, POOL_MAX)}
    seen = interleaved({"default": lambda: asyncio.run(default()), **sizes}, rounds=ROUNDS)
    for size in (POOL_MIN, POOL_MAX):
        yield Result.of(
            f"first {AT_ONCE} at once, {size} connected before / aiopg's default, 1",
            seen[str(size)], seen["default"], unit="ms",
            at_most=READY_AT_MOST if size == POOL_MIN else None,
        )  # fmt: skip


async def _took_ms(operate: Operation) -> float:
    began = time.perf_counter()
    await together(operate, AT_ONCE, at_once=AT_ONCE)
    return (time.perf_counter() - began) * 1000


def _wait_on_smallest(dsn: str) -> Result:
    """The wait on 10 connections; on 20 none of twenty waits (`connection_waits`)."""
    waits_ms: list[float] = []
    with LoopRunner() as loop:
        pool = loop.enter(open_pool(dsn, minsize=POOL_MIN, maxsize=POOL_MIN))

        async def read() -> None:
            began = time.perf_counter()
            async with pool.cursor() as cursor:
                waits_ms.append((time.perf_counter() - began) * 1000)
                await cursor.execute(READ)

        loop.run(together(read, READS, at_once=AT_ONCE))
    return Result(
        name=f"{AT_ONCE} reads at once, {POOL_MIN} connections, p95 until lent one",
        ours=statistics.quantiles(waits_ms, n=20)[-1], unit="ms",
    )  # fmt: skip


def _commits_on_too_many(dsn: str) -> Result:
    """Forty connections: if they stored more than twenty, twenty would be too few."""
    with LoopRunner() as loop:
        pools = {n: loop.enter(open_pool(dsn, minsize=n, maxsize=n)) for n in (POOL_MAX, TOO_LARGE)}
        rates = interleaved(
            {
                str(n): partial(loop.rate, through_ours(pool, COMMIT), COMMITS, at_once=AT_ONCE)
                for n, pool in pools.items()
            },
            rounds=ROUNDS,
        )
    return Result.of(
        f"{AT_ONCE} commits at once, {TOO_LARGE} connections / {POOL_MAX}",
        rates[str(TOO_LARGE)], rates[str(POOL_MAX)], unit="op/s",
    )  # fmt: skip
