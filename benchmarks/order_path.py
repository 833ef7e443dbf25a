"""From an allowed intent to the first byte of its request: the checks, the insert and its commit.

The database is on disk and flushes each commit; the exchange is a server on loopback that refuses
every order, so that nothing is followed up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from benchmarks.comparison import Result
from benchmarks.databases import Databases
from benchmarks.trading_wiring import wired_trading
from service.adapters.upbit.rest import UpbitRest
from service.domain.markets import Market
from service.domain.orders import ExchangeOrder, Intent, OrderType, Side
from service.store.database.pool import open_pool

ORDERS: Final = 1000
WARM_UP: Final = 50
P99_MS: Final = 50.0
REFUSAL: Final = {"error": {"name": "insufficient_funds_bid", "message": "-"}}
INTENT: Final = Intent(
    market=Market("KRW", "BTC"), side=Side.BUY, type=OrderType.MARKET, funds=Decimal(10_000)
)


class LeapingClock:
    """The market's: ten minutes an order, so that no hour is ever full."""

    def __init__(self) -> None:
        self._at = datetime(2026, 1, 24, tzinfo=UTC)

    def now(self) -> datetime:
        self._at += timedelta(minutes=10)
        return self._at

    async def sleep_market(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        raise NotImplementedError("nothing waits by the market's time here")


#: One, so that a second measurement finds no hour full either.
CLOCK: Final = LeapingClock()


class TimedExchange(UpbitRest):
    """Notes when each order's last check is over."""

    left_at = 0.0

    async def submit(
        self, intent: Intent, *, identifier: str, before_send: Callable[[], None]
    ) -> ExchangeOrder:
        def checked() -> None:
            before_send()
            self.left_at = time.perf_counter()

        return await super().submit(intent, identifier=identifier, before_send=checked)


def measure(databases: Databases) -> list[Result]:
    took_ms = asyncio.run(_took_ms(databases.empty("order_path")))
    name = "from an allowed intent to its request, with the commit"
    return [
        Result(name=f"{name}, p50", ours=_percentile(took_ms, 0.5), unit="ms"),
        Result(name=f"{name}, p99", ours=_percentile(took_ms, 0.99), unit="ms", at_most=P99_MS),
    ]


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


async def _took_ms(dsn: str) -> list[float]:
    took: list[float] = []
    async with (
        open_pool(dsn) as pool,
        _exchange() as exchange,
        wired_trading(pool, exchange, CLOCK) as trading,
    ):
        for n in range(WARM_UP + ORDERS):
            await trading.leadership.renew()
            began = time.perf_counter()
            await trading.executor.execute(INTENT, decision_id=None)
            if n >= WARM_UP:
                took.append((exchange.left_at - began) * 1000)
    return took


@asynccontextmanager
async def _exchange() -> AsyncIterator[TimedExchange]:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response(REFUSAL, status=400)

    app = web.Application()
    app.router.add_post("/v1/orders", refuse)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        address = str(server.make_url("")).rstrip("/")
        yield TimedExchange(
            session, quotation_url=address, exchange_url=address,
            access_key="access", secret_key="s" * 40, paced=False,
        )  # fmt: skip
