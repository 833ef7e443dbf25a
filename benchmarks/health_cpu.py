"""Server CPU for one `/health`, against an aiohttp hello: two processes, one client."""

from typing import Final

from benchmarks.comparison import MANY_ROUNDS, Result, interleaved
from benchmarks.load_client import LoadClient
from benchmarks.processes import cpu_us_of, pinned_apart, server

REQUESTS: Final = 500  #: a round


def measure() -> list[Result]:
    with (
        server("product") as product,
        server("hello") as hello,
        pinned_apart(product, hello),
        LoadClient.open(product.port, "/health", connections=1) as health,
        LoadClient.open(hello.port, "/hello", connections=1) as greeting,
    ):
        took = interleaved(
            {
                "ours": cpu_us_of(product, health, REQUESTS),
                "hello": cpu_us_of(hello, greeting, REQUESTS),
            },
            rounds=MANY_ROUNDS,
        )
    name = "/health / aiohttp hello, server CPU"
    return [Result.of(name, took["ours"], took["hello"], unit="us", at_most=1.3)]
