"""The composed application, its flows, jobs and end included; what is outside of it are fakes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, cast

from aiohttp import web

from service.adapters.clock import SystemClock
from service.app.alerting import ALERT_MONITOR, ALERT_SENDER, ALERTS_COUNTED
from service.app.jobs import loops
from service.app.keys import ACCOUNT, DSN, HEALTH_MONITOR, LEADERSHIP, MODEL, POOL, STORE, Store
from service.app.measures import measures
from service.app.serve import build_app
from service.app.story import health, story
from service.domain.errors import StoreDown
from service.domain.markets import Ticker
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.flows.alerts.sender import AlertSender
from service.ports.store import JobRun
from service.settings.settings import Settings
from service.web.keys import CLOCK, EXCHANGE, SETTINGS
from tests.builders import KRW_BTC
from tests.fakes.account import FakeAccount
from tests.fakes.alerts import FakeOutbox
from tests.fakes.clock import FakeClock
from tests.fakes.equities import FakeEquities
from tests.fakes.exchange import FakeExchange
from tests.fakes.journal import FakeSignals
from tests.fakes.market_data import FakeMarketData
from tests.fakes.model import FakeModel
from tests.fakes.orders import FakeOrders
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.state import FakeLease, FakeTradingState
from tests.unit.flows.test_retention import FakeHistory
from tests.unit.web.world import FakeDatabase, a_config

_TURNS = 200  #: of the event loop
NOWHERE = "postgresql://127.0.0.1:1/nowhere"  #: LISTEN finds nobody, and tries again


class HeldMarketData(FakeMarketData):
    """Stores prices at once, or once it is let go."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()
        self.let_go.set()
        self._told = told

    async def add_tickers(self, tickers: Sequence[Ticker], *, at: datetime) -> None:
        self.asked.set()
        await self.let_go.wait()
        await super().add_tickers(tickers, at=at)
        self._told.append("prices stored")


class ToldLease(FakeLease):
    """Says when it was given back, or fails to be."""

    def __init__(self, told: list[str], *, epoch: int | None) -> None:
        super().__init__(epoch=epoch)
        self.fail: StoreDown | None = None
        self._told = told

    async def release(self) -> None:
        await super().release()
        self._told.append("lease given back")
        if self.fail is not None:
            raise self.fail


class FailingHistory(FakeHistory):
    async def add_months(self, table: str, *, at: Any) -> int:
        raise StoreDown("PostgreSQL cannot be reached")


class AskedModel(FakeModel):
    async def ping(self, model: str) -> None:
        return


class AwayDatabase(FakeDatabase):
    """Has no row for anybody."""

    def cursor(self) -> Any:
        raise StoreDown("PostgreSQL cannot be reached")


class FakeMetricRows:
    """Satisfies ports.MetricRows; keeps the passes."""

    def __init__(self) -> None:
        self.runs: list[JobRun] = []

    async def add_job_runs(self, runs: Sequence[JobRun]) -> None:
        self.runs.extend(runs)

    async def add_requests(self, *_: object, **__: object) -> None:
        return

    async def drop_minutes(self, *, before: datetime) -> None:
        return


class House:
    """Everything outside, and the application bound to it.

    Attributes: told: what happened, in order.
    """

    def __init__(self, *, epoch: int | None = 1) -> None:
        self.told: list[str] = []
        self.clock: SystemClock | FakeClock = SystemClock()
        self.account = FakeAccount()
        self.exchange = FakeExchange()
        self.model = AskedModel()
        self.orders, self.journal = FakeOrders(), FakeSignals()
        self.market_data = HeldMarketData(self.told)
        self.lease = ToldLease(self.told, epoch=epoch)
        self.history: FakeHistory = FakeHistory()
        self.metrics, self.outbox = FakeMetricRows(), FakeOutbox()
        self.rows = FakeSettingRows({"trading_enabled": True})
        self.config = a_config(markets=(KRW_BTC,))

    def app(self, *, with_loops: bool = True) -> web.Application:
        app = build_app(self.config)
        app.cleanup_ctx.clear()
        ends = [loops] if with_loops else []
        app.cleanup_ctx.extend([self._outside, story, health, measures, self._alerts, *ends])
        app.on_shutdown.append(self._let_go_later)
        return app

    async def _let_go_later(self, _: web.Application) -> None:
        """Hold the prices' row back for as long as the end takes that waits for nothing."""

        async def later() -> None:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self.market_data.let_go.set()

        self._letting_go = asyncio.create_task(later())

    @asynccontextmanager
    async def running(self, *, with_loops: bool = True) -> AsyncIterator[web.Application]:
        """Start as the service does, and stop as it does."""
        app = self.app(with_loops=with_loops)
        runner = web.AppRunner(app, access_log=None)
        try:
            await runner.setup()
            yield app
        finally:
            await runner.cleanup()

    async def _outside(self, app: web.Application) -> AsyncIterator[None]:
        app[CLOCK] = self.clock
        app[DSN] = NOWHERE
        app[POOL] = cast("Any", AwayDatabase())
        app[EXCHANGE] = self.exchange
        app[ACCOUNT] = cast("Any", self.account)
        app[MODEL] = cast("Any", self.model)
        app[SETTINGS] = Settings(self.rows, self.clock)
        app[ALERTS_COUNTED] = Counter()
        app[STORE] = Store(
            market_data=cast("Any", self.market_data),
            collected=cast("Any", self.market_data),
            journal=cast("Any", self.journal),
            orders=cast("Any", self.orders),
            state=cast("Any", FakeTradingState()),
            equities=cast("Any", FakeEquities()),
            lease=cast("Any", self.lease),
            metrics=cast("Any", self.metrics),
            history=cast("Any", self.history),
        )
        yield

    async def _alerts(self, app: web.Application) -> AsyncIterator[None]:
        alert_buffer = AlertBuffer()
        app[ALERT_MONITOR] = alert_monitor = AlertMonitor(
            alert_buffer=alert_buffer, clock=self.clock
        )
        app[ALERT_SENDER] = AlertSender(
            outbox=self.outbox,
            targets=(),
            alert_buffer=alert_buffer,
            alert_monitor=alert_monitor,
            health=app[HEALTH_MONITOR],
            settings=app[SETTINGS],
            clock=self.clock,
            alone=lambda: app[LEADERSHIP].is_leader,
            counted=app[ALERTS_COUNTED],
        )
        yield
