"""The health monitor, bound to what it asks."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from service import __version__
from service.app.services import Circuits, Ports, Process
from service.config import Config
from service.domain.instants import rfc3339
from service.domain.trading_states import TradingStatus
from service.flows.leadership import Leadership
from service.flows.model_budget import ModelBudget
from service.flows.trading_switch import UNKNOWN as STATE_UNKNOWN
from service.flows.trading_switch import TradingSwitch
from service.loops.runner import Runner
from service.ops.health.monitor import SCHEDULES, HealthMonitor
from service.ops.health.probe import ProbeSchedule
from service.ports.health import UNREAD, JobState, TradingBody
from service.settings.table import AI_MODEL

STALE_S: Final = 10.0  #: real seconds; the trading state is read every two


class AllJobs:
    """The jobs of both runners: a lease that is no longer renewed is as bad as a dead job."""

    def __init__(self, *runners: Runner) -> None:
        self._runners = runners

    def states(self) -> Sequence[JobState]:
        return tuple(state for runner in self._runners for state in runner.states())


def health_monitor(
    process: Process,
    ports: Ports,
    *,
    leadership: Leadership,
    switch: TradingSwitch,
    circuits: Circuits,
    runners: Sequence[Runner],
    chance: Callable[[], float],
    budget: ModelBudget,
) -> HealthMonitor:
    async def ask_gemini() -> None:
        await ports.model.ping(await ports.settings.get(AI_MODEL))

    async def ask_upbit() -> None:
        # Public prices, balances, which only our key opens, and whether orders may go out, for
        # which Upbit counts by itself.
        await ports.watching.tickers(process.config.markets)
        balances = await ports.watching.balances()
        for market in process.config.markets:
            for currency in (market.quote, market.base):
                balances.get(currency)  # raises when its row cannot be read: no trade there
        ports.exchange.check_orders()

    return HealthMonitor(
        clock=ports.clock,
        real_clock=process.real_clock,
        mode=process.config.mode,
        version=__version__,
        database=ports.database,
        activity=ports.activity,
        jobs=AllJobs(*runners),
        upbit=ask_upbit,
        gemini=ask_gemini,
        trading=partial(trading_body, switch, leadership),
        lag_s=process.counters.lag.worst_s,
        circuits={
            "upbit_api": lambda: circuits.purchases.is_open,
            "gemini_api": lambda: circuits.model.is_open,
        },
        over_budget=budget.is_used_up,
        chance=chance,
        schedules={**SCHEDULES, "activity": _activity_schedule(process.config)},
    )


def _activity_schedule(config: Config) -> ProbeSchedule:
    """Probe as often by the market's clock when that is faster; at most once a second."""
    usual = SCHEDULES["activity"]
    every_s = max(1.0, usual.every_s / float(config.speed)) if config.speed else 1.0
    return ProbeSchedule(every_s, usual.timeout_s)


async def trading_body(switch: TradingSwitch, leadership: Leadership) -> TradingBody:
    """Return the trading state from memory, so that it shows while the database is away too.

    A state that was read long ago is not shown as if it held.
    """
    age_s = switch.age_s()
    age = None if age_s is None else int(age_s)
    if (reason := leadership.standby_reason) is not None:
        return _trading_body(TradingStatus.STANDBY, reason, age)
    if age_s is not None and age_s > STALE_S:
        return _trading_body(UNREAD, STATE_UNKNOWN, age)
    summary = switch.summary()
    return _trading_body(summary.status, summary.reason, age, since=summary.since)


def _trading_body(
    state: str, reason: str | None, age: int | None, *, since: datetime | None = None
) -> TradingBody:
    return {
        "state": str(state),
        "reason": reason,
        "since": None if since is None else rfc3339(since),
        "age_seconds": age,
    }
