"""The one wiring: every flow bound to what it needs, the same in production and in tests."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from uuid_utils.compat import uuid7

from service import __version__
from service.adapters.clock import RealTimeMarketClock
from service.app.counted_signals import CountedSignals
from service.app.health_wiring import health_monitor
from service.app.limits import limit_guards
from service.app.live import bound_live
from service.app.observed_model import ObservedModel
from service.app.pass_record import record_pass
from service.app.protection import bind_protection
from service.app.services import Circuits, LimitGuards, Live, Ports, Process, Services
from service.app.verification import differences_at
from service.bus import Bus, OrderFilled, OrderMoved, SignalMade, TickerUpdated
from service.domain.errors import ExchangeUnavailable, ModelUnavailable
from service.domain.orders import OrderList
from service.flows.account_book import AccountBook
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.flows.alerts.sender import AlertSender
from service.flows.books_check import BooksCheck
from service.flows.cancel_entries import EntryCancels
from service.flows.circuit_breaker import Circuit, ModelCircuits
from service.flows.decide import Decider
from service.flows.equity import PRICE_LASTS, Snapshots
from service.flows.execute import Executor
from service.flows.fallback_models import FallbackModels
from service.flows.flatten import Flattener
from service.flows.holdings_check import HoldingsCheck
from service.flows.lapsed_decisions import close_lapsed
from service.flows.leadership import Leadership
from service.flows.live_prices import LivePrices
from service.flows.manual_orders import ManualOrders
from service.flows.model_budget import ModelBudget
from service.flows.not_placed import NotPlacedOrders
from service.flows.open_sales import OpenSales
from service.flows.order_cancels import OrderCancels
from service.flows.order_sweep import OrderSweep
from service.flows.propose import Proposer
from service.flows.reconcile import CLOCKS_APART, Reconciler
from service.flows.retention import Retention
from service.flows.shared_answer import SHOWN_FOR_S, SharedAnswer
from service.flows.situations import Situations
from service.flows.trade import TradingPipeline
from service.flows.trading_switch import TradingSwitch
from service.loops.runner import Runner
from service.ops.health.monitor import HealthMonitor
from service.ops.metrics.counters import Counters
from service.ops.metrics.machine import MachineUsage
from service.ops.metrics.prometheus import Exposition
from service.ops.metrics.recorder import Recorder
from service.ports.clock import MarketClock, RealClock


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPath:
    """What every order passes, from a signal or by hand: one verdict at a time."""

    decider: Decider
    executor: Executor
    deciding: asyncio.Lock


def new_id() -> str:
    return str(uuid7())


def build(process: Process, ports: Ports) -> Services:
    """Bind everything; nothing is opened or started here."""
    bus, clock = Bus(), ports.clock
    circuits = _circuits(ports)
    account_book, reconciler, order_sweep, leadership = _settlement(process, ports, bus)
    trading_switch = _trading_switch(process, ports)
    executor = _executor(
        process, ports, bus=bus, circuits=circuits, reconciler=reconciler, leadership=leadership,
        trading_switch=trading_switch,
    )  # fmt: skip
    alert_buffer, alert_monitor = _alerts(clock)
    recorder, record = _recording(process, ports, alert_monitor, leadership)
    jobs, maintenance = _runners(process.real_clock, clock, record, leadership)
    live = bound_live(process, ports, reconciler, leadership, (jobs, maintenance))
    limits = limit_guards(
        process, ports, trading_switch, leadership, prices=live.prices, nudge=maintenance.nudge
    )
    budget = _model_budget(ports, alert_monitor)
    health = health_monitor(
        process, ports, leadership=leadership, switch=trading_switch, circuits=circuits,
        runners=(jobs, maintenance), chance=random.random, budget=budget,
    )  # fmt: skip
    path = _order_path(process, ports, executor, live.prices, limits)
    cancels = _order_cancels(ports, reconciler, leadership)
    protection = bind_protection(
        process, ports, bus=bus, executor=executor, cancels=cancels, reconciler=reconciler,
        leadership=leadership, trading_switch=trading_switch, live_prices=live.prices,
        alert_monitor=alert_monitor,
    )  # fmt: skip
    pipeline = _pipeline(
        process, ports, bus=bus, circuits=circuits, path=path, leadership=leadership, budget=budget,
        model=ObservedModel(ports.model, health=health, alert_monitor=alert_monitor),
    )  # fmt: skip
    _count_events(bus, process.counters, health)
    alerts_counted, exposition, alert_sender = _telling(
        process, ports, jobs=jobs, health=health, leadership=leadership, switch=trading_switch,
        alerts=(alert_buffer, alert_monitor), live=live,
    )  # fmt: skip
    return Services(
        process=process,
        ports=ports,
        bus=bus,
        live=live,
        circuits=circuits,
        budget=budget,
        reconciler=reconciler,
        holdings_check=HoldingsCheck(orders=ports.store.orders, exchange=ports.watching),
        account_book=account_book,
        order_sweep=order_sweep,
        books_check=BooksCheck(verify=partial(differences_at, ports.dsn)),
        leadership=leadership,
        unstored_orders=protection.unstored_orders,
        trading_switch=trading_switch,
        limits=limits,
        entry_cancels=_entry_cancels(process, ports, cancels, trading_switch, leadership),
        flattener=_flattener(ports, cancels, trading_switch, executor, leadership),
        protection=protection,
        pipeline=pipeline,
        manual_orders=_manual_orders(process, ports, path, leadership),
        order_cancels=cancels,
        not_placed_orders=_not_placed_orders(ports, account_book, reconciler, leadership),
        open_orders=_open_orders(process, ports),
        retention=_retention(process, ports),
        snapshots=_snapshots(process, ports),
        jobs=jobs,
        maintenance=maintenance,
        health=health,
        alert_monitor=alert_monitor,
        alert_sender=alert_sender,
        alerts_counted=alerts_counted,
        recorder=recorder,
        machine=_machine(process, alert_monitor),
        metrics_text=exposition.text,
    )


def _telling(
    process: Process,
    ports: Ports,
    *,
    jobs: Runner,
    health: HealthMonitor,
    leadership: Leadership,
    switch: TradingSwitch,
    alerts: tuple[AlertBuffer, AlertMonitor],
    live: Live,
) -> tuple[Counter[tuple[str, str]], Exposition, AlertSender]:
    """Return the count of alerts, what shows it beside the other metrics, and what sends them."""
    counted: Counter[tuple[str, str]] = Counter()
    exposition = _exposition(
        process, ports, jobs=jobs, health=health, alerts_counted=counted, trading_switch=switch,
        live=live,
    )  # fmt: skip
    alert_buffer, alert_monitor = alerts
    sender = _alert_sender(
        process, ports, alert_buffer=alert_buffer, alert_monitor=alert_monitor, health=health,
        leadership=leadership, counted=counted,
    )  # fmt: skip
    return counted, exposition, sender


def _alerts(clock: MarketClock) -> tuple[AlertBuffer, AlertMonitor]:
    """Return the buffer of what no row records, and what fills it."""
    buffer = AlertBuffer()
    return buffer, AlertMonitor(alert_buffer=buffer, clock=clock)


def _recording(
    process: Process, ports: Ports, alert_monitor: AlertMonitor, leadership: Leadership
) -> tuple[Recorder, Callable[..., Awaitable[None]]]:
    """Return the recorder of requests and passes, and what each runner calls after a pass."""
    recorder = Recorder(
        requests=process.counters.requests,
        rows=ports.store.metrics,
        real_clock=process.real_clock,
    )
    record = partial(
        record_pass,
        counters=process.counters,
        recorder=recorder,
        alert_monitor=alert_monitor,
        leadership=leadership,
        real_clock=process.real_clock,
    )
    return recorder, record


def _machine(process: Process, alert_monitor: AlertMonitor) -> MachineUsage:
    return MachineUsage(
        read=process.read_machine,
        real_clock=process.real_clock,
        lag_s=process.counters.lag.worst_s,
        tell_disk=alert_monitor.disk_used,
    )


def _runners(
    real_clock: RealClock,
    clock: MarketClock,
    record: Callable[..., Awaitable[None]],
    leadership: Leadership,
) -> tuple[Runner, Runner]:
    """Return the runner of the jobs, on the market's grid, and the maintenance runner."""

    def lacks_lease() -> bool:
        return not leadership.may_trade

    jobs = Runner(
        clock=clock,
        real_clock=real_clock,
        new_id=new_id,
        observe=record,
        lacks_lease=lacks_lease,
    )
    # Its grid is not the market's: the market's instant is taken when the pass is over.
    maintenance = Runner(
        clock=RealTimeMarketClock(real_clock),
        real_clock=real_clock,
        new_id=new_id,
        observe=partial(record, market_clock=clock),
        lacks_lease=lacks_lease,
    )
    return jobs, maintenance


