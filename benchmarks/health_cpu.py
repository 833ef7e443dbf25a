"""Server CPU for one `/health`, against an aiohttp hello: two processes, one client."""

from typing import Final

from benchmarks.processes import cpu_us_of, server
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
        took = rounds_of(
            {
                "ours": cpu_us_of(house, health, REQUESTS),
                "hello": cpu_us_of(hello, greeting, REQUESTS),
            }
        )
    name = "/health / aiohttp hello, server CPU"
    return [Result.of(name, took["ours"], took["hello"], unit="us", at_most=1.3)]
