"""Twenty operations at once on the pool's twenty connections: none may wait for one."""

import asyncio
from typing import Final

from benchmarks.comparison import Result
from benchmarks.concurrency import together
from benchmarks.databases import Databases
from benchmarks.questions import questions
from service.app.resources import POOL_MAX, POOL_MIN
from service.store.database.pool import open_pool

OPERATIONS: Final = 1_000
#: Questions whose names begin so are left out: each reads all rows of an hour.
WHOLE_HOURS: Final = ("the collector", "an hour")


def measure(databases: Databases, *, rows: int) -> list[Result]:
    return [asyncio.run(_waits(databases.seeded(rows), rows=rows))]


async def _waits(dsn: str, *, rows: int) -> Result:
    async with open_pool(dsn, minsize=POOL_MIN, maxsize=POOL_MAX) as pool:
        asked = [q for name, q in questions(pool, rows).items() if not name.startswith(WHOLE_HOURS)]
        turns = iter(range(OPERATIONS))

        async def next_question() -> None:
            await asked[next(turns) % len(asked)]()

        await together(next_question, OPERATIONS, at_once=POOL_MAX)
        waited = pool.state().waits
    return Result(
        name=f"waits for a connection in {OPERATIONS:,} operations, {POOL_MAX} at once",
        ours=waited, unit="", at_most=0,
    )  # fmt: skip
