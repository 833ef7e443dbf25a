"""The list people look at most, 50 orders of one status, against a bare handler of the same bytes.

Same statement, same pool, same event loop: what lies between is what the product adds, that is
admission, the gate, request ids, counting, headers and the line in the log.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from benchmarks.databases import Databases
from benchmarks.processes import Process, server
from benchmarks.rounds import Result, rounds_of
from benchmarks.servers import HOT_LIST
from benchmarks.visitors import Visitors

SETTING: Final = "/api/v1/config/min_confidence"
CONNECTIONS: Final = 10


def measure(databases: Databases, *, rows: int, requests: int = 2_000) -> list[Result]:
    dsn = databases.grown(rows)
    with ExitStack() as stack:
        house, bare = (stack.enter_context(server(kind, dsn)) for kind in ("house", "bare"))
        hello = stack.enter_context(server("hello"))

        def visitors(process: Process, path: str) -> Visitors:
            return stack.enter_context(Visitors.open(process.port, path, connections=CONNECTIONS))

        list_ours, list_bare = visitors(house, HOT_LIST), visitors(bare, HOT_LIST)
        setting, greeting = visitors(house, SETTING), visitors(hello, "/hello")
        if (ours := list_ours.body()) != (theirs := list_bare.body()):
            raise AssertionError(f"not the same bytes:\n{ours[:300]!r}\n{theirs[:300]!r}")
        rates = rounds_of(
            {
                "ours": lambda: list_ours.ask(requests),
                "bare": lambda: list_bare.ask(requests),
            }
        )
        cpu = rounds_of(
            {
                "list": _cpu(house, list_ours, requests // 2),
                "bare": _cpu(bare, list_bare, requests // 2),
                "setting": _cpu(house, setting, requests),
                "hello": _cpu(hello, greeting, requests),
            }
        )
    return [
        Result.of(
            f"hot list, {rows:,} orders / bare aiohttp + aiopg", rates["ours"], rates["bare"],
            unit="r/s", at_least=0.75,
        ),
        Result.of(
            "cached setting / aiohttp hello, server CPU", cpu["setting"], cpu["hello"],
            unit="us", at_most=2.0,
        ),
        Result.of("hot list / aiohttp hello, server CPU", cpu["list"], cpu["hello"], unit="us"),
        Result.of("hot list / bare handler, server CPU", cpu["list"], cpu["bare"], unit="us"),
    ]  # fmt: skip


def _cpu(process: Process, visitors: Visitors, requests: int) -> Callable[[], float]:
    def measured() -> float:
        before = process.cpu_us()
        visitors.ask(requests)
        return (process.cpu_us() - before) / requests

    return measured
