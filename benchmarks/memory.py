"""What the service holds: at rest, after many requests, in a crowd of twenty, in an export.

`python -m benchmarks.memory --rows 10000000 --requests 100000` for a longer history; `--short` as
CI has it.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loguru import logger

from benchmarks.databases import Databases
from benchmarks.processes import ROOT, port_told, rss_mib
from benchmarks.questions import questions
from benchmarks.rounds import Result
from benchmarks.visitors import Visitors
from service.store.database.pool import open_pool

PATHS: Final = (
    "/api/v1/trading/orders?status=EXECUTED&limit=50",
    "/api/v1/trading/orders?limit=500",
    "/api/v1/trading/fills?limit=50",
    "/api/v1/signals?limit=50",
    "/api/v1/signals/latest",
    "/api/v1/market/history?limit=50",
    "/api/v1/market/candles?limit=200",
    "/api/v1/market/latest",
    "/api/v1/dashboard/summary",
    "/api/v1/config",
    "/api/v1/config/min_confidence",
    "/api/v1/metrics/pool",
    "/health",
    "/metrics",
)
IDLE_AFTER_S: Final = 15.0
IDLE_MIB: Final = 160.0
GROWTH: Final = 1.1
AT_ONCE: Final = 20
#: The short history's export, which all others are held against.
EXPORT_ROWS: Final = 10_000
#: A child begins with its parent's peak, and Python's is above an export's: one that is small.
_LAUNCHER: Final = """
import json, os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss]))
"""


def measure(databases: Databases, *, rows: int, requests: int) -> list[Result]:
    return [
        *exported(databases, rows=rows),
        asyncio.run(waits(databases.grown(rows), rows=rows)),
        *visited(databases.grown(rows), rows=rows, requests=requests),
    ]


def exported(databases: Databases, *, rows: int) -> list[Result]:
    """`trader export fills` of a short and of a long history: the same memory, line by line."""
    short_mib, _ = _export(databases.grown(EXPORT_ROWS))
    long_mib, took_s = _export(databases.grown(rows))
    return [
        Result(
            name=f"export of {rows:,} fills / of {EXPORT_ROWS:,}, peak memory",
            ours=long_mib, theirs=short_mib, unit="MiB", at_most=GROWTH,
        ),
        Result(name=f"export of {rows:,} fills, rows a second", ours=rows / took_s, unit="rows/s"),
    ]  # fmt: skip


def _export(dsn: str) -> tuple[float, float]:
    """Return peak MiB and seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        out, began = Path(name) / "fills.csv", time.monotonic()
        command = [
            sys.executable, "-I", "-S", "-c", _LAUNCHER,
            sys.executable, "-m", "service", "export", "fills", "--out", str(out),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, env=environment(dsn, Path(name)), capture_output=True, check=True
        )
        code, peak_kib = json.loads(done.stdout.splitlines()[-1])
        if code:
            raise RuntimeError(f"the export failed: {done.stderr.decode()}")
        return peak_kib / 1024, time.monotonic() - began


async def waits(dsn: str, *, rows: int, turns: int = 50) -> Result:
    """Count how often one of twenty at once has to wait for a connection."""
    async with open_pool(dsn, minsize=10, maxsize=AT_ONCE) as gate:
        asked = [
            question
            for name, question in questions(gate, rows).items()
            if not name.startswith(("the collector", "an hour"))
        ]

        async def one(number: int) -> None:
            for turn in range(turns):
                await asked[(number + turn) % len(asked)]()

        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(one(number))
        waited = gate.state().waits
    return Result(
        name=f"waits for a connection in {AT_ONCE * turns:,} operations, {AT_ONCE} at once",
        ours=waited, unit="", at_most=0,
    )  # fmt: skip


def visited(dsn: str, *, rows: int, requests: int) -> list[Result]:
    """The real service on a long history: its memory at rest and after so many requests."""
    with running_service(dsn) as (pid, port):
        time.sleep(IDLE_AFTER_S)
        idle_mib = rss_mib(pid)
        with Visitors.open(port, *PATHS, connections=10) as visitors:
            rate = visitors.ask(requests)
        time.sleep(1)
        after_mib = rss_mib(pid)
    return [
        Result(name="memory of the service at rest", ours=idle_mib, unit="MiB", at_most=IDLE_MIB),
        Result(
            name=f"its memory after {requests:,} requests on {rows:,} rows / before",
            ours=after_mib, theirs=idle_mib, unit="MiB", at_most=GROWTH,
        ),
        Result(name="those requests, mixed, a second", ours=rate, unit="r/s"),
    ]  # fmt: skip


@contextmanager
def running_service(dsn: str) -> Iterator[tuple[int, int]]:
    """Yield process id and port of a service in its sandbox."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / "err").open("wb") as err:
            service = subprocess.Popen(
                [sys.executable, "-m", "service", "run"], cwd=ROOT,
                env=environment(dsn, folder), stdout=subprocess.DEVNULL, stderr=err,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield service.pid, port_told(folder / "err", service)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(30)


def environment(dsn: str, folder: Path) -> dict[str, str]:
    theirs = {k: v for k, v in os.environ.items() if not k.startswith(("TRADER_", "UPBIT_"))}
    return theirs | {
        "DATABASE_URL": dsn,
        "TRADER_DATA_DIR": str(folder / "var"),
        "TRADER_MARKETS": "KRW-C1,KRW-C2",
        "TRADER_PORT": "0",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--short", action="store_true", help="10,000 rows, 5,000 requests")
    given = parser.parse_args()
    logger.remove()
    rows, requests = (10_000, 5_000) if given.short else (given.rows, given.requests)
    with Databases.open() as databases:
        for result in measure(databases, rows=rows, requests=requests):
            print(result, flush=True)


if __name__ == "__main__":
    main()
