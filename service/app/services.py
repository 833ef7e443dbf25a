"""What the composition root hands over: the opened ports, and the flows bound to them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from service.app.checks.exchange import AccountCheck
from service.app.shutdown_deadline import ShutdownDeadline
from service.bus import Bus
from service.config import Config
from service.domain.markets import Market
from service.domain.orders import OrderList
from service.domain.trading_states import DAILY_LOSS, VOLATILITY
from service.flows.account_book import AccountBook
from service.flows.alerts.monitor import AlertMonitor
from service.flows.alerts.sender import AlertSender
from service.flows.books_check import BooksCheck
from service.flows.cancel_entries import EntryCancels
from service.flows.circuit_breaker import Circuit, ModelCircuits
from service.flows.daily_loss import DailyLossGuard
from service.flows.equity import Snapshots
from service.flows.flatten import Flattener
from service.flows.follow_exits import ExitFollower
from service.flows.holdings_check import HoldingsCheck
from service.flows.leadership import Leadership
from service.flows.live_feed import LiveFeed
from service.flows.live_orders import LiveOrders
from service.flows.live_prices import LivePrices
from service.flows.manual_orders import ManualOrders
from service.flows.model_budget import ModelBudget
from service.flows.not_placed import NotPlacedOrders
from service.flows.order_cancels import OrderCancels
from service.flows.order_sweep import OrderSweep
from service.flows.protect import Protector
from service.flows.reconcile import Reconciler
from service.flows.retention import Retention
from service.flows.shared_answer import SharedAnswer
from service.flows.trade import TradingPipeline
from service.flows.trading_switch import TradingSwitch
from service.flows.unstored_orders import UnstoredOrders
from service.flows.volatility import VolatilityGuard
from service.loops.runner import Runner
from service.ops.health.monitor import HealthMonitor
from service.ops.metrics.counters import Counters
from service.ops.metrics.machine import MachineUsage
from service.ops.metrics.recorder import Recorder
from service.ports.account import AccountBooks, AccountLists, Deposits
from service.ports.alerts import Acknowledgements, AlertOutbox, Target
from service.ports.clock import MarketClock, RealClock
from service.ports.exchange import Exchange
from service.ports.exit_journal import ExitJournal
from service.ports.flattenings import Flattenings
from service.ports.halt_journal import HaltJournal
from service.ports.health import ConcurrencyState, Database
from service.ports.loss_days import LossDayRows
from service.ports.machine import MachineReading
from service.ports.model import Model
from service.ports.model_spending import ModelSpending
from service.ports.order_requests import OrderRequests
from service.ports.order_sweep import SweptOrders
from service.ports.price_feed import LiveFigures, LiveStreams
from service.ports.protection import Protections
from service.ports.queries import Lists, Portfolio, RecentActivity, Statistics
from service.ports.store import (
    Audit,
    Equities,
    History,
    Lease,
    MarketData,
    MetricRows,
    Orders,
    Signals,
    TradingStates,
)
from service.settings.settings import Settings


class Account(AccountCheck, Protocol):
    """What of the exchange's adapter the self-check uses; satisfied by UpbitRest."""

    async def key_expires_at(self) -> datetime | None: ...


class PingedModel(Model, Protocol):
    """The model with a question that costs no tokens."""

    async def ping(self, model: str) -> None: ...


