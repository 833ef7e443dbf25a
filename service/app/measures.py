"""What is measured, bound to where it happens and to where it goes."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from aiohttp import web
from loguru import logger

from service import __version__
from service.app.alerting import ALERTS_COUNTED, job_over
from service.app.keys import BUS, POOL, RUNNER, STORE
from service.app.shutdown_deadline import MEASURES_BY_S, SHUTDOWN_DEADLINE
from service.bus import OrderMoved, SignalMade
from service.domain.errors import BoundaryError
from service.domain.markets import Market
from service.domain.risk import Allowed, Held, Refused, Verdict
from service.domain.signals import Proposal, Signal
from service.loops.runner import Pass
from service.ops.metrics.counters import Counters
from service.ops.metrics.prometheus import Exposition
from service.ops.metrics.recorder import Recorder
from service.ports.store import JSON, JobRun, ModelCall, Signals
from service.web.keys import (
    CLOCK,
    CONFIG,
    EXPOSITION,
    HEALTH,
    REAL_CLOCK,
    SETTINGS,
)
from service.web.overload.concurrency_limit import CONCURRENCY_LIMITS
from service.web.overload.overflow import OVERFLOW

COUNTERS = web.AppKey("meters", Counters)
RECORDER = web.AppKey("recorder", Recorder)
LINES_DROPPED = web.AppKey[Callable[[], int]]("lines_dropped")


async def measures(app: web.Application) -> AsyncIterator[None]:
    """Write what is measured; after the loops have ended, one last time."""
    meters = app[COUNTERS]
    app[RECORDER] = recorder = Recorder(
        requests=meters.requests, rows=app[STORE].metrics, clock=app[REAL_CLOCK]
    )
    app[EXPOSITION] = Exposition(
        meters=meters,
        version=__version__,
        mode=app[CONFIG].mode,
        jobs=app[RUNNER].states,
        pool=app[POOL].state,
        cache=app[SETTINGS].stats,
        health=app[HEALTH].body,
        alerts=app[ALERTS_COUNTED].copy,
        lines_dropped=app.get(LINES_DROPPED),
        lanes=app[CONCURRENCY_LIMITS].state,
        turned_away=lambda: app[OVERFLOW].refused,
    ).text

    async def made(event: SignalMade) -> None:
        meters.signals[event.signal.proposal.action.value] += 1

    async def moved(event: OrderMoved) -> None:
        meters.orders[event.status.value] += 1

    app[BUS].subscribe(SignalMade, made)
    app[BUS].subscribe(OrderMoved, moved)
    yield
    try:
        async with app[SHUTDOWN_DEADLINE].by(MEASURES_BY_S):
            await recorder.flush()
    except TimeoutError:
        logger.bind(event="app").warning("the last measurements could not be written in time")


async def passed(app: web.Application, result: Pass, *, in_real_time: bool = False) -> None:
    """Put a pass of a job on record.

    Args: in_real_time: the runner's clock is not the market's, whose instant is taken now.
    """
    error = result.error
    # To the microsecond, as its log line has it: both tell the same percentiles.
    duration_ms = round(result.duration_ms, 3)
    app[COUNTERS].passed(result.job, success=result.success, seconds=duration_ms / 1000)
    app[RECORDER].note(
        JobRun(
            run_id=result.run_id,
            job=result.job,
            started_at=app[CLOCK].now() if in_real_time else result.started_at,
            finished_at=app[REAL_CLOCK].now(),
            duration_ms=duration_ms,
            attempts=result.attempts,
            error=None if error is None else type(error).__name__,
            code=error.code if isinstance(error, BoundaryError) else None,
        )
    )
    job_over(app, result)


class CountedSignals:
    """Satisfies ports.Signals: what is written down is also counted."""

    def __init__(self, inner: Signals, meters: Counters) -> None:
        self._inner = inner
        self._meters = meters

    async def add_call(self, call: ModelCall) -> int:
        self._meters.called(call)  # paid for, whether its row can be written or not
        return await self._inner.add_call(call)

    async def add_signal(
        self,
        *,
        market: Market,
        proposal: Proposal,
        model: str,
        price: Decimal,
        market_data_id: int | None,
        call_id: int,
        facts: Mapping[str, JSON],
        trigger: str,
        at: datetime,
    ) -> Signal:
        return await self._inner.add_signal(
            market=market,
            proposal=proposal,
            model=model,
            price=price,
            market_data_id=market_data_id,
            call_id=call_id,
            facts=facts,
            trigger=trigger,
            at=at,
        )

    async def add_decision(self, *, signal_id: int, verdict: Verdict, at: datetime) -> int:
        decision_id = await self._inner.add_decision(signal_id=signal_id, verdict=verdict, at=at)
        self._meters.decisions[_labels(verdict)] += 1
        return decision_id

    async def undecided(self, market: Market, *, before: datetime) -> Sequence[int]:
        return await self._inner.undecided(market, before=before)

    async def last_signal_at(self, market: Market) -> datetime | None:
        return await self._inner.last_signal_at(market)


def _labels(verdict: Verdict) -> tuple[str, str]:
    match verdict:
        case Allowed():
            return "ALLOWED", ""
        case Refused():
            return "REFUSED", verdict.reason
        case Held():
            return "HELD", ""
