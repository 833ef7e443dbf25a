"""Server CPU for one `/health`, against an aiohttp hello: two processes, one client."""

from collections.abc import Callable
from typing import Final

from benchmarks.processes import Process, server
from benchmarks.rounds import Result, rounds_of
from benchmarks.visitors import Visitors

REQUESTS: Final = 3_000


def measure() -> list[Result]:
    with (
        server("house") as house,
        server("hello") as hello,
        Visitors.open(house.port, "/health", connections=1) as health,
        Visitors.open(hello.port, "/hello", connections=1) as greeting,
    ):
        took = rounds_of({"ours": _cpu(house, health), "hello": _cpu(hello, greeting)})
    return [
        Result.of(
            "/health / aiohttp hello, server CPU", took["ours"], took["hello"],
            unit="us", at_most=1.3,
        )
    ]  # fmt: skip


def _cpu(process: Process, visitors: Visitors) -> Callable[[], float]:
    def measured() -> float:
        before = process.cpu_us()
        visitors.ask(REQUESTS)
        return (process.cpu_us() - before) / REQUESTS

    return measured