class OwnServer(Protocol):
    """The embedded PostgreSQL; satisfied by EmbeddedPostgres."""

    def revive(self) -> bool:
        """Start the server again if it has ended. Raises: StartError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One object a table family. What jobs only collect or add up uses their sub-pool."""

    market_data: MarketData
    collected: MarketData  #: the same rows, for those jobs
    signals: Signals
    model_spending: ModelSpending
    orders: Orders
    order_requests: OrderRequests
    flattenings: Flattenings
    protections: Protections
    state: TradingStates
    loss_days: LossDayRows
    equities: Equities
    account: AccountBooks
    swept: SweptOrders
    lease: Lease
    metrics: MetricRows
    history: History
    audit: Audit  #: for changes that must not wait behind the API's requests


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiStore:
    """What the handlers read and write, over the sub-pool of the API."""

    orders: Orders
    lists: Lists
    audit: Audit
    acknowledgements: Acknowledgements
    portfolio: Portfolio
    account: AccountLists
    deposits: Deposits
    statistics: Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuits:
    """The circuit breakers of ADR 0015: one a model (ADR 0037), one for purchases."""

    model: ModelCircuits
    purchases: Circuit


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What exists before anything is opened: configuration, counters, the deadline of the stop.

    Attributes:
        real_clock: real time, whatever market is replayed.
        read_machine: reads what the machine and this process use; blocks.
        lines_dropped: how many log lines were lost so far; None without a log writer.
        limits: the state of the web's concurrency limits, by kind of request.
        turned_away: how many connections were refused so far.
    """

    config: Config
    real_clock: RealClock
    counters: Counters
    read_machine: Callable[[], MachineReading]
    deadline: ShutdownDeadline = field(default_factory=ShutdownDeadline)
    lines_dropped: Callable[[], int] | None = None
    limits: Callable[[], Mapping[str, ConcurrencyState]] | None = None
    turned_away: Callable[[], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the flows need from outside, opened. Tests pass fakes.

    Attributes:
        clock: the market's.
        speed: the market's seconds in a real one.
        waiting_s: the seconds by which jobs count their waits between attempts.
        loop_context: entered around each loop of a job, for as long as it runs.
        dsn: where the listener for changed settings connects.
        own_server: only where the PostgreSQL is ours.
        exchange: for decisions and orders, over connections of its own.
        watching: the same one for what only looks: collectors, health, the API. It leaves a part
            of each rate limit to `exchange`.
        targets: where alerts go.
    """

    clock: MarketClock
    speed: float
    waiting_s: Callable[[], float]
    loop_context: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    dsn: str
    own_server: OwnServer | None
    database: Database
    activity: RecentActivity
    store: Store
    api: ApiStore
    halt_journal: HaltJournal
    exit_journal: ExitJournal
    exchange: Exchange
    watching: Exchange
    account: Account
    streams: LiveStreams
    model: PingedModel
    settings: Settings
    outbox: AlertOutbox
    targets: Sequence[Target]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitGuards:
    """The operator's limits that halt by themselves."""

    volatility: VolatilityGuard
    daily_loss: DailyLossGuard

    async def begin(self) -> None:
        """Restore what an earlier process knew, before the first order. Raises: BoundaryError."""
        await self.volatility.begin()
        await self.daily_loss.refresh()

    def doubts(self, market: Market) -> Mapping[str, str]:
        """Return the limits that cannot be judged, by the reason of their halts, and why."""
        found = {
            DAILY_LOSS: self.daily_loss.doubt(market.quote),
            VOLATILITY: self.volatility.doubt(market),
        }
        return {limit: why for limit, why in found.items() if why is not None}

    def follow(self, prices: LivePrices) -> None:
        """Have each hear every price that is believed, whatever becomes of the other."""
        prices.subscribe(lambda live: self.volatility.hear(live.market, live.price))
        prices.subscribe(self.daily_loss.hear)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The prices that are believed, and the two streams."""

    prices: LivePrices
    feed: LiveFeed
    orders: LiveOrders

    def figures(self) -> LiveFigures:
        """Return what is shown of them."""
        streams = {"prices": self.feed.state(), "orders": self.orders.state()}
        return LiveFigures(streams=streams, prices=self.prices.figures())


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundProtection:
    """What decides on each price, and what carries its exits out."""

    protector: Protector
    follower: ExitFollower
    unstored_orders: UnstoredOrders


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The flows, bound.

    Attributes:
        jobs: repeats by the market's clock.
        maintenance: repeats by real time.
        metrics_text: the process as Prometheus text.
        stopping: set when the stop begins.
    """

    process: Process
    ports: Ports
    bus: Bus
    live: Live
    circuits: Circuits
    budget: ModelBudget
    reconciler: Reconciler
    holdings_check: HoldingsCheck
    account_book: AccountBook
    order_sweep: OrderSweep
    books_check: BooksCheck
    leadership: Leadership
    unstored_orders: UnstoredOrders
    trading_switch: TradingSwitch
    limits: LimitGuards
    entry_cancels: EntryCancels
    flattener: Flattener
    protection: BoundProtection
    pipeline: TradingPipeline
    manual_orders: ManualOrders
    order_cancels: OrderCancels
    not_placed_orders: NotPlacedOrders
    open_orders: SharedAnswer[OrderList]
    retention: Retention
    snapshots: Snapshots
    jobs: Runner
    maintenance: Runner
    health: HealthMonitor
    alert_monitor: AlertMonitor
    alert_sender: AlertSender
    recorder: Recorder
    machine: MachineUsage
    metrics_text: Callable[[], bytes]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    alerts_counted: Counter[tuple[str, str]]

    @property
    def live_prices(self) -> LivePrices:
        return self.live.prices
