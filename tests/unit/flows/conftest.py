"""The whole story on fakes."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from service.bus import Bus, Event, OrderFilled, OrderMoved, SignalMade, TickerUpdated
from service.domain.account import Absence
from service.domain.errors import ExchangeUnavailable, ModelUnavailable
from service.domain.markets import Market
from service.domain.orders import Order
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.flows.circuit_breaker import Circuit, ModelCircuits
from service.flows.decide import Decider
from service.flows.execute import Executor
from service.flows.fallback_models import FallbackModels
from service.flows.leadership import Leadership
from service.flows.manual_orders import ManualOrders
from service.flows.model_budget import ModelBudget
from service.flows.open_sales import OpenSales
from service.flows.order_cancels import OrderCancels
from service.flows.propose import Proposer
from service.flows.reconcile import Reconciler
from service.flows.situations import Situations
from service.flows.trade import TradingPipeline
from service.flows.trading_switch import TradingSwitch
from service.flows.unstored_orders import UnstoredOrders
from service.ports.store import JSON
from service.settings.settings import Settings
from tests.builders import KRW_BTC, some_live_prices
from tests.fakes.audit import FakeAudit
from tests.fakes.clock import FakeClock
from tests.fakes.equities import FakeEquities
from tests.fakes.exchange import FakeExchange
from tests.fakes.exit_journal import FakeExitJournal
from tests.fakes.halt_journal import FakeHaltJournal
from tests.fakes.market_data import FakeMarketData
from tests.fakes.model import FakeModel
from tests.fakes.model_spending import FakeModelSpending
from tests.fakes.order_requests import FakeOrderRequests
from tests.fakes.orders import FakeOrders
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.signals import FakeSignals
from tests.fakes.state import FakeLease, FakeTradingState

KRW_ETH = Market("KRW", "ETH")


@dataclass
class House:
    """Everything a flow touches, and the flows bound to it."""

    clock: FakeClock = field(default_factory=FakeClock)
    model: FakeModel = field(default_factory=FakeModel)
    signals: FakeSignals = field(default_factory=FakeSignals)
    orders: FakeOrders = field(default_factory=FakeOrders)
    market_data: FakeMarketData = field(default_factory=FakeMarketData)
    equities: FakeEquities = field(default_factory=FakeEquities)
    rows: FakeSettingRows = field(default_factory=FakeSettingRows)
    state: FakeTradingState = field(default_factory=FakeTradingState)
    lease: FakeLease = field(default_factory=FakeLease)
    bus: Bus = field(default_factory=Bus)
    open_sales: OpenSales = field(default_factory=OpenSales)
    exit_journal: FakeExitJournal = field(default_factory=FakeExitJournal)
    #: The positions that are unprotected, each time that they change; each damage of the journal.
    unprotected: list[Mapping[Market, str]] = field(default_factory=list)
    damages: list[str] = field(default_factory=list)
    is_alone: bool = False
    heard: list[Event] = field(default_factory=list)
    absence: Absence = Absence.EXPLAINED
    asked_absence: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.signals.tables = self.orders.tables
        self.exchange = FakeExchange(clock=self.clock)
        self.settings = Settings(self.rows, self.clock)
        # One database: what halts trading and what switches it off is seen by an order's insert.
        self.orders.tables.halts = self.state.halts
        self.orders.tables.settings = lambda: self.rows.stored
        self.live_prices = some_live_prices(self.clock)
        self.order_requests, deciding = FakeOrderRequests(self.orders), asyncio.Lock()
        ids = itertools.count(1)
        self.trading_switch = TradingSwitch(
            states=self.state,
            settings=self.settings,
            journal=FakeHaltJournal(),
            audit=FakeAudit(),
            clock=self.clock,
            real_clock=self.clock,
            new_id=lambda: f"h-{next(ids)}",
        )
        self.reconciler = Reconciler(
            orders=self.orders,
            exchange=self.exchange,
            states=self.state,
            bus=self.bus,
            clock=self.clock,
            real_clock=self.clock,
            prices=self.market_data,
            explains_absence=self.explain,
        )
        self.leadership = Leadership(
            lease=self.lease, real_clock=self.clock, on_gain=self.reconciler.reconcile
        )
        self.circuits = ModelCircuits(error=ModelUnavailable, seconds=self.clock.monotonic)
        self.spending = FakeModelSpending(self.orders.tables)
        self.alert_buffer = AlertBuffer()
        alert_monitor = AlertMonitor(alert_buffer=self.alert_buffer, clock=self.clock)
        self.budget = ModelBudget(
            rows=self.spending,
            settings=self.settings,
            clock=self.clock,
            near=alert_monitor.model_budget_near,
            used_up=alert_monitor.model_budget_used_up,
        )
        self.models = FallbackModels(
            model=self.model,
            budget=self.budget,
            signals=self.signals,
            settings=self.settings,
            clock=self.clock,
            real_clock=self.clock,
            circuits=self.circuits,
        )
        self.purchases = Circuit(
            "the orders", error=ExchangeUnavailable, seconds=self.clock.monotonic
        )
        self.executor = Executor(
            orders=self.orders,
            exchange=self.exchange,
            reconciler=self.reconciler,
            leadership=self.leadership,
            trading_switch=self.trading_switch,
            settings=self.settings,
            clock=self.clock,
            real_clock=self.clock,
            new_id=lambda: str(next(ids)),
            circuit=self.purchases,
            open_sales=self.open_sales,
        )
        self.bus.subscribe(OrderFilled, self.open_sales.filled)
        self.bus.subscribe(OrderMoved, self.open_sales.moved)
        self.unstored_orders = self.new_unstored_orders()
        self.decider = Decider(
            situations=Situations(
                exchange=self.exchange,
                orders=self.orders,
                state=self.state,
                market_data=self.market_data,
                equities=self.equities,
                live_prices=self.live_prices,
                clock=self.clock,
            ),
            signals=self.signals,
            settings=self.settings,
            clock=self.clock,
        )
        self.proposer = Proposer(
            exchange=self.exchange,
            models=self.models,
            market_data=self.market_data,
            signals=self.signals,
            orders=self.orders,
            bus=self.bus,
            clock=self.clock,
        )
        self.pipeline = TradingPipeline(
            proposer=self.proposer,
            decider=self.decider,
            executor=self.executor,
            leadership=self.leadership,
            signals=self.signals,
            settings=self.settings,
            clock=self.clock,
            deciding=deciding,
        )
        self.manual_orders = ManualOrders(
            decider=self.decider,
            executor=self.executor,
            requests=self.order_requests,
            leadership=self.leadership,
            settings=self.settings,
            collected=(KRW_BTC, KRW_ETH),
            clock=self.clock,
            deciding=deciding,
        )
        self.order_cancels = OrderCancels(
            orders=self.orders,
            requests=self.order_requests,
            exchange=self.exchange,
            reconciler=self.reconciler,
            leadership=self.leadership,
            settings=self.settings,
            clock=self.clock,
        )

        async def hear(event: Event) -> None:
            self.heard.append(event)

        self.bus.subscribe(TickerUpdated, hear)
        self.bus.subscribe(SignalMade, hear)
        self.bus.subscribe(OrderMoved, hear)
        self.bus.subscribe(OrderFilled, hear)

    def new_unstored_orders(self) -> UnstoredOrders:
        """Return what the next process has: its memory is empty."""
        return UnstoredOrders(
            journal=self.exit_journal,
            orders=self.orders,
            exchange=self.exchange,
            reconciler=self.reconciler,
            leadership=self.leadership,
            trading_switch=self.trading_switch,
            open_sales=self.open_sales,
            clock=self.clock,
            real_clock=self.clock,
            is_alone=self.is_alone,
            tell=self._hear_unprotected,
            tell_damage=self.damages.append,
        )

    def _hear_unprotected(self, unprotected: Mapping[Market, str]) -> None:
        if unprotected != (self.unprotected[-1] if self.unprotected else {}):
            self.unprotected.append(dict(unprotected))

    async def explain(self, order: Order) -> Absence:
        """Say what the test says that lists and balances tell of an absence."""
        self.asked_absence.append(order.identifier)
        return self.absence

    async def allow(self, **values: JSON) -> None:
        await self.settings.change(values, by="test")

    def told(self, kind: type[Event]) -> Sequence[Event]:
        return [event for event in self.heard if isinstance(event, kind)]


@pytest.fixture
async def house() -> House:
    """A leader with trading switched on."""
    made = House()
    await made.leadership.renew()
    await made.leadership.settle()
    await made.allow(trading_enabled=True)
    return made
