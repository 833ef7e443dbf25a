"""What repeats, declared as data, and what starts and stops it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any, Final

import aiojobs
from aiohttp import web
from loguru import logger

from service.adapters.clock import SystemClock
from service.app.alerting import ALERT_SENDER, SENDER
from service.app.job_control import switchable
from service.app.keys import (
    ACCOUNT,
    BUS,
    DSN,
    EMBEDDED,
    HEALTH_MONITOR,
    HOLDINGS_CHECK,
    LEADERSHIP,
    MAINTENANCE,
    PIPELINE,
    RECONCILER,
    RETENTION,
    RUNNER,
    SNAPSHOTS,
    STORE,
)
from service.app.measures import COUNTERS, RECORDER
from service.app.self_check import SelfCheck
from service.app.shutdown_deadline import LEASE_BY_S, PASSES_BY_S, SHUTDOWN_DEADLINE
from service.bus import OrderMoved
from service.domain.errors import BoundaryError, StartError, StoreDown
from service.domain.orders import OPEN
from service.flows.all_markets import AllMarkets
from service.flows.clock_guard import ClockGuard
from service.flows.collect import collect
from service.flows.leadership import RENEW_EVERY_S
from service.flows.markets import traded
from service.loops.loop import Loop, every
from service.loops.supervisor import Supervisor
from service.settings.table import SIGNAL_INTERVAL_MINUTES
from service.store.database.listen import Listener
from service.store.tables.settings import CHANNEL
from service.web.keys import CLOCK, CONFIG, EXCHANGE, SETTINGS

IN_FLIGHT: Final = timedelta(seconds=2)  #: between two looks while an order is not settled
AT_REST: Final = timedelta(minutes=5)
SYNC: Final = "sync_pending_orders"
#: Until the next try, where our PostgreSQL cannot start: each one reads the journal again.
REVIVE_AGAIN_S: Final = 10.0
TURN_S: Final = 120.0  #: for one market's signal and order, at its slowest

STOPPING = web.AppKey("stopping", asyncio.Event)


def jobs(app: web.Application) -> tuple[Loop, ...]:
    """Return what repeats by the market's clock."""
    settings, store, leadership = app[SETTINGS], app[STORE], app[LEADERSHIP]
    desk, traded_now = app[PIPELINE], partial(traded, settings, collected=app[CONFIG].markets)
    rounds = AllMarkets(trade=desk.trade, markets=traded_now)

    async def collecting() -> None:
        if leadership.is_leader:
            await collect(
                markets=app[CONFIG].markets,
                exchange=app[EXCHANGE],
                market_data=store.collected,
                bus=app[BUS],
                clock=app[CLOCK],
            )

    async def signalling() -> None:
        if leadership.may_trade:
            await rounds.step()

    async def check_cooldowns() -> None:
        await desk.check_cooldowns(await traded_now())

    async def signal_interval() -> timedelta:
        minutes = await settings.get(SIGNAL_INTERVAL_MINUTES)
        return timedelta(minutes=minutes)

    async def syncing() -> None:
        if leadership.may_trade:
            await app[RECONCILER].reconcile()

    async def sync_interval() -> timedelta:
        return IN_FLIGHT if await store.orders.open() else AT_REST

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
            begin=rounds.begin,
            check_call=check_cooldowns,
            # One market after the other: a time limit for all would starve the last ones.
            deadline_s=TURN_S * len(app[CONFIG].markets),
            needs_lease=True,
        ),
        Loop(name=SYNC, every=sync_interval, step=syncing, needs_lease=True),
        Loop(
            name="snapshot_equity",
            every=every(minutes=1),
            step=partial(_snapshot, app),
            needs_lease=True,
        ),
        Loop(
            name="cleanup_old_data",
            every=app[RETENTION].interval,
            step=partial(_clean, app),
            needs_lease=True,
        ),
    )


def beats(app: web.Application) -> tuple[Loop, ...]:
    """Return what repeats by real time, whatever market is replayed."""
    check = SelfCheck(
        config=app[CONFIG],
        account=app[ACCOUNT],
        health_monitor=app[HEALTH_MONITOR],
        timekeeper=ClockGuard(
            state=app[STORE].state, clock=app[CLOCK], leads=lambda: app[LEADERSHIP].is_leader
        ),
    )
    return (
        *check.loops(),
        *keeping(app),
        Loop(
            name="leader.renew",
            every=every(seconds=RENEW_EVERY_S),
            step=partial(_lead, app),
            is_job=False,
        ),
        Loop(
            name="orders.compare",
            every=every(minutes=1),
            step=partial(compare, app),
            is_job=False,
        ),
        Loop(
            name="health.probe",
            every=every(seconds=1),
            step=app[HEALTH_MONITOR].probe,
            is_job=False,
        ),
        # Listens until the end; should it ever break off, it begins again.
        Loop(
            name="settings.listen",
            every=every(seconds=1),
            step=partial(_listener(app).run, app[STOPPING]),
            deadline_s=inf,
            is_job=False,
        ),
        Loop(name=SENDER, every=every(seconds=2), step=app[ALERT_SENDER].step),
        Loop(
            name="metrics.flush",
            every=every(seconds=10),
            step=app[RECORDER].flush,
            is_job=False,
        ),
        Loop(
            name="metrics.lag",
            every=every(seconds=1),
            step=partial(app[COUNTERS].lag.measure, stopping=app[STOPPING]),
            is_job=False,
        ),
    )


