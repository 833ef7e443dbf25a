"""The list people look at most, 50 orders of one status, against a bare handler of the same bytes.

Same statement, same pool, same event loop: what lies between is what the product adds, that is
admission, the gate, request ids, counting, headers and the line in the log.
"""

from contextlib import ExitStack
from typing import Final

from benchmarks.databases import Databases
from benchmarks.processes import Process, apart, cpu_us_of, server
from benchmarks.rounds import MANY_ROUNDS, AllMarkets, Result, rounds_of
from benchmarks.visitors import Visitors

HOT_LIST: Final = "/api/v1/trading/orders?status=EXECUTED&limit=50"
SETTING: Final = "/api/v1/config/min_confidence"
CONNECTIONS: Final = 10
CPU_REQUESTS: Final = 100  #: a round


def measure(databases: Databases, *, rows: int, requests: int = 300) -> list[Result]:
    dsn = databases.grown(rows)
    with (
        server("house", dsn) as house,
        server("bare", dsn) as bare,
        server("hello") as hello,
    ):
        rates = _rates(house, bare, requests)
        cpu = _cpu(house, bare, hello)
        crowded = _cpu(house, bare, hello, connections=CONNECTIONS)
    name = f"hot list, {rows:,} orders / bare aiohttp + aiopg"
    setting = "cached setting / aiohttp hello, server CPU"
    return [
        Result.of(name, rates["ours"], rates["bare"], unit="r/s", at_least=0.75),
        Result.of(setting, cpu["setting"], cpu["hello"], unit="us", at_most=2.0),
        Result.of(
            f"{setting}, {CONNECTIONS} at once", crowded["setting"], crowded["hello"], unit="us"
        ),
        Result.of("hot list / aiohttp hello, server CPU", cpu["list"], cpu["hello"], unit="us"),
        Result.of("hot list / bare handler, server CPU", cpu["list"], cpu["bare"], unit="us"),
    ]


def _rates(house: Process, bare: Process, requests: int) -> dict[str, AllMarkets]:
    with (
        Visitors.open(house.port, HOT_LIST, connections=CONNECTIONS) as ours,
        Visitors.open(bare.port, HOT_LIST, connections=CONNECTIONS) as theirs,
    ):
        if (one := ours.body()) != (other := theirs.body()):
            raise AssertionError(f"not the same bytes:\n{one[:300]!r}\n{other[:300]!r}")
        return rounds_of(
            {"ours": lambda: ours.ask(requests), "bare": lambda: theirs.ask(requests)},
            rounds=MANY_ROUNDS,
        )


def _cpu(
    house: Process, bare: Process, hello: Process, *, connections: int = 1
) -> dict[str, AllMarkets]:
    """One connection is how people and pages ask. With many, a server finds several requests
    each time it wakes: what waking costs, which is the same for all, is then in no figure.
    """
    asked = {
        "list": (house, HOT_LIST),
        "bare": (bare, HOT_LIST),
        "setting": (house, SETTING),
        "hello": (hello, "/hello"),
    }
    with apart(house, bare, hello), ExitStack() as stack:
        return rounds_of(
            {
                name: cpu_us_of(
                    process,
                    stack.enter_context(Visitors.open(process.port, path, connections=connections)),
                    CPU_REQUESTS,
                )
                for name, (process, path) in asked.items()
            },
            rounds=MANY_ROUNDS,
        )
