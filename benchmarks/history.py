"""`python -m benchmarks.history`: every question, asked of short and long histories alike.

`--rows 10000 1000000` a table, the last one against the first; 10,000,000 take ten minutes and
25 GB. `--explain` prints how each question is answered, as docs/database.md has it.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import Final

from loguru import logger

from benchmarks.databases import Databases
from benchmarks.explaining import ExplainingGate
from benchmarks.questions import Question, questions
from benchmarks.rounds import Result, Rounds
from service.store.gate import Gate, open_gate

ROUNDS: Final = 61
AT_MOST: Final = 1.2  #: the median of a long history over that of the short one
NOISE_MS: Final = 0.3  #: differences below it are the machine's, not the history's
SIZES: Final = (10_000, 1_000_000)
#: Each index that is no key, and a question that it is for.
INDEXES: Final = {
    "orders_status_created_at": "orders, a rare status",
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


def measure(
    databases: Databases,
    sizes: tuple[int, ...] = SIZES,
    *,
    explain: bool = False,
    judged: Callable[[Rounds], float] = attrgetter("median"),
) -> list[Result]:
    """Return how each question fares with the longest history, against the shortest."""
    dsns = databases.grown(sizes[0]), databases.grown(sizes[-1])
    return asyncio.run(_compared(dsns, (sizes[0], sizes[-1]), explain=explain, judged=judged))


async def _compared(
    dsns: tuple[str, str],
    sizes: tuple[int, int],
    *,
    explain: bool,
    judged: Callable[[Rounds], float],
) -> list[Result]:
    async with (
        open_gate(dsns[0], minsize=1, maxsize=1) as short,
        open_gate(dsns[1], minsize=1, maxsize=1) as long,
    ):
        if explain:
            await _explained(long, sizes[1])
            await _without_indexes(long, sizes[1])
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


async def _asked(short: Question, long: Question) -> tuple[Rounds, Rounds]:
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS + 3):
        for seen, question in zip(took, (short, long), strict=True):
            began = time.perf_counter()
            await question()
            if turn >= 3:
                seen.append((time.perf_counter() - began) * 1000)
    return Rounds(tuple(took[0])), Rounds(tuple(took[1]))


async def _explained(gate: Gate, rows: int) -> None:
    print(f"\n{'question':<42} pages  ms  how")
    explaining = ExplainingGate(gate)
    for name, question in questions(explaining, rows).items():
        explaining.readings.clear()
        await question()
        for reading in explaining.readings:
            how = ", ".join(sorted({f"{kind} {what}" for kind, what in reading.scans}))
            print(f"{name:<42} {reading.pages:>5} {reading.execution_ms:7.2f}  {how}", flush=True)


async def _without_indexes(gate: Gate, rows: int) -> None:
    """S3: each question with its index and, in a transaction that is rolled back, without it."""
    print(f"\n{'index':<36} {'question':<40} {'with':>8} {'without':>9} ms")
    for index, name in INDEXES.items():
        took = {"with": await _execution_ms(gate, rows, name)}
        took["without"] = await _execution_ms(gate, rows, name, without=index)
        ratio = took["without"] / took["with"]
        print(f"{index:<36} {name:<40} {took['with']:8.3f} {took['without']:9.2f} {ratio:7.0f}x")


async def _execution_ms(gate: Gate, rows: int, name: str, *, without: str | None = None) -> float:
    """Return the median of three executions in the server, after one that warms up."""
    took = []
    with suppress(_Undo):
        async with gate.transaction() as cursor:
            if without:
                await cursor.execute(DROP[without])
            explaining = ExplainingGate(cursor)
            for _ in range(4):
                explaining.readings.clear()
                await questions(explaining, rows)[name]()
                took.append(sum(reading.execution_ms for reading in explaining.readings))
            raise _Undo
    return statistics.median(took[1:])


class _Undo(Exception):
    """Roll back: the index is needed again."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--explain", action="store_true")
    given = parser.parse_args()
    logger.remove()
    with Databases.open() as databases:
        results = measure(databases, tuple(given.rows), explain=given.explain)
    print(*(f"{result}  {result.verdict()}" for result in results), sep="\n")
    raise SystemExit(not all(result.is_kept() for result in results))


if __name__ == "__main__":
    main()
