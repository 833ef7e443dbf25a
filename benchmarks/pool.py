"""What the pool's size and the gate before it are worth.

Operations are the smallest there are, one row read and one row committed, all from one event
loop: whatever is added to each of them shows. `python -m benchmarks.pool --rounds 15` for more.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack
from functools import partial
from typing import Final, Self, TypeVar

import aiopg
from loguru import logger

from benchmarks.databases import Databases
from benchmarks.rounds import AllMarkets, Result, rounds_of
from service.app.resources import POOL_MAX, POOL_MIN
from service.domain.errors import StoreBusy
from service.store.database.pool import Pool, open_pool

BURST: Final = POOL_MAX  #: with so many operations at once none waits; SC-001 asks for 10
SIZES: Final = (4, 10, POOL_MAX, 40)
CROWDS: Final = (20, 50)
#: How many a round, by what is done.
READS, COMMITS = 1_000, 200
ROUNDS: Final = 5
FLOOD: Final = 500
SLOW_S: Final = 0.05  #: a statement of the flood
READY_AT_MOST: Final = 0.9
GATE_AT_LEAST: Final = 0.6
REFUSED_WITHIN_MS: Final = 1_000.0  #: what the gate lets anybody wait

READ: Final = "SELECT mode, state FROM trading_state"
COMMIT: Final = """
    INSERT INTO audit_log (at, actor, action, subject) VALUES (now(), 'bench', 'pool', 'one')
