"""The flows bound to what they need, and the jobs that run them."""

import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, timedelta
from functools import partial

from aiohttp import web
from uuid_utils.compat import uuid7

from service import __version__
from service.adapters.clock import SystemClock
from service.app.by_hand import run_job
from service.app.keys import (
    ACCOUNT,
    BOOKS,
    BUS,
    CIRCUITS,
    DESK,
    GATE,
    HOUSE,
    LEADERSHIP,
    MODEL,
    PROBER,
    RECONCILER,
    RETENTION,
    RUNNER,
    SNAPSHOTS,
    STORE,
    Circuits,
)
from service.app.measures import METERS, MeteredJournal, passed
from service.app.resources import waiting_seconds
from service.app.watched import WatchedModel
from service.bus import Bus, TickerUpdated
from service.config import Config
from service.domain.errors import ExchangeUnavailable, ModelUnavailable
from service.flows.books import Books
from service.flows.circuit import Circuit
from service.flows.decide import Decider
from service.flows.execute import Executor
from service.flows.leadership import Leadership
from service.flows.propose import Proposer
from service.flows.reconcile import Reconciler
from service.flows.retention import Retention
from service.flows.snapshot import PRICE_LASTS, Snapshots
from service.flows.trade import Desk
from service.loops.runner import Runner
from service.ops.health import RHYTHMS, Prober
from service.ops.watch import Rhythm
from service.ports import Clock, JobState, TradingBody
from service.sandbox.clock import MarketClock
from service.settings.table import AI_MODEL, TRADING_ENABLED
from service.store.activity import PgActivity
from service.web.keys import (
    CLOCK,
    CONFIG,
    EXCHANGE,
    GENERATE,
    HEALTH,
    JOBS,
    REAL_CLOCK,
    RECONCILE,
    RUN_JOB,
    SETTINGS,
)


def new_id() -> str:
    return str(uuid7())


async def story(app: web.Application) -> AsyncIterator[None]:
    """Bind the flows; nothing is opened here."""
    store, clock, exchange, settings = app[STORE], app[CLOCK], app[EXCHANGE], app[SETTINGS]
    journal = MeteredJournal(store.journal, app[METERS])
    app[BUS] = bus = Bus()
    app[RECONCILER] = reconciler = Reconciler(
        orders=store.orders, exchange=exchange, bus=bus, clock=clock
    )
    app[CIRCUITS] = circuits = _circuits(clock)
    app[BOOKS] = Books(orders=store.orders, exchange=exchange)
    app[LEADERSHIP] = leadership = Leadership(
        lease=store.lease, clock=clock, on_gain=reconciler.reconcile
    )
    app[DESK] = desk = Desk(
        proposer=Proposer(
            exchange=exchange,
            model=WatchedModel(app[MODEL], app),
            market_data=store.market_data,
            journal=journal,
            orders=store.orders,
            settings=settings,
            bus=bus,
            clock=clock,
            circuit=circuits.model,
        ),
        decider=Decider(
            exchange=exchange,
            orders=store.orders,
            journal=journal,
            state=store.state,
            settings=settings,
            clock=clock,
        ),
        executor=Executor(
            orders=store.orders,
            exchange=exchange,
            reconciler=reconciler,
            leadership=leadership,
            clock=clock,
            new_id=new_id,
            circuit=circuits.purchases,
        ),
        leadership=leadership,
        journal=journal,
        settings=settings,
        clock=clock,
    )
    app[RETENTION] = Retention(
        history=app[STORE].history,
        settings=settings,
        clock=clock,
        real_clock=app[REAL_CLOCK],
        ahead_s=lambda: app[ACCOUNT].clock_skew_s,
    )
    app[SNAPSHOTS] = Snapshots(
        markets=app[CONFIG].markets,
        exchange=exchange,
        market_data=store.collected,
        orders=store.orders,
        equities=store.equities,
        clock=clock,
        price_lasts=_price_lasts(clock),
    )
    app[RUNNER] = runner = Runner(clock=clock, new_id=new_id, observe=partial(passed, app))
    app[HOUSE] = Runner(
        clock=SystemClock(), new_id=new_id, observe=partial(passed, app, in_real_time=True)
    )
    app[JOBS] = runner
    app[GENERATE] = desk.generate
    app[RECONCILE] = partial(_sync, app)
    app[RUN_JOB] = partial(run_job, runner, leadership)
    yield


