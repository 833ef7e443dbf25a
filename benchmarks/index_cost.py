"""The WAL that one index adds to one row, and transactions without an index."""

import itertools
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from benchmarks import seed_sql as sql
from benchmarks.questions import INDEXES
from benchmarks.seeding import MARKETS, UNTIL
from service.store.database.pool import Cursor, Pool

ROUNDS: Final = 3
ADDED: Final = 20_000

_DROP: Final = {index: f"DROP INDEX {index}" for index in INDEXES}
_EXPLAIN: Final = "EXPLAIN (ANALYZE, WAL, FORMAT JSON) "
_UNCHECKED: Final = "SET LOCAL session_replication_role = replica"
#: The statement that adds rows to a table, and the time between two rows.
_MORE: Final = {
    "orders": (sql.ORDERS, timedelta(seconds=3)),
    "fills": (sql.FILLS, timedelta(seconds=3)),
    "daily_stats": (sql.DAYS, timedelta(days=1) / MARKETS),
    "trading_signals": (sql.SIGNALS, timedelta(seconds=3)),
    "ai_calls": (sql.CALLS, timedelta(seconds=3)),
    "job_runs": (sql.PASSES, timedelta(seconds=1.5)),
    "config_changes": (sql.CHANGES, timedelta(minutes=1)),
}
_turns: Final = defaultdict[str, "itertools.count[int]"](itertools.count)


async def wal_bytes(pool: Pool, rows: int, table: str, *, without: str) -> tuple[float, float]:
    """Return the bytes of one row with all indexes and `without` one: medians of turns.

    The two take turns, because rolled-back rows stay in the table and change the next insert.
    """
    turns = [
        [await _inserted(pool, rows, table, lacking) for lacking in (None, without)]
        for _ in range(ROUNDS)
    ]
    whole, bare = zip(*turns, strict=True)
    return statistics.median(whole), statistics.median(bare)


async def _inserted(pool: Pool, rows: int, table: str, without: str | None) -> float:
    statement, step = _MORE[table]
    # Other rows each time: the index still has the keys of those that were rolled back.
    before = next(_turns[table]) * ADDED
    more = {
        "first": rows + before + 1,
        "last": rows + before + ADDED,
        "until": UNTIL + (before + ADDED) * step,
    }
    with suppress(RollBack):
        async with rolled_back(pool, without) as cursor:
            await cursor.execute(_UNCHECKED)
            await cursor.execute(_EXPLAIN + statement, more)
            row = await cursor.fetchone()
    assert row is not None
    return float(row[0][0]["Plan"]["WAL Bytes"]) / ADDED


@asynccontextmanager
async def rolled_back(pool: Pool, without: str | None) -> AsyncIterator[Cursor]:
    """Yield a transaction without one index, and raise RollBack at its end."""
    async with pool.transaction() as cursor:
        if without:
            await cursor.execute(_DROP[without])
        yield cursor
        raise RollBack


class RollBack(Exception):
    """Ends a transaction whose changes must not stay."""
