"""What repeats, declared as data, and what starts and stops it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any, Final, Literal

import aiojobs
from loguru import logger

from service.app.job_control import FLATTEN, switchable
from service.app.limits import DAILY_LOSS_LOOP, TRADING_STATE_LOOP
from service.app.live import CHECK_PRICES, PRICE_LIMITS, SYNC_ORDERS, live_loops
from service.app.pass_record import SENDER
from service.app.protection import protecting
from service.app.self_check import SelfCheck
from service.app.services import OwnServer, Services
from service.app.shutdown_deadline import LEASE_BY_S, PASSES_BY_S
from service.app.unstored_exits import storing_exits
from service.bus import OrderMoved
from service.domain.errors import BoundaryError, StartError, StoreDown
from service.domain.orders import OPEN
from service.flows.all_markets import AllMarkets
from service.flows.cancel_entries import LOOK_EVERY_S
from service.flows.clock_guard import ClockGuard
from service.flows.collect import Collector
from service.flows.daily_loss import REFRESH_EVERY_S as REFRESH_LOSS_S
from service.flows.flatten import STEP_EVERY_S
from service.flows.key_guard import KeyGuard
from service.flows.leadership import RENEW_EVERY_S
from service.flows.live_prices import REFRESH_EVERY_S as REFRESH_PRICES_S
from service.flows.markets import traded
from service.flows.order_cancels import CANCEL_EVERY_S
from service.flows.reconcile import SELDOM_S
from service.flows.trading_switch import REFRESH_EVERY_S
from service.loops.loop import Loop, every
from service.loops.supervisor import Supervisor
from service.ops.metrics.machine import EVERY_S as MACHINE_EVERY_S
from service.ports.store import Orders
from service.settings.settings import Settings
from service.settings.table import SIGNAL_INTERVAL_MINUTES
from service.store.database.listen import Listener
from service.store.tables.settings import CHANNEL

IN_FLIGHT: Final = timedelta(seconds=2)  #: between two looks while an order is not settled
PUT_ASIDE: Final = timedelta(seconds=SELDOM_S)  #: while only orders in quarantine are open
AT_REST: Final = timedelta(minutes=5)
SYNC: Final = SYNC_ORDERS
SYNC_WITHIN_S: Final = 45.0  #: real; a pass may take 60 s, and the next one goes on with the rest
#: Until the next try, where our PostgreSQL cannot start: each one reads the journal again.
REVIVE_AGAIN_S: Final = 10.0
#: Real seconds that the start waits for the open orders; the lease lasts longer without a renewal.
SETTLE_FIRST_S: Final = 2 * RENEW_EVERY_S
Notifications = Literal["lost", "back"]
VERIFY_S: Final = 900.0  #: real seconds for the fold of all fills, which may be millions
TURN_S: Final = 120.0  #: for one market's signal and order, at its slowest


def jobs(services: Services) -> tuple[Loop, ...]:
    """Return what repeats by the market's clock."""
    ports, leadership = services.ports, services.leadership
    settings, store, markets = ports.settings, ports.store, services.process.config.markets
    pipeline, traded_now = services.pipeline, partial(traded, settings, collected=markets)
    all_markets = AllMarkets(trade=pipeline.trade, markets=traded_now)

    collector = Collector(
        markets=markets,
        exchange=ports.watching,
        market_data=store.collected,
        live_prices=services.live_prices,
        bus=services.bus,
        clock=ports.clock,
    )

    async def collecting() -> None:
        if leadership.is_leader:
            await collector.step()

    async def signalling() -> None:
        if leadership.may_trade:
            await all_markets.step()

    async def check_cooldowns() -> None:
        await pipeline.check_cooldowns(await traded_now())

    async def signal_interval() -> timedelta:
        minutes = await settings.get(SIGNAL_INTERVAL_MINUTES)
        return timedelta(minutes=minutes)

    async def syncing() -> None:
        if leadership.may_trade:
            await services.reconciler.reconcile(within_s=SYNC_WITHIN_S)

    return (
        Loop(
            name="collect_market_data",
            every=every(seconds=10),
            step=collecting,
            needs_lease=True,
        ),
        Loop(
            name="generate_trading_signal",
            every=signal_interval,
            step=signalling,
            begin=all_markets.begin,
            check_call=check_cooldowns,
            # One market after the other: a time limit for all would starve the last ones.
            deadline_s=TURN_S * len(markets),
            needs_lease=True,
        ),
        Loop(
            name="check_volatility",
            every=every(seconds=30),
            step=partial(_check_volatility, services),
            is_idle=lambda: services.limits.volatility.is_idle,
            needs_lease=True,
        ),
        Loop(name=SYNC, every=partial(sync_interval, store.orders), step=syncing, needs_lease=True),
        Loop(
            name="snapshot_equity",
            every=every(minutes=1),
            step=partial(_snapshot, services),
            needs_lease=True,
        ),
        *_upkeep(services),
    )