def _settlement(
    process: Process, ports: Ports, bus: Bus
) -> tuple[AccountBook, Reconciler, OrderSweep, Leadership]:
    """Return what settles the past before this process trades, and what decides that it may."""
    account_book = _account_book(process, ports)
    reconciler = _reconciler(process, ports, bus, account_book)
    order_sweep = _order_sweep(ports, account_book, reconciler)
    leadership = _leadership(process, ports, reconciler, order_sweep, account_book)
    return account_book, reconciler, order_sweep, leadership


def _account_book(process: Process, ports: Ports) -> AccountBook:
    return AccountBook(
        books=ports.store.account,
        orders=ports.store.orders,
        exchange=ports.exchange,
        clock=ports.clock,
        markets=process.config.markets,
    )


def _order_sweep(ports: Ports, account_book: AccountBook, reconciler: Reconciler) -> OrderSweep:
    return OrderSweep(
        account_book=account_book,
        rows=ports.store.swept,
        take_in=reconciler.take_in,
        clock=ports.clock,
    )


def _leadership(
    process: Process,
    ports: Ports,
    reconciler: Reconciler,
    order_sweep: OrderSweep,
    account_book: AccountBook,
) -> Leadership:
    async def settle_past() -> None:
        """Do what a new owner of the lease does before it trades. Raises: BoundaryError."""
        await reconciler.reconcile()
        await order_sweep.begin()
        await account_book.begin()
        await close_lapsed(ports.store.signals, ports.clock)

    return Leadership(lease=ports.store.lease, real_clock=process.real_clock, on_gain=settle_past)