def _price_lasts(clock: Clock) -> timedelta:
    """A fast market's minutes are shorter than a pass that collects; ten real seconds are not."""
    speed = clock.speed if isinstance(clock, MarketClock) else 1
    return max(PRICE_LASTS, timedelta(seconds=10) * float(speed))


def _circuits(clock: Clock) -> Circuits:
    seconds = waiting_seconds(clock)
    return Circuits(
        model=Circuit("the model", error=ModelUnavailable, seconds=seconds),
        purchases=Circuit("the exchange's orders", error=ExchangeUnavailable, seconds=seconds),
    )


async def _sync(app: web.Application) -> int:
    app[LEADERSHIP].check()
    return await app[RECONCILER].reconcile()


async def health(app: web.Application) -> AsyncIterator[None]:
    settings, gemini, upbit = app[SETTINGS], app[MODEL], app[EXCHANGE]

    async def ask_gemini() -> None:
        await gemini.ping(await settings.get(AI_MODEL))

    async def ask_upbit() -> None:
        # Both ways: what everybody may see, and what only our key opens. And that orders may go
        # out, for which Upbit counts by itself.
        await upbit.tickers(app[CONFIG].markets)
        await upbit.balances()
        upbit.check_orders()

    app[PROBER] = Prober(
        clock=app[CLOCK],
        mode=app[CONFIG].mode,
        version=__version__,
        database=app[GATE],
        activity=PgActivity(app[GATE]),
        jobs=Everything(app[RUNNER], app[HOUSE]),
        upbit=ask_upbit,
        gemini=ask_gemini,
        trading=partial(_trading, app),
        lag_s=app[METERS].lag.worst_s,
        circuits={
            "upbit_api": lambda: app[CIRCUITS].purchases.is_open,
            "gemini_api": lambda: app[CIRCUITS].model.is_open,
        },
        chance=random.random,
        rhythms={**RHYTHMS, "activity": _activity_rhythm(app[CONFIG])},
    )
    app[HEALTH] = app[PROBER]

    async def heard(_: TickerUpdated) -> None:
        app[PROBER].seems_well("upbit_api")

    app[BUS].subscribe(TickerUpdated, heard)
    yield


class Everything:
    """What both runners repeat: a lease that nobody renews any more is as bad as a dead job."""

    def __init__(self, *runners: Runner) -> None:
        self._runners = runners

    def states(self) -> Sequence[JobState]:
        return tuple(state for runner in self._runners for state in runner.states())


def _activity_rhythm(config: Config) -> Rhythm:
    """Look as often by the market's clock, when that runs faster than ours; at most each second."""
    usual = RHYTHMS["activity"]
    every_s = max(1.0, usual.every_s / float(config.speed)) if config.speed else 1.0
    return Rhythm(every_s, usual.timeout_s)


async def _trading(app: web.Application) -> TradingBody:
    state = await app[STORE].state.trading_state()
    since = state.since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if (reason := app[LEADERSHIP].standby_reason) is not None:
        return {"state": "STANDBY", "reason": reason, "since": None}
    if state.state == "HALTED":
        return {"state": "HALTED", "reason": state.reason, "since": since}
    if not await app[SETTINGS].get(TRADING_ENABLED):
        return {"state": "DISABLED", "reason": "trading_enabled is false", "since": None}
    return {"state": "ACTIVE", "reason": None, "since": since}