async def compare(app: web.Application) -> None:
    """Look whether our books and the exchange's agree, and have health say so."""
    books, leadership = app[HOLDINGS_CHECK], app[LEADERSHIP]
    if leadership.may_trade:
        await books.compare()
    else:
        books.forget()
    # A leader whose past cannot be settled may not trade, and why must show; what a process found
    # before it lost the lease is for the next one to find.
    contradicted = leadership.is_leader and app[RECONCILER].contradicted
    differ = books.disagree or contradicted
    app[HEALTH_MONITOR].note("recent_order", "reconcile_mismatch", holds=differ)


def keeping(app: web.Application) -> tuple[Loop, ...]:
    """Return what starts our own PostgreSQL again; an operator's server is the operator's."""
    if EMBEDDED not in app:
        return ()

    async def keep() -> None:
        try:
            revived = await asyncio.to_thread(app[EMBEDDED].revive)
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


def _listener(app: web.Application) -> Listener:
    settings = app[SETTINGS]
    return Listener(
        app[DSN], CHANNEL, heard=settings.invalidate, reconnected=settings.invalidate_all
    )


async def _lead(app: web.Application) -> None:
    try:
        await app[LEADERSHIP].renew()
    except BoundaryError as exc:
        app[HEALTH_MONITOR].heard_from("database", error=exc)
        raise
    # The lease is the write that comes most often: reading works on a full disk as well.
    app[HEALTH_MONITOR].proved("database")
    if app[LEADERSHIP].is_settled:
        app[HEALTH_MONITOR].mark_reconciled()


async def _snapshot(app: web.Application) -> None:
    if app[LEADERSHIP].may_trade:
        await app[SNAPSHOTS].step()


async def _clean(app: web.Application) -> None:
    if app[LEADERSHIP].is_leader:
        await app[RETENTION].step()


async def _make_room(app: web.Application) -> None:
    try:
        await app[RETENTION].make_room()
    except BoundaryError as exc:
        # Rows that find no room make it themselves: a start need not fail for this.
        logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
            "the tables of the coming months could not be made yet"
        )


async def loops(app: web.Application) -> AsyncIterator[None]:
    runner, house = app[RUNNER], app[MAINTENANCE]
    app[STOPPING] = asyncio.Event()

    async def follow(moved: OrderMoved) -> None:
        if moved.status in OPEN:
            runner.nudge(SYNC)

    app[BUS].subscribe(OrderMoved, follow)
    await _make_room(app)
    # Before the port opens: what the last process left open is settled, and health knows it.
    await _lead(app)
    await app[HEALTH_MONITOR].probe()
    # No limit: a loop never ends, so one queued behind the limit would never start.
    scheduler = aiojobs.Scheduler(limit=None, close_timeout=1.0, exception_handler=_died)
    keeper, housekeeper = (Supervisor(each, clock=SystemClock()) for each in (runner, house))
    for loop in switchable(jobs(app), app[SETTINGS]):
        await scheduler.spawn(keeper.keep(loop), name=loop.name)
    for beat in beats(app):
        await scheduler.spawn(housekeeper.keep(beat), name=beat.name)
    yield
    stop_loops(app)
    ending = app[SHUTDOWN_DEADLINE]
    await scheduler.wait_and_close(timeout=ending.left_s(PASSES_BY_S))
    try:
        async with ending.by(LEASE_BY_S):
            await app[LEADERSHIP].resign()
    except (BoundaryError, TimeoutError) as exc:
        logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
            "the trading lease could not be given back, it runs out by itself"
        )


def stop_loops(app: web.Application) -> None:
    """Let every loop end after its pass; called first, so that the drain overlaps."""
    app[SHUTDOWN_DEADLINE].begin()
    if STOPPING in app:
        app[HEALTH_MONITOR].mark_draining()
        app[RUNNER].stop()
        app[MAINTENANCE].stop()
        app[STOPPING].set()


def _died(_: aiojobs.Scheduler, context: dict[str, Any]) -> None:
    logger.bind(event="app").opt(exception=context.get("exception")).error(
        "a background task has died"
    )