def _alert_sender(
    process: Process,
    ports: Ports,
    *,
    alert_buffer: AlertBuffer,
    alert_monitor: AlertMonitor,
    health: HealthMonitor,
    leadership: Leadership,
    counted: Counter[tuple[str, str]],
) -> AlertSender:
    return AlertSender(
        outbox=ports.outbox,
        targets=ports.targets,
        alert_buffer=alert_buffer,
        alert_monitor=alert_monitor,
        health=health,
        settings=ports.settings,
        real_clock=process.real_clock,
        alone=lambda: leadership.is_leader,
        counted=counted,
    )


def _trading_switch(process: Process, ports: Ports) -> TradingSwitch:
    return TradingSwitch(
        states=ports.store.state,
        settings=ports.settings,
        journal=ports.halt_journal,
        audit=ports.store.audit,
        clock=ports.clock,
        real_clock=process.real_clock,
        new_id=new_id,
    )


def _executor(
    process: Process,
    ports: Ports,
    *,
    bus: Bus,
    circuits: Circuits,
    reconciler: Reconciler,
    leadership: Leadership,
    trading_switch: TradingSwitch,
) -> Executor:
    open_sales = OpenSales()
    bus.subscribe(OrderFilled, open_sales.filled)
    bus.subscribe(OrderMoved, open_sales.moved)
    return Executor(
        orders=ports.store.orders,
        exchange=ports.exchange,
        reconciler=reconciler,
        leadership=leadership,
        trading_switch=trading_switch,
        settings=ports.settings,
        clock=ports.clock,
        real_clock=process.real_clock,
        new_id=new_id,
        circuit=circuits.purchases,
        open_sales=open_sales,
    )