async def sync_interval(orders: Orders) -> timedelta:
    """Return how soon the open orders are looked up again: seldom, where all are put aside."""
    found = await orders.open()
    if any(order.quarantine is None for order in found):
        return IN_FLIGHT
    return PUT_ASIDE if found else AT_REST


def _upkeep(services: Services) -> tuple[Loop, ...]:
    """Return what keeps the books right, and the tables small."""
    return (
        Loop(
            name="sweep_orders",
            every=every(minutes=5),
            step=partial(_sweep, services),
            needs_lease=True,
        ),
        Loop(
            name="verify_books",
            every=every(hours=24),
            step=partial(_verify, services),
            deadline_s=VERIFY_S,
            needs_lease=True,
        ),
        Loop(
            name="cleanup_old_data",
            every=services.retention.interval,
            step=partial(_clean, services),
            needs_lease=True,
        ),
    )


def maintenance(services: Services) -> tuple[Loop, ...]:
    """Return what repeats by real time, whatever market is replayed."""
    return (
        *_self_check(services).loops(),
        *keeping(services.ports.own_server),
        Loop(
            name="leader.renew",
            every=every(seconds=RENEW_EVERY_S),
            step=partial(_lead, services),
            is_job=False,
        ),
        # Apart from the renewal: thousands of open orders take minutes, a lease lasts ten seconds.
        Loop(
            name="leader.settle",
            every=every(seconds=1),
            step=partial(_settle, services),
            deadline_s=inf,
            is_job=False,
        ),
        *live_loops(services),
        # Apart from the limits: a database that hangs must not hold up the word on a jump.
        Loop(
            name=CHECK_PRICES,
            every=every(seconds=REFRESH_PRICES_S),
            step=partial(_check_prices, services),
            is_job=False,
        ),
        Loop(
            name=PRICE_LIMITS,
            every=every(seconds=REFRESH_PRICES_S),
            step=services.live_prices.refresh,
            is_job=False,
        ),
        *trading_state(services),
        *protecting(services),
        *_about_orders(services),
        *storing_exits(services),
        Loop(
            name="health.probe",
            every=every(seconds=1),
            step=services.health.probe,
            is_job=False,
        ),
        # Listens until the end; should it ever break off, it begins again.
        Loop(
            name="settings.listen",
            every=every(seconds=1),
            step=partial(_listener(services).run, services.stopping),
            deadline_s=inf,
            is_job=False,
        ),
        Loop(
            name=SENDER,
            every=every(seconds=2),
            step=services.alert_sender.step,
            is_idle=lambda: services.alert_sender.is_idle,
        ),
        *_metrics(services),
    )


def _metrics(services: Services) -> tuple[Loop, ...]:
    """Return what measures this process and the machine."""
    return (
        Loop(
            name="metrics.flush",
            every=every(seconds=MACHINE_EVERY_S),
            step=partial(_measure_and_flush, services),
            is_job=False,
        ),
        Loop(
            name="metrics.lag",
            every=every(seconds=1),
            step=partial(services.process.counters.lag.measure, stopping=services.stopping),
            is_job=False,
        ),
    )


def _self_check(services: Services) -> SelfCheck:
    return SelfCheck(
        config=services.process.config,
        account=services.ports.account,
        health_monitor=services.health,
        clock_guard=ClockGuard(
            state=services.ports.store.state,
            clock=services.ports.clock,
            real_clock=services.process.real_clock,
            leads=lambda: services.leadership.is_leader,
        ),
        key_guard=KeyGuard(
            state=services.ports.store.state,
            clock=services.ports.clock,
            real_clock=services.process.real_clock,
            leads=lambda: services.leadership.is_leader,
        ),
    )


async def _measure_and_flush(services: Services) -> None:
    await services.machine.measure()
    await services.recorder.flush()


