"""Server CPU for one `/health`, against an aiohttp hello: two processes, one client."""

from typing import Final

from benchmarks.processes import apart, cpu_us_of, server
from benchmarks.rounds import MANY_ROUNDS, Result, rounds_of
from benchmarks.visitors import Visitors

REQUESTS: Final = 500  #: a round


def measure() -> list[Result]:
    with (
        server("house") as house,
        server("hello") as hello,
        apart(house, hello),
        Visitors.open(house.port, "/health", connections=1) as health,
        Visitors.open(hello.port, "/hello", connections=1) as greeting,
    ):
        took = rounds_of(
            {
                "ours": cpu_us_of(house, health, REQUESTS),
                "hello": cpu_us_of(hello, greeting, REQUESTS),
            },
            rounds=MANY_ROUNDS,
        )
    name = "/health / aiohttp hello, server CPU"
    return [Result.of(name, took["ours"], took["hello"], unit="us", at_most=1.3)]
