"""Probes every component in the background and answers from the last findings.

See docs/health.md for components, thresholds and reasons.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final, Literal, get_args

from loguru import logger

from service.domain.errors import BoundaryError
from service.domain.instants import rfc3339
from service.ops.health import components
from service.ops.health.probe import Probe, ProbeSchedule
from service.ops.health.reasons import DEFINITE, MILD, Reason, reason_of
from service.ops.health.recent_calls import RecentCalls
from service.ops.health.rules import HEALTHY, Finding, Status, overall
from service.ports.clock import MarketClock, RealClock
from service.ports.health import (
    ComponentBody,
    Database,
    HealthBody,
    Jobs,
    StuckOrders,
    TradingBody,
)
from service.ports.queries import Activity, RecentActivity

Watched = Literal["database", "upbit_api", "gemini_api", "activity", "trading"]
Noted = Literal["database", "upbit_api", "recent_order"]
Outside = Literal["upbit_api", "gemini_api"]
_NO_CIRCUITS: Final[Mapping[Outside, Callable[[], bool]]] = {}
SCHEDULES: Final[Mapping[Watched, ProbeSchedule]] = {
    "database": ProbeSchedule(5, 1),
    "upbit_api": ProbeSchedule(15, 3),
    "gemini_api": ProbeSchedule(60, 5),
    "activity": ProbeSchedule(10, 2),
    "trading": ProbeSchedule(2, 1),
}
PATIENCE_S: Final = 1.0  #: a pass waits so long; a slower answer is taken in a later pass
_LEVELS: Final = {"healthy": "INFO", "warning": "WARNING", "unhealthy": "ERROR"}
_CIRCUIT_OPEN: Final = Finding("unhealthy", "circuit_open")
#: A warning only: the model's service works, an operator's own limit stops the questions.
_OVER_BUDGET: Final = Finding("warning", "quota_exhausted")
_TRADING_AT_FIRST: Final[TradingBody] = {
    "state": "STANDBY",
    "reason": "starting",
    "since": None,
    "age_seconds": None,
}


class HealthMonitor:
    """Reports the health of the process; only `probe` does I/O.

    Args:
        upbit, gemini: each one's cheapest request; an exception means a failure.
        trading: reads whether trading is on, and why not.
        lag_s: returns the event loop's worst recent delay, seconds.
        circuits: return whether a dependency's circuit is open.
        over_budget: returns whether our own budget keeps the model from being asked.
        chance: returns a random number 0..1 for the jitter; 0.5 is no jitter.
        started_at: the market's instant at the start of the process, now by default.
        schedules: the schedule of each probe.
    """

    def __init__(
        self,
        *,
        clock: MarketClock,
        real_clock: RealClock,
        mode: str,
        version: str,
        database: Database,
        activity: RecentActivity,
        jobs: Jobs,
        upbit: Callable[[], Awaitable[None]],
        gemini: Callable[[], Awaitable[None]],
        trading: Callable[[], Awaitable[TradingBody]],
        lag_s: Callable[[], float] = lambda: 0.0,
        circuits: Mapping[Outside, Callable[[], bool]] = _NO_CIRCUITS,
        over_budget: Callable[[], bool] = lambda: False,
        chance: Callable[[], float] = lambda: 0.5,
        started_at: datetime | None = None,
        schedules: Mapping[Watched, ProbeSchedule] = SCHEDULES,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._clock = clock
        self._real_clock = real_clock
        self._mode, self._version = str(mode), version
        self._database, self._activity_rows, self._jobs = database, activity, jobs
        self._read_trading_state = trading
        self._started_at = started_at or clock.now()
        self._began = real_clock.monotonic()
        asks: Mapping[Watched, Callable[[], Awaitable[None]]] = {
            "database": database.ping,
            "upbit_api": upbit,
            "gemini_api": gemini,
            "activity": self._read_activity,
            "trading": self._read_trading,
        }
        self._probes: dict[Watched, Probe] = {
            name: Probe(ask, schedules[name], clock, real_clock, chance)
            for name, ask in asks.items()
        }
        self._activity: Activity | None = None
        self._readings = 0
        self._activity_at = self._clock.now()
        self._trading: TradingBody = _TRADING_AT_FIRST
        self._noted: dict[Noted, dict[Reason, bool]] = {name: {} for name in get_args(Noted)}
        self._model_calls = RecentCalls(clock)
        self._lag_s = lag_s
        self._circuits = circuits
        self._over_budget = over_budget
        self._patience_s = patience_s
        self._starved = 0
        self._logged: dict[str, Status] = {}
        self._bugs: dict[str, type[BaseException] | None] = {}
        self._reconciled = self._draining = False

    async def probe(self) -> None:
        """Run the due probes concurrently; call it every second of real time.

        It never raises a probe's error, and never waits longer than a second. A slow probe does
        not delay the others.
        """
        if not self._draining:
            for probe in self._probes.values():
                probe.start_if_due()
        asked = [probe.asking for probe in self._probes.values() if probe.asking is not None]
        if asked:
            await asyncio.wait(asked, timeout=self._patience_s)
        for name, probe in self._probes.items():
            self._report_bug(name, probe.take_answer())
        starved = components.is_starved(self._database.state(), self._database.wait_p95_ms())
        self._starved = self._starved + 1 if starved else 0
        self._log_changes()

    def heard_from(
        self,
        component: Literal["database", "upbit_api", "gemini_api"],
        *,
        error: BaseException | None = None,
        usable: bool = True,
    ) -> None:
        """Count the end of a real call as a probe's: an answer, `usable` or not, or an `error`."""
        self._probes[component].heard(error)
        if component == "gemini_api":
            trouble: Reason | None = None if usable else "bad_response"
            self._model_calls.note(trouble if error is None else reason_of(error))

    def note(self, component: Noted, reason: Reason, *, holds: bool) -> None:
        """Store a lasting fact that no probe sees; it is shown while the probe is healthy."""
        self._noted[component][reason] = holds

    def proved(self, component: Literal["database"]) -> None:
        """Count a successful real call as proof of health; the schedule stays as it is."""
        self._probes[component].proved()

    def seems_well(self, component: Literal["upbit_api"]) -> None:
        """Probe at once after an outage, because a part of the component answers again."""
        self._probes[component].seems_well()

    def mark_reconciled(self) -> None:
        """Note that the last process's open orders are settled: the service may become ready."""
        self._reconciled = True

    def mark_draining(self) -> None:
        """Note that the process stops: not ready any more, and no more probes."""
        self._draining = True
        for probe in self._probes.values():
            probe.cancel()

    def stuck_orders(self) -> StuckOrders | None:
        rows = self._activity
        if rows is None or self._probes["activity"].finding().status != "healthy":
            return None
        return StuckOrders(rows.stuck(self._activity_at), rows.is_whole, self._readings)

    def is_ready(self) -> bool:
        usable = self._probes["database"].finding().status == "healthy"
        return usable and self._reconciled and not self._draining

    def body(self) -> HealthBody:
        now = self._clock.now()
        parts = self._components(now)
        return {
            "status": overall((name, part["status"]) for name, part in parts.items()),
            "mode": self._mode,
            "version": self._version,
            "time": rfc3339(now),
            "uptime_seconds": int(self._real_clock.monotonic() - self._began),
            "trading": self._trading,
            "components": parts,
        }

    def _components(self, now: datetime) -> dict[str, ComponentBody]:
        probes, rows = self._probes, self._activity
        reading, monotonic = probes["activity"].finding(), self._real_clock.monotonic()
        pool = self._database.state()
        return {
            "database": components.database(
                probes["database"], pool, noted=self._of_noted("database"), starved=self._starved
            ),
            "upbit_api": components.probed(probes["upbit_api"], self._of_upbit()),
            "gemini_api": components.probed(probes["gemini_api"], self._of_model()),
            # The runner's states are in memory: they need no probe and are never stale.
            "scheduler": components.scheduler(
                self._jobs.states(), now=now, monotonic=monotonic, lag_s=self._lag_s()
            ),
            "recent_signal": components.recent_signal(
                rows, reading, now=now, started_at=self._started_at
            ),
            "recent_order": components.recent_order(
                # An order may be final since the reading: a fast market's time has jumped on.
                rows,
                reading,
                now=self._activity_at,
                mismatch=any(self._noted["recent_order"].values()),
            ),
        }

    def _of_model(self) -> Finding:
        finding = self._of("gemini_api")
        if finding.status == "healthy" and self._over_budget():
            return _OVER_BUDGET
        return self._model_calls.finding() if finding.status == "healthy" else finding

    def _of_upbit(self) -> Finding:
        finding = self._of("upbit_api")
        return self._of_noted("upbit_api") if finding.status == "healthy" else finding

    def _of_noted(self, component: Noted) -> Finding:
        noted = [reason for reason, holds in self._noted[component].items() if holds]
        if not noted:
            return HEALTHY
        reason = next((reason for reason in noted if reason not in MILD), noted[0])
        return Finding("warning" if reason in MILD else "unhealthy", reason)

    def _of(self, component: Outside) -> Finding:
        finding = self._probes[component].finding()
        is_open = self._circuits.get(component, bool)()
        # A definite reason is more useful than an open circuit: it says what to do.
        return _CIRCUIT_OPEN if is_open and finding.reason not in DEFINITE else finding

    async def _read_activity(self) -> None:
        asked_at = self._clock.now()
        self._activity = await self._activity_rows.activity()
        self._activity_at = asked_at
        self._readings += 1

    async def _read_trading(self) -> None:
        self._trading = await self._read_trading_state()

    def _report_bug(self, name: str, error: BaseException | None) -> None:
        """Log an unexpected kind of error, once until it changes."""
        foreseen = isinstance(error, BoundaryError | OSError | asyncio.CancelledError)
        bug = None if error is None or foreseen else type(error)
        if error is not None and bug is not None and self._bugs.get(name) is not bug:
            logger.bind(event="app", component=name).opt(exception=error).error(
                "a health check has a bug"
            )
        self._bugs[name] = bug

    def _log_changes(self) -> None:
        """Log each change of a component's status once."""
        for name, part in self._components(self._clock.now()).items():
            status, before = part["status"], self._logged.get(name, "healthy")
            if part["reason"] == "starting" or status == before:
                continue
            self._logged[name] = status
            logger.bind(
                event="app", component=name, status=status, before=before, reason=part["reason"]
            ).log(_LEVELS[status], "a component's status has changed")