def trading_state(services: Services) -> tuple[Loop, ...]:
    """Return what keeps the trading state known and carries out what it demands."""
    return (
        Loop(
            name=TRADING_STATE_LOOP,
            every=every(seconds=REFRESH_EVERY_S),
            step=services.trading_switch.step,
            is_job=False,
        ),
        Loop(
            name=DAILY_LOSS_LOOP,
            every=every(seconds=REFRESH_LOSS_S),
            step=services.limits.daily_loss.refresh,
            is_job=False,
            needs_lease=True,
        ),
        Loop(
            name="trading.cancel_entries",
            every=every(seconds=LOOK_EVERY_S),
            step=services.entry_cancels.step,
            is_job=False,
            needs_lease=True,
        ),
        Loop(
            name=FLATTEN,
            every=every(seconds=STEP_EVERY_S),
            step=services.flattener.step,
            # As for signals: one market after the other.
            deadline_s=TURN_S * len(services.process.config.markets),
            is_job=False,
            needs_lease=True,
        ),
    )


def _about_orders(services: Services) -> tuple[Loop, ...]:
    return (
        Loop(
            name="orders.cancel",
            every=every(seconds=CANCEL_EVERY_S),
            step=services.order_cancels.step,
            is_job=False,
            needs_lease=True,
        ),
        Loop(
            name="orders.compare",
            every=every(minutes=1),
            step=partial(compare, services),
            is_job=False,
            needs_lease=True,
        ),
    )


async def compare(services: Services) -> None:
    """Look whether our books and the exchange's agree, and have health say so."""
    holdings, leadership = services.holdings_check, services.leadership
    account_book = services.account_book
    if leadership.may_trade:
        await holdings.compare()
        await account_book.look()
    else:
        holdings.forget()
        account_book.forget()
    # A leader that cannot settle its past may not trade, and health must say why. What a process
    # found before it lost the lease no longer counts: the next leader finds it again.
    contradicted = leadership.is_leader and services.reconciler.contradicted
    differ = holdings.disagree or account_book.disagree or contradicted
    differ = differ or services.books_check.disagree
    services.health.note("recent_order", "reconcile_mismatch", holds=differ)


def keeping(own_server: OwnServer | None) -> tuple[Loop, ...]:
    """Return what starts our own PostgreSQL again; an operator's server is the operator's."""
    if own_server is None:
        return ()

    async def keep() -> None:
        try:
            revived = await asyncio.to_thread(own_server.revive)
        except StartError as exc:
            raise StoreDown(str(exc), retry_after_s=REVIVE_AGAIN_S) from exc
        if revived:
            logger.bind(event="app").warning(
                "the embedded PostgreSQL had ended and was started again"
            )

    # Recovery after a crash reads the whole journal, which may take minutes.
    return (
        Loop(name="postgres.keep", every=every(seconds=2), step=keep, is_job=False, deadline_s=600),
    )


def listener(
    dsn: str, settings: Settings, *, tell: Callable[[Notifications], None] = lambda _: None
) -> Listener:
    """Return what hears of settings that another process changed (S2.2).

    Args: tell: called when notifications may be missed from now on, and when they are back.
    """

    def lost() -> None:
        settings.distrust()
        tell("lost")

    async def reconnected() -> None:
        await settings.trust()
        tell("back")

    return Listener(dsn, CHANNEL, heard=settings.invalidate, reconnected=reconnected, lost=lost)


def _listener(services: Services) -> Listener:
    def tell(state: Notifications) -> None:
        # At the stop the connection is closed on purpose.
        holds = state == "lost" and not services.stopping.is_set()
        services.health.note("database", "notifications_lost", holds=holds)

    return listener(services.ports.dsn, services.ports.settings, tell=tell)


async def _lead(services: Services) -> None:
    try:
        await services.leadership.renew()
    except BoundaryError as exc:
        services.health.heard_from("database", error=exc)
        raise
    # The lease is the write that comes most often: reading works on a full disk as well.
    services.health.proved("database")
    _mark_settled(services)
    if not services.leadership.is_last_known_owner:
        for runner in (services.jobs, services.maintenance):
            runner.forget_failures()
        await services.unstored_orders.stand_by()


