"""The most requested list, 50 orders of one status, against a bare handler of the same bytes.

Both have the same statement, pool and event loop. The difference is what the product adds: the
concurrency limit, the pool's queue, request ids, counting, headers and the log line.
"""

from contextlib import ExitStack
from typing import Final

from benchmarks.comparison import MANY_ROUNDS, Result, Samples, interleaved
from benchmarks.databases import Databases
from benchmarks.load_client import LoadClient
from benchmarks.processes import ServerProcess, cpu_us_of, pinned_apart, server

HOT_LIST: Final = "/api/v1/trading/orders?status=EXECUTED&limit=50"
SETTING: Final = "/api/v1/config/min_confidence"
CONNECTIONS: Final = 10
CPU_REQUESTS: Final = 100  #: a round


def measure(databases: Databases, *, rows: int, requests: int = 300) -> list[Result]:
    dsn = databases.seeded(rows)
    with (
        server("product", dsn) as product,
        server("bare", dsn) as bare,
        server("hello") as hello,
    ):
        rates = _rates(product, bare, requests)
        cpu = _cpu(product, hello)
        loaded = _cpu(product, hello, connections=CONNECTIONS)
    name = f"hot list, {rows:,} orders / bare aiohttp + aiopg"
    setting = "cached setting / aiohttp hello, server CPU"
    return [
        Result.of(name, rates["ours"], rates["bare"], unit="r/s", at_least=0.75),
        Result.of(setting, cpu["setting"], cpu["hello"], unit="us", at_most=2.5),
        Result.of(
            f"{setting}, {CONNECTIONS} at once", loaded["setting"], loaded["hello"], unit="us"
        ),
        Result.of("hot list / aiohttp hello, server CPU", cpu["list"], cpu["hello"], unit="us"),
    ]


def _rates(product: ServerProcess, bare: ServerProcess, requests: int) -> dict[str, Samples]:
    with (
        LoadClient.open(product.port, HOT_LIST, connections=CONNECTIONS) as ours,
        LoadClient.open(bare.port, HOT_LIST, connections=CONNECTIONS) as theirs,
    ):
        if (one := ours.body()) != (other := theirs.body()):
            raise AssertionError(f"not the same bytes:\n{one[:300]!r}\n{other[:300]!r}")
        return interleaved(
            {"ours": lambda: ours.ask(requests), "bare": lambda: theirs.ask(requests)},
            rounds=MANY_ROUNDS,
        )


def _cpu(
    product: ServerProcess, hello: ServerProcess, *, connections: int = 1
) -> dict[str, Samples]:
    """On one connection every request wakes its server. On many, one wake-up serves several
    requests, and the cost of waking, the same for all servers, is in no figure.
    """
    asked = {
        "list": (product, HOT_LIST),
        "setting": (product, SETTING),
        "hello": (hello, "/hello"),
    }
    with pinned_apart(product, hello), ExitStack() as stack:
        return interleaved(
            {
                name: cpu_us_of(
                    process,
                    stack.enter_context(
                        LoadClient.open(process.port, path, connections=connections)
                    ),
                    CPU_REQUESTS,
                )
                for name, (process, path) in asked.items()
            },
            rounds=MANY_ROUNDS,
        )
