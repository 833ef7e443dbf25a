"""Our lists against the same routes written with FastAPI, SQLAlchemy and asyncpg (twin/).

TWIN_PYTHON names the interpreter of its environment; `make bench` sets it up.
"""

import json
import os
from contextlib import ExitStack
from typing import Final

from benchmarks.databases import Databases
from benchmarks.hot_list import HOT_LIST
from benchmarks.processes import running, server
from benchmarks.rounds import Result, rounds_of
from benchmarks.visitors import Visitors
from service.store.database.dsn import parameters

ROUTES: Final = {
    "orders by status": HOT_LIST,
    "fills": "/api/v1/trading/fills?limit=50",
    "signals": "/api/v1/signals?limit=50",
    "market history": "/api/v1/market/history?market=KRW-C1&limit=50",
}
PYTHON: Final = "TWIN_PYTHON"


def measure(databases: Databases, *, rows: int, requests: int = 1_000) -> list[Result]:
    python, dsn = os.environ.get(PYTHON), databases.grown(rows)
    if python is None:
        print(f"(the twin is left out: {PYTHON} names no interpreter)", flush=True)
        return []
    command = [python, "-m", "benchmarks.twin.serve"]
    with (
        server("house", dsn) as house,
        running(command, {"TWIN_DATABASE": json.dumps(_address(dsn))}) as twin,
    ):
        return [
            _compared(name, path, house.port, twin.port, requests) for name, path in ROUTES.items()
        ]


def _compared(name: str, path: str, ours_at: int, theirs_at: int, requests: int) -> Result:
    with ExitStack() as stack:
        ours, theirs = (
            stack.enter_context(Visitors.open(port, path)) for port in (ours_at, theirs_at)
        )
        if json.loads(ours.body()) != json.loads(theirs.body()):
            raise AssertionError(f"the twin answers {path} differently")
        rates = rounds_of(
            {"ours": lambda: ours.ask(requests), "twin": lambda: theirs.ask(requests)}
        )
    return Result.of(
        f"{name} / FastAPI + SQLAlchemy twin", rates["ours"], rates["twin"],
        unit="r/s", at_least=3.0,
    )  # fmt: skip


def _address(dsn: str) -> dict[str, object]:
    """Return what asyncpg connects with."""
    given = parameters(dsn)
    named = {"host": "host", "port": "port", "user": "user", "dbname": "database"}
    return {theirs: given[ours] for ours, theirs in named.items() if ours in given}
