"""The production wiring, its flows, jobs and end included; what is outside of it are fakes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from typing import Any, cast

from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.app.bootstrap import build
from service.app.serve import working
from service.app.services import ApiStore, Ports, Process, Services, Store
from service.domain.errors import StoreDown
from service.domain.markets import Ticker
from service.ops.metrics.counters import Counters
from service.ports.clock import MarketClock, RealClock
from service.ports.exchange import Exchange
from service.ports.queries import RecentActivity
from service.settings.settings import Settings
from tests.builders import KRW_BTC, a_config
from tests.fakes.account import FakeAccount
from tests.fakes.account_books import FakeAccountBooks, FakeAccountLists
from tests.fakes.alerts import FakeOutbox
from tests.fakes.audit import FakeAudit
from tests.fakes.database import AwayActivity, FakeDatabase
from tests.fakes.equities import FakeEquities
from tests.fakes.exchange import FakeExchange
from tests.fakes.exit_journal import FakeExitJournal
from tests.fakes.flattenings import FakeFlattenings
from tests.fakes.halt_journal import FakeHaltJournal
from tests.fakes.lists import FakeLists
from tests.fakes.loss_days import FakeLossDays
from tests.fakes.market_data import FakeMarketData
from tests.fakes.metric_rows import FakeMetricRows
from tests.fakes.model import FakeModel
from tests.fakes.model_spending import FakeModelSpending
from tests.fakes.order_requests import FakeOrderRequests
from tests.fakes.order_sweep import FakeSweptOrders
from tests.fakes.orders import FakeOrders
from tests.fakes.protections import FakeProtections
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.signals import FakeSignals
from tests.fakes.state import FakeLease, FakeTradingState
from tests.fakes.statistics import FakePortfolio, FakeStatistics
from tests.fakes.streams import FakeStreams
from tests.unit.flows.test_retention import FakeHistory
from tests.unit.ops.facts import a_machine_reading

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


class House:
    """Everything outside, and the services bound to it.

    Attributes: told: what happened, in order.
    """

    def __init__(self, *, epoch: int | None = 1) -> None:
        self.told: list[str] = []
        self.real_clock: RealClock = SystemClock()
        self.clock: MarketClock = RealTimeMarketClock(self.real_clock)
        self.loop_context: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
        self.account = FakeAccount()
        self.streams = FakeStreams()
        self.exchange = FakeExchange()
        self.trading: Exchange | None = None  #: instead of the fake
        self.watching: Exchange | None = None
        self.model = AskedModel()
        self.database = FakeDatabase()
        self.activity: RecentActivity = AwayActivity()
        self.orders = FakeOrders()
        self.signals = FakeSignals(tables=self.orders.tables)
        self.order_requests = FakeOrderRequests(self.orders)
        self.market_data = HeldMarketData(self.told)
        self.lease = ToldLease(self.told, epoch=epoch)
        self.history: FakeHistory = FakeHistory()
        self.state, self.halt_journal = FakeTradingState(), FakeHaltJournal()
        self.exit_journal = FakeExitJournal()
        self.lists, self.audit = FakeLists(), FakeAudit()
        self.portfolio, self.statistics = FakePortfolio(), FakeStatistics()
        self.counters = Counters(self.real_clock)
        self.metrics, self.outbox = FakeMetricRows(), FakeOutbox()
        self.setting_rows = FakeSettingRows({"trading_enabled": True})
        self.books, self.account_lists = FakeAccountBooks(), FakeAccountLists()
        self.protections = FakeProtections()
        self.swept = FakeSweptOrders(self.orders)
        self.orders.tables.settings = lambda: self.setting_rows.stored
        self.config = a_config(markets=(KRW_BTC,))
        self.machine_reading = a_machine_reading()

    def services(self) -> Services:
        """Return what the composition root builds over the fakes."""
        process = Process(
            config=self.config,
            real_clock=self.real_clock,
            counters=self.counters,
            read_machine=lambda: self.machine_reading,
        )
        return build(process, self._ports())

    @asynccontextmanager
    async def running(self, *, with_loops: bool = True) -> AsyncIterator[Services]:
        """Start as the service does, and stop as it does."""
        services = self.services()
        if not with_loops:
            yield services
            await services.recorder.flush()
            return
        async with working(services):
            try:
                yield services
            finally:
                self._letting_go = asyncio.create_task(self._let_go_later())

    async def _let_go_later(self) -> None:
        """Hold the prices' row back for as long as an end takes that waits for nothing."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        self.market_data.let_go.set()

    def _ports(self) -> Ports:
        return Ports(
            clock=self.clock,
            speed=1.0,
            waiting_s=self.real_clock.monotonic,
            loop_context=self.loop_context,
            dsn=NOWHERE,
            own_server=None,
            database=self.database,
            activity=self.activity,
            store=Store(
                market_data=self.market_data,
                collected=self.market_data,
                signals=self.signals,
                model_spending=FakeModelSpending(self.orders.tables),
                orders=self.orders,
                order_requests=self.order_requests,
                flattenings=FakeFlattenings(),
                loss_days=FakeLossDays(),
                protections=self.protections,
                state=self.state,
                equities=FakeEquities(),
                account=self.books,
                swept=self.swept,
                lease=self.lease,
                metrics=self.metrics,
                history=self.history,
                audit=self.audit,
            ),
            api=ApiStore(
                orders=self.orders,
                lists=self.lists,
                audit=self.audit,
                acknowledgements=self.lists,
                portfolio=self.portfolio,
                account=self.account_lists,
                deposits=self.books,
                statistics=self.statistics,
            ),
            exit_journal=self.exit_journal,
            halt_journal=self.halt_journal,
            streams=self.streams,
            exchange=self.trading or self.exchange,
            watching=self.watching or self.exchange,
            account=cast("Any", self.account),
            model=self.model,
            settings=Settings(self.setting_rows, self.clock),
            outbox=self.outbox,
            targets=(),
        )
