"""From a price on the wire to the stop's request on the wire, in the middle of 200 markets' prices.

The exchange is a process of its own (`falling_exchange`): 2,000 frames a second over a WebSocket,
and a market that falls to its stop twenty times a second. Between its two ends is what the service
has: the stream's client, the judgement of the price, protection, the order's row with its commit on
disk, and the request. Each order is looked up and booked afterwards, as in the service.

`python -m benchmarks.stop_path 600` spreads the stops over ten minutes, for the memory.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final, cast

import aiohttp

from benchmarks.comparison import Result
from benchmarks.databases import Databases
from benchmarks.falling_exchange import A_SECOND, BASE, FALLEN
from benchmarks.overload import percentile
from benchmarks.processes import running
from benchmarks.protection_wiring import WiredProtection, hold, keep_up, wired_protection
from benchmarks.servers import logging
from benchmarks.service_process import rss_mib
from benchmarks.stream import MARKETS, ticker_frame
from benchmarks.trading_wiring import WiredTrading, wired_trading
from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.adapters.upbit.rest import UpbitRest
from service.adapters.upbit.sign import Signer
from service.adapters.upbit.stream.client import UpbitStreams
from service.adapters.upbit.stream.reader import PriceReader
from service.bus import OrderFilled
from service.domain.prices import PriceSource
from service.flows.live_feed import LiveFeed
from service.store.database.pool import open_pool

LASTS_S: Final = 10.0
WARM_UP: Final = 20  #: stops that are not counted
SAFETY_S: Final = 30.0
WARM_SHARE: Final = 0.2  #: of the time, until memory is read first
P99_MS: Final = 20.0
GROWTH: Final = 1.1
ACCESS_KEY: Final = "access"
SECRET_KEY: Final = "s" * 40
Opened = tuple[WiredTrading, aiohttp.ClientSession]


def measure(databases: Databases, *, lasts_s: float = LASTS_S) -> list[Result]:
    command = [sys.executable, "-m", "benchmarks.falling_exchange", str(lasts_s)]
    with running(command, {}) as exchange, logging():
        address = f"http://127.0.0.1:{exchange.port}"
        return asyncio.run(_results(databases.empty("stop_path"), address, lasts_s))


async def _results(dsn: str, address: str, lasts_s: float) -> list[Result]:
    async with _opened(dsn, address) as (trading, session):
        await hold(trading.pool, MARKETS, price=Decimal(int(BASE)))
        bare_ms = await _bare_ms(await wired_protection(trading))
        protection = await wired_protection(trading)
        trading.bus.subscribe(OrderFilled, protection.protector.filled)
        async with _protecting(trading, protection, session, address):
            await asyncio.sleep(lasts_s * WARM_SHARE)
            before_mib = rss_mib(os.getpid())
            # Bounded, for a stop that is never sent is a fault.
            within = aiohttp.ClientTimeout(total=lasts_s + SAFETY_S)
            async with session.get(f"{address}/took", timeout=within) as answer:
                seen = await answer.json()
            after_mib = rss_mib(os.getpid())
    took_ms = seen["took_ms"][WARM_UP:]
    name = "from a price on the wire to its stop's request"
    return [
        Result(
            name=f"{name}, p50 / bare functions",
            ours=percentile(took_ms, 50), theirs=percentile(bare_ms, 50), unit="ms",
        ),
        Result(name=f"{name}, p99", ours=percentile(took_ms, 99), unit="ms", at_most=P99_MS),
        Result(
            name="frames meanwhile", ours=seen["a_second"], unit="1/s", at_least=0.95 * A_SECOND
        ),
        Result(
            name="memory at the end of it / after a fifth of it",
            ours=after_mib, theirs=before_mib, unit="MiB", at_most=GROWTH,
        ),
    ]  # fmt: skip


async def _bare_ms(protection: WiredProtection) -> list[float]:
    """Return how long each frame takes to its exit, in memory: no socket, no row, no request."""
    reader = PriceReader(cast("Any", None), MARKETS)
    took: list[float] = []
    for price in (BASE, FALLEN):
        for market in MARKETS:
            raw = ticker_frame(market, price, base=BASE, at_ms=int(time.time() * 1000))
            began = time.perf_counter()
            reader.hear(raw)
            protection.prices.hear_all(await reader.prices(within_s=0), source=PriceSource.STREAM)
            if protection.positions[market].exit is not None:
                took.append((time.perf_counter() - began) * 1000)
    assert len(took) == len(MARKETS)
    return took


@asynccontextmanager
async def _opened(dsn: str, address: str) -> AsyncIterator[Opened]:
    clock = RealTimeMarketClock(SystemClock())
    async with open_pool(dsn) as pool, aiohttp.ClientSession() as session:
        rest = UpbitRest(
            session, quotation_url=address, exchange_url=address,
            access_key=ACCESS_KEY, secret_key=SECRET_KEY, paced=False,
        )  # fmt: skip
        async with wired_trading(pool, rest, clock) as trading:
            yield trading, session


@asynccontextmanager
async def _protecting(
    trading: WiredTrading, protection: WiredProtection, session: aiohttp.ClientSession, address: str
) -> AsyncIterator[None]:
    """Hear the stream, sell, renew the lease and do protection's upkeep, until the end."""
    stopping = asyncio.Event()
    signer = Signer(ACCESS_KEY, SECRET_KEY)
    streams = UpbitStreams(session, url=f"{address}/websocket/v1", signer=signer)
    feed = LiveFeed(
        streams=streams, exchange=trading.exchange, live_prices=protection.prices,
        markets=MARKETS, real_clock=trading.real_clock, leads=lambda: True,
    )  # fmt: skip
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed.step(stopping))
        tasks.create_task(protection.follower.run(stopping))
        tasks.create_task(keep_up(trading, protection, stopping))
        try:
            yield
        finally:
            stopping.set()


def main(lasts_s: float) -> None:
    with Databases.open() as databases:
        for result in measure(databases, lasts_s=lasts_s):
            print(result, result.verdict())


if __name__ == "__main__":
    main(float(sys.argv[1]))
