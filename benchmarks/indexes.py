"""`python -m benchmarks.indexes`: what each index is worth, and what it costs (S3).

Worth: its question with it and, in a transaction that is rolled back, without it. Cost: its size,
and 20,000 more rows written with it and without it, a row's difference in WAL and in time. WAL is
the same on any machine; checks of foreign keys are left out, as they need other indexes.
"""

import argparse
import asyncio
import itertools
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from loguru import logger

from benchmarks import growth
from benchmarks.databases import Databases
from benchmarks.explaining import ExplainingGate
from benchmarks.growth import UNTIL
from benchmarks.questions import questions
from service.store.database.pool import Cursor, Pool, open_pool

#: Each index that is no key, and a question that it is for.
INDEXES: Final = {
    "orders_status_created_at": "orders, a status nobody has",
    "orders_created_at": "orders",
    "orders_market_created_at": "orders, one market",
    "orders_open": "open orders",
    "orders_decision_id": "one signal",
    "fills_order_id": "one order with its fills",
    "fills_traded_at": "fills",
    "fills_market_traded_at": "fills, one market",
    "daily_stats_day": "days",
    "trading_signals_created_at": "signals",
    "trading_signals_market_created_at": "signals, one market",
    "trading_signals_action_created_at": "signals, a rare action",
    "trading_signals_market_data_id": "signals of one price",
    "ai_calls_started_at": "an hour's model calls",
    "job_runs_job_started_at": "an hour's passes of all jobs",
    "config_changes_changed_at": "changes of settings",
    "config_changes_key_changed_at": "changes of one setting",
}
DROP: Final = {index: f"DROP INDEX {index}" for index in INDEXES}
ROUNDS: Final = 3
ADDED: Final = 20_000

_EXPLAIN: Final = "EXPLAIN (ANALYZE, WAL, FORMAT JSON) "
_UNCHECKED: Final = "SET LOCAL session_replication_role = replica"
#: How a table's rows are made, and how far apart they lie.
_MORE: Final = {
    "orders": (growth.ORDERS, timedelta(seconds=3)),
    "fills": (growth.FILLS, timedelta(seconds=3)),
    "daily_stats": (growth.DAYS, timedelta(days=1) / growth.MARKETS),
    "trading_signals": (growth.SIGNALS, timedelta(seconds=3)),
    "ai_calls": (growth.CALLS, timedelta(seconds=3)),
    "job_runs": (growth.PASSES, timedelta(seconds=1.5)),
    "config_changes": (growth.CHANGES, timedelta(minutes=1)),
}
_SIZE: Final = """
    SELECT indrelid::regclass::text,
           coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(%(index)s)),
                    pg_relation_size(%(index)s)) / 1000000.0
      FROM pg_index
     WHERE indexrelid = %(index)s::regclass
"""


_turns: Final = defaultdict[str, "itertools.count[int]"](itertools.count)


@dataclass(frozen=True, slots=True)
class Written:
    """What a row costs to write."""

    wal_bytes: float
    us: float


@dataclass(frozen=True, slots=True)
class Worth:
    """What a question takes with an index and without it, and what that is in the index."""

    table: str
    megabytes: float
    with_ms: float
    without_ms: float