"""

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
Operation = Callable[[], Awaitable[None]]


def measure(databases: Databases, *, rounds: int = ROUNDS) -> list[Result]:
    dsn = databases.empty("pool")
    return [
        *_ready_made(dsn, rounds),
        *_sizes(dsn, rounds),
        *_gated(dsn, rounds),
        *_flooded(dsn),
    ]


# --- minsize ------------------------------------------------------------------------------------


def _ready_made(dsn: str, rounds: int) -> list[Result]:
    """The first twenty right after the start: connecting takes longer than what they ask."""

    async def ours(minsize: int) -> float:
        async with open_pool(dsn, minsize=minsize, maxsize=POOL_MAX) as gate:
            return await _took_ms(_through(gate, READ), BURST)

    async def theirs() -> float:
        async with aiopg.create_pool(dsn, minsize=1, maxsize=POOL_MAX, enable_hstore=False) as pool:
            return await _took_ms(_bare(pool, READ), BURST)

    def candidate(minsize: int) -> Callable[[], float]:
        return lambda: asyncio.run(ours(minsize))

    sizes = {str(n): candidate(n) for n in (1, POOL_MIN, POOL_MAX)}
    seen = rounds_of({"lazy": lambda: asyncio.run(theirs()), **sizes}, rounds=rounds)
    return [
        Result.of(
            f"first {BURST} at once, {minsize} connected before / aiopg's default, 1",
            seen[str(minsize)], seen["lazy"], unit="ms",
            at_most=READY_AT_MOST if minsize == POOL_MIN else None,
        )
        for minsize in (1, POOL_MIN, POOL_MAX)
    ]  # fmt: skip


async def _took_ms(operate: Operation, at_once: int) -> float:
    began = time.perf_counter()
    await _crowd(operate, at_once=at_once, operations=at_once)
    return (time.perf_counter() - began) * 1000


# --- maxsize ------------------------------------------------------------------------------------


def _sizes(dsn: str, rounds: int) -> Iterator[Result]:
    with Opened() as opened:
        gates = {n: opened(open_pool(dsn, minsize=n, maxsize=n)) for n in SIZES}
        for at_once in CROWDS:
            for what, sql, number in (("reads", READ, READS), ("commits", COMMIT, COMMITS)):
                asked = {n: Timed(gate, sql) for n, gate in gates.items()}
                rates, _ = opened.raced(asked, at_once=at_once, operations=number, rounds=rounds)
                yield from (
                    Result.of(
                        f"{at_once} {what} at once, {n} connections / {POOL_MAX}",
                        rates[n], rates[POOL_MAX], unit="op/s",
                    )
                    for n in SIZES if n != POOL_MAX
                )  # fmt: skip
                yield from (
                    Result(
                        name=f"{at_once} {what} at once, {n} connections, p95 until lent one",
                        ours=statistics.quantiles(asked[n].waits_ms, n=20)[-1], unit="ms",
                    )
                    for n in SIZES
                )  # fmt: skip


# --- the gate -----------------------------------------------------------------------------------


def _gated(dsn: str, rounds: int) -> Iterator[Result]:
    with Opened() as opened:
        gate, pool = _both(opened, dsn)
        asked = {"gate": _through(gate, READ), "bare": _bare(pool, READ)}
        for at_once in (10, *CROWDS):
            rates, cpu = opened.raced(asked, at_once=at_once, operations=READS, rounds=rounds)
            yield Result.of(
                f"gate / bare aiopg pool, {at_once} reads at once",
                rates["gate"], rates["bare"], unit="op/s",
                at_least=GATE_AT_LEAST if at_once == BURST else None,
            )  # fmt: skip
            yield Result.of(
                f"gate / bare aiopg pool, {at_once} at once, client CPU a read",
                cpu["gate"], cpu["bare"], unit="us",
            )  # fmt: skip


def _flooded(dsn: str) -> list[Result]:
    """Five hundred at once, each for 50 ms: how long until the last one knows."""
    sql = f"SELECT pg_sleep({SLOW_S})"
    refusals: list[float] = []
    floods = 0
    with Opened() as opened:
        gate, pool = _both(opened, dsn)
        through = _through(gate, sql)

        async def ours() -> None:
            began = time.perf_counter()
            try:
                await through()
            except StoreBusy:
                refusals.append((time.perf_counter() - began) * 1000)

        def gated_ms() -> float:
            nonlocal floods
            floods += 1
            return opened.run(_took_ms(ours, FLOOD))

        def bare_ms() -> float:
            return opened.run(_took_ms(_bare(pool, sql), FLOOD))

        seen = rounds_of({"gate": gated_ms, "bare": bare_ms}, rounds=2)
    return [
        Result.of(
            f"{FLOOD} at once for 50 ms, until the last has an answer, gate / bare pool",
            seen["gate"], seen["bare"], unit="ms",
        ),
        Result(name="of these, refused by the gate", ours=len(refusals) / floods, unit=""),
        Result(
            name="the longest until one was refused", ours=max(refusals), unit="ms",
            at_most=REFUSED_WITHIN_MS,
        ),
    ]  # fmt: skip


def _both(opened: "Opened", dsn: str) -> tuple[Pool, aiopg.Pool]:
    gate = opened(open_pool(dsn, minsize=POOL_MAX, maxsize=POOL_MAX))
    pool = aiopg.create_pool(dsn, minsize=POOL_MAX, maxsize=POOL_MAX, enable_hstore=False)
    return gate, opened(pool)


# --- how ----------------------------------------------------------------------------------------


class Timed:
    """Does `sql` through a gate, and notes how long each took to be lent a connection."""

    def __init__(self, gate: Pool, sql: str) -> None:
        self.waits_ms: list[float] = []
        self._gate, self._sql = gate, sql

    async def __call__(self) -> None:
        began = time.perf_counter()
        async with self._gate.cursor() as cursor:
            self.waits_ms.append((time.perf_counter() - began) * 1000)
            await cursor.execute(self._sql)


def _through(gate: Pool, sql: str) -> Operation:
    async def operate() -> None:
        async with gate.cursor() as cursor:
            await cursor.execute(sql)

    return operate


def _bare(pool: aiopg.Pool, sql: str) -> Operation:
    async def operate() -> None:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(sql)

    return operate


async def _crowd(operate: Operation, *, at_once: int, operations: int) -> None:
    left = iter(range(operations))

    async def one() -> None:
        for _ in left:
            await operate()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one())


class Opened:
    """One event loop, and what was opened in it."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._runner = self._stack.enter_context(asyncio.Runner())
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def __call__(self, opening: AbstractAsyncContextManager[T]) -> T:
        value = self.run(opening.__aenter__())
        self._stack.callback(lambda: self.run(opening.__aexit__(None, None, None)))
        return value

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self._runner.run(work)

    def raced(
        self, asked: Mapping[K, Operation], *, at_once: int, operations: int, rounds: int
    ) -> tuple[Mapping[K, AllMarkets], Mapping[K, AllMarkets]]:
        """Return operations a second, and our own microseconds of processor time for each."""
        cpu: dict[str, list[float]] = {}
        names = {str(name): name for name in asked}

        def rate_of(name: str) -> float:
            began, used = time.perf_counter(), time.process_time()
            operate = asked[names[name]]
            self.run(_crowd(operate, at_once=at_once, operations=operations))
            cpu.setdefault(name, []).append((time.process_time() - used) / operations * 1e6)
            return operations / (time.perf_counter() - began)

        rates = rounds_of({name: partial(rate_of, name) for name in names}, rounds=rounds)
        return (
            {names[name]: seen for name, seen in rates.items()},
            # The first round only warms up.
            {names[name]: AllMarkets(tuple(seen[1:])) for name, seen in cpu.items()},
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    logger.remove()
    with Databases.open() as databases:
        for result in measure(databases, rounds=given.rounds):
            print(result, flush=True)


if __name__ == "__main__":
    main()
