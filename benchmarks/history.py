"""`python -m benchmarks.history`: every question, asked of short and long histories alike.

`--rows 10000 1000000` a table, the last one against the first; 10,000,000 take ten minutes and
25 GB. `--explain` prints how each question is answered, as docs/database.md has it.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from loguru import logger

from benchmarks.explaining import ExplainingGate
from benchmarks.growth import grow
from benchmarks.questions import Question, questions
from service.store.dsn import connect, parameters
from service.store.embedded import EmbeddedPostgres
from service.store.gate import Gate, open_gate
from service.store.migrate import migrate, migrations_folder

ROUNDS: Final = 31
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


def measure(sizes: tuple[int, ...] = SIZES, *, explain: bool = False) -> bool:
    """Print the table; return whether every question keeps to `AT_MOST`."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedPostgres(folder)
        server.start()
        try:
            return asyncio.run(_compared(server, sizes, explain=explain))
        finally:
            server.stop()


async def _compared(server: EmbeddedPostgres, sizes: tuple[int, ...], *, explain: bool) -> bool:
    for rows in sizes:
        began = time.monotonic()
        await asyncio.to_thread(_made, server, rows)
        print(f"{rows:,} rows a table: made in {time.monotonic() - began:.0f} s", flush=True)
    async with (
        open_gate(server.dsn(_name(sizes[0])), minsize=1, maxsize=1) as short,
        open_gate(server.dsn(_name(sizes[-1])), minsize=1, maxsize=1) as long,
    ):
        if explain:
            await _explained(long, sizes[-1])
            await _without_indexes(long, sizes[-1])
        return await _asked(questions(short, sizes[0]), questions(long, sizes[-1]))


def _made(server: EmbeddedPostgres, rows: int) -> None:
    server.ensure_database(_name(rows))
    dsn = server.dsn(_name(rows))
    migrate(dsn, migrations_folder())
    with closing(connect(parameters(dsn))) as connection:
        grow(connection, rows)


def _name(rows: int) -> str:
    return f"history_{rows}"


async def _asked(short: Mapping[str, Question], long: Mapping[str, Question]) -> bool:
    print(f"\n{'median, ms':<42} {'short':>8} {'long':>8}")
    kept = True
    for name in short:
        took: dict[str, list[float]] = {"short": [], "long": []}
        for turn in range(ROUNDS + 3):
            for which, question in (("short", short[name]), ("long", long[name])):
                began = time.perf_counter()
                await question()
                if turn >= 3:
                    took[which].append((time.perf_counter() - began) * 1000)
        before, after = (statistics.median(values) for values in took.values())
        is_flat = after <= max(before * AT_MOST, before + NOISE_MS)
        kept = kept and is_flat
        verdict = "" if is_flat else "  MISSED"
        print(f"{name:<42} {before:8.2f} {after:8.2f} {after / before:6.2f}x{verdict}", flush=True)
    return kept


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
    raise SystemExit(not measure(tuple(given.rows), explain=given.explain))


if __name__ == "__main__":
    main()