async def report(gate: Pool, rows: int) -> None:
    # All of it before anything is written: rows that are taken back still make tables longer.
    worth = {index: await _worth(gate, rows, index) for index in INDEXES}
    await _undisturbed(gate)
    print("| index | question | with, ms | without, ms | | MB | WAL, bytes a row | us a row |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    whole: dict[str, Written] = {}
    for index, seen in worth.items():
        row, bare = await _written(gate, rows, seen.table, without=index)
        whole[seen.table] = row
        print(
            f"| `{index}` | {INDEXES[index]} | {seen.with_ms:.2f} | {seen.without_ms:.2f}"
            f" | {seen.without_ms / seen.with_ms:.0f}x | {seen.megabytes:.1f}"
            f" | {row.wal_bytes - bare.wal_bytes:.0f} | {row.us - bare.us:.1f} |",
            flush=True,
        )
    for table, row in whole.items():
        print(f"{table}: {row.wal_bytes:.0f} bytes of WAL and {row.us:.1f} us a row with all")


async def _undisturbed(gate: Pool) -> None:
    """Leave out what hangs on the last checkpoint and on the last vacuum: it is nobody's row."""
    async with gate.cursor() as cursor:
        await cursor.execute("ALTER SYSTEM SET full_page_writes = off")
        await cursor.execute("ALTER SYSTEM SET autovacuum = off")
        await cursor.execute("SELECT pg_reload_conf()")


async def _worth(gate: Pool, rows: int, index: str) -> Worth:
    table, megabytes = await _found(gate, index)
    return Worth(
        table=table,
        megabytes=megabytes,
        with_ms=await _execution_ms(gate, rows, INDEXES[index]),
        without_ms=await _execution_ms(gate, rows, INDEXES[index], without=index),
    )


async def _found(gate: Pool, index: str) -> tuple[str, float]:
    async with gate.cursor() as cursor:
        await cursor.execute(_SIZE, {"index": index})
        row = await cursor.fetchone()
    assert row is not None, f"there is no index {index}"
    return row[0], float(row[1])


async def _execution_ms(gate: Pool, rows: int, name: str, *, without: str | None = None) -> float:
    """Return the median of three executions in the server, after one that warms up."""
    took = []
    with suppress(_Undo):
        async with _undone(gate, without) as cursor:
            explaining = ExplainingGate(cursor)
            for _ in range(ROUNDS + 1):
                explaining.readings.clear()
                await questions(explaining, rows)[name]()
                took.append(sum(reading.execution_ms for reading in explaining.readings))
    return statistics.median(took[1:])


async def _written(gate: Pool, rows: int, table: str, *, without: str) -> tuple[Written, Written]:
    """Return what a row costs with all indexes and `without` one: medians of turns.

    In turns, because what is taken back is left lying about and changes what the next ones find.
    """
    turns = [
        (await _plan(gate, rows, table, None), await _plan(gate, rows, table, without))
        for _ in range(ROUNDS + 1)
    ]
    whole, bare = zip(*turns[1:], strict=True)
    return _medians(whole), _medians(bare)


def _medians(plans: Sequence[Mapping[str, Any]]) -> Written:
    return Written(
        wal_bytes=statistics.median(plan["Plan"]["WAL Bytes"] for plan in plans) / ADDED,
        us=statistics.median(plan["Execution Time"] for plan in plans) * 1000 / ADDED,
    )


async def _plan(gate: Pool, rows: int, table: str, without: str | None) -> Mapping[str, Any]:
    statement, step = _MORE[table]
    # Other rows each time: of those that are taken back the index still has the keys.
    before = next(_turns[table]) * ADDED
    more = {
        "first": rows + before + 1,
        "last": rows + before + ADDED,
        "until": UNTIL + (before + ADDED) * step,
    }
    with suppress(_Undo):
        async with _undone(gate, without) as cursor:
            await cursor.execute(_UNCHECKED)
            await cursor.execute(_EXPLAIN + statement, more)
            row = await cursor.fetchone()
    assert row is not None
    plan: Mapping[str, Any] = row[0][0]
    return plan


@asynccontextmanager
async def _undone(gate: Pool, without: str | None) -> AsyncIterator[Cursor]:
    """Lend a transaction in which an index is missing, and roll it back by raising _Undo."""
    async with gate.transaction() as cursor:
        if without:
            await cursor.execute(DROP[without])
        yield cursor
        raise _Undo


class _Undo(Exception):
    """Roll back: the index is needed again, the rows are not."""


async def _reported(dsn: str, rows: int) -> None:
    async with open_pool(dsn, minsize=1, maxsize=1) as gate:
        await report(gate, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    logger.remove()
    with Databases.open() as databases:
        asyncio.run(_reported(databases.grown(given.rows), given.rows))


if __name__ == "__main__":
    main()