def _entry_cancels(
    process: Process,
    ports: Ports,
    cancels: OrderCancels,
    trading_switch: TradingSwitch,
    leadership: Leadership,
) -> EntryCancels:
    return EntryCancels(
        exchange=ports.exchange,
        cancels=cancels,
        switch=trading_switch,
        real_clock=process.real_clock,
        leads=lambda: leadership.may_trade,
    )


def _flattener(
    ports: Ports,
    cancels: OrderCancels,
    trading_switch: TradingSwitch,
    executor: Executor,
    leadership: Leadership,
) -> Flattener:
    return Flattener(
        switch=trading_switch,
        exchange=ports.exchange,
        orders=ports.store.orders,
        rows=ports.store.flattenings,
        executor=executor,
        cancels=cancels,
        leadership=leadership,
        audit=ports.store.audit,
        clock=ports.clock,
    )


def _reconciler(process: Process, ports: Ports, bus: Bus, account_book: AccountBook) -> Reconciler:
    return Reconciler(
        orders=ports.store.orders,
        exchange=ports.exchange,
        states=ports.store.state,
        bus=bus,
        clock=ports.clock,
        real_clock=process.real_clock,
        prices=ports.store.market_data,
        explains_absence=account_book.explain,
        # In a fast market, whose time a clock of ours may only follow, seconds are minutes.
        clocks_apart=max(CLOCKS_APART, timedelta(seconds=10) * ports.speed),
    )


def _pipeline(
    process: Process,
    ports: Ports,
    *,
    bus: Bus,
    circuits: Circuits,
    path: OrderPath,
    leadership: Leadership,
    model: ObservedModel,
    budget: ModelBudget,
) -> TradingPipeline:
    store, clock, settings, exchange = ports.store, ports.clock, ports.settings, ports.exchange
    signals = CountedSignals(store.signals, process.counters)
    return TradingPipeline(
        proposer=Proposer(
            exchange=exchange,
            models=FallbackModels(
                model=model,
                budget=budget,
                signals=signals,
                settings=settings,
                clock=clock,
                real_clock=process.real_clock,
                circuits=circuits.model,
            ),
            market_data=store.market_data,
            signals=signals,
            orders=store.orders,
            bus=bus,
            clock=clock,
        ),
        decider=path.decider,
        executor=path.executor,
        leadership=leadership,
        signals=signals,
        settings=settings,
        clock=clock,
        deciding=path.deciding,
    )


def _model_budget(ports: Ports, alert_monitor: AlertMonitor) -> ModelBudget:
    return ModelBudget(
        rows=ports.store.model_spending,
        settings=ports.settings,
        clock=ports.clock,
        near=alert_monitor.model_budget_near,
        used_up=alert_monitor.model_budget_used_up,
    )


def _order_path(
    process: Process,
    ports: Ports,
    executor: Executor,
    live_prices: LivePrices,
    limits: LimitGuards,
) -> OrderPath:
    store, clock, settings, exchange = ports.store, ports.clock, ports.settings, ports.exchange
    return OrderPath(
        decider=Decider(
            situations=Situations(
                exchange=exchange,
                orders=store.orders,
                state=store.state,
                market_data=store.market_data,
                equities=store.equities,
                live_prices=live_prices,
                clock=clock,
                doubts=limits.doubts,
            ),
            signals=CountedSignals(store.signals, process.counters),
            settings=settings,
            clock=clock,
        ),
        executor=executor,
        deciding=asyncio.Lock(),
    )


