"""`python -m benchmarks.history`: every question on a short and on a long history.

`--rows 10000 1000000` gives the rows a table; the last size is compared with the first. A history
of 10,000,000 takes fifteen minutes and 25 GB. `--explain` prints the table of docs/database.md:
pages of 8 KiB at each size, then rows, time and scans at the longest.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from loguru import logger

from benchmarks.comparison import Result, Samples
from benchmarks.databases import Databases
from benchmarks.explaining import ExplainingPool, PlanSummary
from benchmarks.questions import Question, questions
from service.store.database.pool import open_pool

ROUNDS: Final = 61
AT_MOST: Final = 1.2  #: the median of a long history over that of the short one
NOISE_MS: Final = 0.3  #: the machine alone causes smaller differences
SIZES: Final = (10_000, 1_000_000)


def measure(
    databases: Databases,
    sizes: tuple[int, ...] = SIZES,
    *,
    judged: Callable[[Samples], float] = attrgetter("median"),
) -> list[Result]:
    """Return each question's time on the longest history, against the shortest."""
    dsns = databases.seeded(sizes[0]), databases.seeded(sizes[-1])
    return asyncio.run(_compared(dsns, (sizes[0], sizes[-1]), judged=judged))


async def _compared(
    dsns: tuple[str, str],
    sizes: tuple[int, int],
    *,
    judged: Callable[[Samples], float],
) -> list[Result]:
    async with (
        open_pool(dsns[0], minsize=1, maxsize=1) as short,
        open_pool(dsns[1], minsize=1, maxsize=1) as long,
    ):
        results = []
        of_long = questions(long, sizes[1])
        for name, question in questions(short, sizes[0]).items():
            before, after = await _asked(question, of_long[name])
            results.append(
                Result(
                    name=f"{name}, {sizes[1]:,} rows / {sizes[0]:,}",
                    ours=judged(after), theirs=judged(before), unit="ms", noise=before.noise,
                    at_most=AT_MOST, within=NOISE_MS,
                )
            )  # fmt: skip
        return results


async def _asked(short: Question, long: Question) -> tuple[Samples, Samples]:
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS + 3):
        for seen, question in zip(took, (short, long), strict=True):
            began = time.perf_counter()
            await question()
            if turn >= 3:
                seen.append((time.perf_counter() - began) * 1000)
    return Samples(tuple(took[0])), Samples(tuple(took[1]))


async def _explained(dsns: Mapping[int, str]) -> None:
    """Print the plans of each question; `dsns` are databases by their rows a table."""
    seen = {rows: await _plans(dsn, rows) for rows, dsn in dsns.items()}
    print("| question |", *(f"{rows:,} |" for rows in seen), "rows | ms | found by |")
    *_, longest = seen.values()
    for name, plans in longest.items():
        pages = " | ".join(str(sum(one.pages for one in of[name])) for of in seen.values())
        read, took = sum(one.rows for one in plans), sum(one.execution_ms for one in plans)
        how = sorted({f"{kind} {what}" for one in plans for kind, what in one.scans})
        print(f"| {name} | {pages} | {read} | {took:.2f} | {', '.join(how)} |", flush=True)


async def _plans(dsn: str, rows: int) -> Mapping[str, Sequence[PlanSummary]]:
    seen = {}
    async with open_pool(dsn, minsize=1, maxsize=1) as pool:
        explaining = ExplainingPool(pool)
        for name, question in questions(explaining, rows).items():
            explaining.plans.clear()
            await question()
            seen[name] = explaining.plans.copy()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--explain", action="store_true")
    given = parser.parse_args()
    logger.remove()
    with Databases.open() as databases:
        if given.explain:
            asyncio.run(_explained({rows: databases.seeded(rows) for rows in given.rows}))
        results = measure(databases, tuple(given.rows))
    print(*(f"{result}  {result.verdict()}" for result in results), sep="\n")
    raise SystemExit(not all(result.is_kept() for result in results))


if __name__ == "__main__":
    main()
