"""From an allowed intent to the first byte of its request: the checks, the insert and its commit.

The database is on disk and flushes each commit; the exchange is a server on loopback that refuses
every order, so that nothing is followed up.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from benchmarks.comparison import Result
from benchmarks.databases import Databases
from service.adapters.clock import SystemClock
from service.adapters.halt_journal import FileHaltJournal
from service.adapters.upbit.rest import UpbitRest
from service.bus import Bus
from service.domain.errors import ExchangeUnavailable
from service.domain.markets import Market
from service.domain.orders import ExchangeOrder, Intent, OrderType, Side
from service.flows.circuit_breaker import Circuit
from service.flows.execute import Executor
from service.flows.leadership import Leadership
from service.flows.reconcile import Reconciler
from service.flows.trading_switch import TradingSwitch
from service.settings.settings import Settings
from service.store.database.pool import Pool, open_pool
from service.store.tables.audit import PgAudit
from service.store.tables.lease import PgLease
from service.store.tables.orders import PgOrders
from service.store.tables.settings import PgSettingRows
from service.store.tables.trading_state import PgTradingState

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
    async with open_pool(dsn) as pool, _wired(pool) as (executor, exchange, leadership):
        for n in range(WARM_UP + ORDERS):
            await leadership.renew()
            began = time.perf_counter()
            await executor.execute(INTENT, decision_id=None)
            if n >= WARM_UP:
                took.append((exchange.left_at - began) * 1000)
    return took


@asynccontextmanager
async def _wired(pool: Pool) -> AsyncIterator[tuple[Executor, TimedExchange, Leadership]]:
    clock, real_clock, ids = LeapingClock(), SystemClock(), count(1)
    settings = Settings(PgSettingRows(pool), clock)
    await settings.change({"trading_enabled": True}, by="benchmark")
    async with _exchange() as exchange:
        with tempfile.TemporaryDirectory() as folder:
            switch = TradingSwitch(
                states=PgTradingState(pool), settings=settings, audit=PgAudit(pool),
                journal=FileHaltJournal(Path(folder) / "halts"), clock=clock,
                real_clock=real_clock, new_id=lambda: str(next(ids)),
            )  # fmt: skip
            await switch.load()
        orders = PgOrders(pool)
        reconciler = Reconciler(
            orders=orders, exchange=exchange, states=PgTradingState(pool), bus=Bus(), clock=clock,
            real_clock=real_clock)  # fmt: skip
        leadership = Leadership(
            lease=PgLease(pool, owner="benchmark", ttl_s=3600), real_clock=real_clock,
            on_gain=reconciler.reconcile,
        )  # fmt: skip
        await leadership.renew()
        await leadership.settle()
        yield Executor(
            orders=orders, exchange=exchange, reconciler=reconciler, leadership=leadership,
            trading_switch=switch, settings=settings, clock=clock, real_clock=real_clock,
            new_id=lambda: str(next(ids)),
            circuit=Circuit("orders", error=ExchangeUnavailable, seconds=real_clock.monotonic),
        ), exchange, leadership  # fmt: skip


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
