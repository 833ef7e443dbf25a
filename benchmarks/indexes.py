"""`python -m benchmarks.indexes`: the worth and the cost of each index (S3).

Worth: the time of its question with the index and, in a transaction that is rolled back, without
it. Cost: its size, and the WAL that it adds to one row. WAL is the same on any machine. Foreign
keys are not checked meanwhile, because their checks use other indexes.
"""

import argparse
import asyncio
import statistics
from contextlib import suppress
from typing import Final

from loguru import logger

from benchmarks.databases import Databases
from benchmarks.explaining import ExplainingPool
from benchmarks.index_cost import ROUNDS, RollBack, rolled_back, wal_bytes
from benchmarks.questions import INDEXES, questions
from service.store.database.pool import Pool, open_pool

_SIZE: Final = """
    SELECT indrelid::regclass::text,
           coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(%(index)s)),
                    pg_relation_size(%(index)s)) / 1000000.0
      FROM pg_index
     WHERE indexrelid = %(index)s::regclass
"""


async def report(pool: Pool, rows: int) -> None:
    # Sizes and times come before the first insert: rolled-back rows stay in tables and indexes.
    sizes = {index: await _table_and_size(pool, index) for index in INDEXES}
    took = {
        index: [
            await _execution_ms(pool, rows, question, without=without) for without in (None, index)
        ]
        for index, question in INDEXES.items()
    }
    await _disable_background_writes(pool)
    print("| index | question | with, ms | without, ms | | MB | WAL, bytes a row |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with_all: dict[str, float] = {}
    for index, (having, lacking) in took.items():
        table, megabytes = sizes[index]
        with_all[table], bare = await wal_bytes(pool, rows, table, without=index)
        print(
            f"| `{index}` | {INDEXES[index]} | {having:.2f} | {lacking:.2f}"
            f" | {lacking / having:.0f}x | {megabytes:.1f} | {with_all[table] - bare:.0f} |",
            flush=True,
        )
    for table, size in with_all.items():
        print(f"{table}: {size:.0f} bytes of WAL a row with all indexes")


async def _disable_background_writes(pool: Pool) -> None:
    """Keep the page images of a checkpoint and the work of autovacuum out of the WAL of a row."""
    async with pool.cursor() as cursor:
        await cursor.execute("ALTER SYSTEM SET full_page_writes = off")
        await cursor.execute("ALTER SYSTEM SET autovacuum = off")
        await cursor.execute("SELECT pg_reload_conf()")


async def _table_and_size(pool: Pool, index: str) -> tuple[str, float]:
    async with pool.cursor() as cursor:
        await cursor.execute(_SIZE, {"index": index})
        row = await cursor.fetchone()
    assert row is not None, f"there is no index {index}"
    return row[0], float(row[1])


async def _execution_ms(pool: Pool, rows: int, name: str, *, without: str | None) -> float:
    """Return the median of three executions in the server, after one that warms up."""
    took = []
    with suppress(RollBack):
        async with rolled_back(pool, without) as cursor:
            explaining = ExplainingPool(cursor)
            for _ in range(ROUNDS + 1):
                explaining.plans.clear()
                await questions(explaining, rows)[name]()
                took.append(sum(plan.execution_ms for plan in explaining.plans))
    return statistics.median(took[1:])


async def _reported(dsn: str, rows: int) -> None:
    async with open_pool(dsn, minsize=1, maxsize=1) as pool:
        await report(pool, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    logger.remove()
    with Databases.open() as databases:
        asyncio.run(_reported(databases.seeded(given.rows), given.rows))


if __name__ == "__main__":
    main()
