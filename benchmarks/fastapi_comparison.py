"""Our lists against the same routes written with FastAPI, SQLAlchemy and asyncpg.

The baseline stands in `fastapi_baseline/`. BASELINE_PYTHON names the interpreter of its
environment, which `make bench` sets up.
"""

import json
import os
from contextlib import ExitStack
from typing import Final

from benchmarks.comparison import Result, interleaved
from benchmarks.databases import Databases
from benchmarks.hot_list import HOT_LIST
from benchmarks.load_client import LoadClient
from benchmarks.processes import running, server
from service.store.database.dsn import parameters

ROUTES: Final = {
    "orders by status": HOT_LIST,
    "fills": "/api/v1/trading/fills?limit=50",
    "signals": "/api/v1/signals?limit=50",
    "market history": "/api/v1/market/history?market=KRW-C1&limit=50",
}
PYTHON: Final = "BASELINE_PYTHON"


def measure(databases: Databases, *, rows: int, requests: int = 1_000) -> list[Result]:
    python, dsn = os.environ.get(PYTHON), databases.seeded(rows)
    if python is None:
        print(f"(the FastAPI baseline is left out: {PYTHON} names no interpreter)", flush=True)
        return []
    command = [python, "-m", "benchmarks.fastapi_baseline.serve"]
    with (
        server("product", dsn) as product,
        running(command, {"BASELINE_DATABASE": json.dumps(_connect_args(dsn))}) as baseline,
    ):
        ports = product.port, baseline.port
        return [_compared(name, path, ports, requests) for name, path in ROUTES.items()]


def _compared(name: str, path: str, ports: tuple[int, int], requests: int) -> Result:
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(LoadClient.open(port, path)) for port in ports)
        if json.loads(ours.body()) != json.loads(theirs.body()):
            raise AssertionError(f"the baseline answers {path} differently")
        rates = interleaved(
            {"ours": lambda: ours.ask(requests), "baseline": lambda: theirs.ask(requests)}
        )
    return Result.of(
        f"{name} / FastAPI + SQLAlchemy baseline", rates["ours"], rates["baseline"],
        unit="r/s", at_least=3.0,
    )  # fmt: skip


def _connect_args(dsn: str) -> dict[str, object]:
    """Return the arguments that asyncpg connects with."""
    given = parameters(dsn)
    named = {"host": "host", "port": "port", "user": "user", "dbname": "database"}
    return {theirs: given[ours] for ours, theirs in named.items() if ours in given}