def _manual_orders(
    process: Process, ports: Ports, path: OrderPath, leadership: Leadership
) -> ManualOrders:
    return ManualOrders(
        decider=path.decider,
        executor=path.executor,
        requests=ports.store.order_requests,
        leadership=leadership,
        settings=ports.settings,
        collected=process.config.markets,
        clock=ports.clock,
        deciding=path.deciding,
    )


def _open_orders(process: Process, ports: Ports) -> SharedAnswer[OrderList]:
    return SharedAnswer(
        ports.watching.open_orders, max_age_s=SHOWN_FOR_S, seconds=process.real_clock.monotonic
    )


def _order_cancels(ports: Ports, reconciler: Reconciler, leadership: Leadership) -> OrderCancels:
    return OrderCancels(
        orders=ports.store.orders,
        requests=ports.store.order_requests,
        exchange=ports.exchange,
        reconciler=reconciler,
        leadership=leadership,
        settings=ports.settings,
        clock=ports.clock,
    )


def _not_placed_orders(
    ports: Ports, account_book: AccountBook, reconciler: Reconciler, leadership: Leadership
) -> NotPlacedOrders:
    return NotPlacedOrders(
        orders=ports.store.orders,
        exchange=ports.exchange,
        account_book=account_book,
        reconciler=reconciler,
        leadership=leadership,
        clock=ports.clock,
    )


def _retention(process: Process, ports: Ports) -> Retention:
    return Retention(
        history=ports.store.history,
        settings=ports.settings,
        clock=ports.clock,
        real_clock=process.real_clock,
        ahead_s=lambda: ports.account.clock_skew_s,
    )


def _snapshots(process: Process, ports: Ports) -> Snapshots:
    return Snapshots(
        markets=process.config.markets,
        exchange=ports.watching,
        market_data=ports.store.collected,
        orders=ports.store.orders,
        equities=ports.store.equities,
        clock=ports.clock,
        # A fast market's minutes are shorter than a pass that collects; ten real seconds are not.
        price_lasts=max(PRICE_LASTS, timedelta(seconds=10) * ports.speed),
    )


def _exposition(
    process: Process,
    ports: Ports,
    *,
    jobs: Runner,
    health: HealthMonitor,
    alerts_counted: Counter[tuple[str, str]],
    trading_switch: TradingSwitch,
    live: Live,
) -> Exposition:
    return Exposition(
        meters=process.counters,
        version=__version__,
        mode=process.config.mode,
        jobs=jobs.states,
        pool=ports.database.state,
        cache=ports.settings.stats,
        health=health.body,
        alerts=alerts_counted.copy,
        lines_dropped=process.lines_dropped,
        limits=process.limits,
        turned_away=process.turned_away,
        halts=trading_switch.halts,
        live=live.figures,
    )


def _circuits(ports: Ports) -> Circuits:
    seconds = ports.waiting_s
    return Circuits(
        model=ModelCircuits(error=ModelUnavailable, seconds=seconds),
        purchases=Circuit("the exchange's orders", error=ExchangeUnavailable, seconds=seconds),
    )


def _count_events(bus: Bus, counters: Counters, health: HealthMonitor) -> None:
    """Have events counted, and health told that the exchange answers."""

    async def made(event: SignalMade) -> None:
        counters.signals[event.signal.proposal.action.value] += 1

    async def moved(event: OrderMoved) -> None:
        counters.orders[event.status.value] += 1

    async def updated(_: TickerUpdated) -> None:
        health.seems_well("upbit_api")

    bus.subscribe(SignalMade, made)
    bus.subscribe(OrderMoved, moved)
    bus.subscribe(TickerUpdated, updated)