async def _settle(services: Services) -> None:
    traded_before = services.leadership.may_trade
    await services.leadership.settle()
    _mark_settled(services)
    if services.leadership.may_trade and not traded_before:
        # A standby's next look at orders may be five minutes away; some may still be open.
        services.jobs.nudge(SYNC)


def _mark_settled(services: Services) -> None:
    if services.leadership.is_settled:
        services.health.mark_reconciled()


async def _settle_first(services: Services) -> None:
    """Settle before the port opens, as long as the lease lasts without a renewal.

    What is not settled by then is left to the loop, which begins again: each order is settled in a
    transaction of its own.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_FIRST_S):
            await _settle(services)


async def _check_prices(services: Services) -> None:
    """Ask a second source about a jump at once, with the database away too."""
    if services.leadership.is_last_known_owner:
        await services.live_prices.confirm(services.ports.watching)


async def anchor_prices(services: Services) -> None:
    """Take the newest stored prices to measure jumps from; before anything acts on a price."""
    markets, stored = services.process.config.markets, services.ports.store.collected
    try:
        await services.live_prices.anchor_stored(markets, stored)
    except BoundaryError as exc:
        # The first candles are anchors as well: they come with the first pass that collects.
        logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
            "the newest stored prices could not be read"
        )


async def _check_volatility(services: Services) -> None:
    if services.leadership.is_leader:
        await services.limits.volatility.check()


async def _snapshot(services: Services) -> None:
    if services.leadership.may_trade:
        await services.snapshots.step()


async def _sweep(services: Services) -> None:
    if services.leadership.may_trade:
        await services.order_sweep.step()


async def _verify(services: Services) -> None:
    if services.leadership.may_trade:
        await services.books_check.step()


async def _clean(services: Services) -> None:
    if services.leadership.is_leader:
        await services.retention.step()


async def _make_room(services: Services) -> None:
    try:
        await services.retention.make_room()
    except BoundaryError as exc:
        # Rows that find no room make it themselves: a start need not fail for this.
        logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
            "the tables of the coming months could not be made yet"
        )


@asynccontextmanager
async def repeating(services: Services) -> AsyncIterator[None]:
    """Settle what the last process left open, then repeat every loop until the end."""

    async def follow(moved: OrderMoved) -> None:
        services.maintenance.nudge(DAILY_LOSS_LOOP)
        if moved.status in OPEN:
            services.jobs.nudge(SYNC)

    services.bus.subscribe(OrderMoved, follow)
    await _make_room(services)
    await anchor_prices(services)
    # First the halts, the local file's before the database's: no order may come before them.
    await services.trading_switch.load()
    # Then what was sent while the database was away: nothing may take it for another's order.
    await services.unstored_orders.load()
    # Before the port opens: what the last process left open is settled, and health knows it.
    await _lead(services)
    await _settle_first(services)
    await services.health.probe()
    # No limit: a loop never ends, so one queued behind the limit would never start.
    scheduler = aiojobs.Scheduler(limit=None, close_timeout=1.0, exception_handler=_died)
    real_clock = services.process.real_clock
    of_jobs = Supervisor(
        services.jobs, real_clock=real_clock, loop_context=services.ports.loop_context
    )
    of_maintenance = Supervisor(services.maintenance, real_clock=real_clock)
    for loop in switchable(jobs(services), services.ports.settings):
        await scheduler.spawn(of_jobs.keep(loop), name=loop.name)
    for loop in maintenance(services):
        await scheduler.spawn(of_maintenance.keep(loop), name=loop.name)
    try:
        yield
    finally:
        stop_loops(services)
        deadline = services.process.deadline
        await scheduler.wait_and_close(timeout=deadline.left_s(PASSES_BY_S))
        await _resign(services)
        await services.unstored_orders.close()


async def _resign(services: Services) -> None:
    try:
        async with services.process.deadline.by(LEASE_BY_S):
            await services.leadership.resign()
    except (BoundaryError, TimeoutError) as exc:
        logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
            "the trading lease could not be given back, it runs out by itself"
        )


def stop_loops(services: Services) -> None:
    """Let every loop end after its pass; called first, so that the drain overlaps."""
    services.process.deadline.begin()
    services.health.mark_draining()
    services.jobs.stop()
    services.maintenance.stop()
    services.stopping.set()


def _died(_: aiojobs.Scheduler, context: dict[str, Any]) -> None:
    logger.bind(event="app").opt(exception=context.get("exception")).error(
        "a background task has died"
    )
