"""A pass of a job, put on record: counted, stored, and told when the job is given up."""

from typing import Final

from service.domain.errors import BoundaryError
from service.flows.alerts.monitor import AlertMonitor
from service.flows.leadership import Leadership
from service.loops.runner import Pass
from service.ops.metrics.counters import Counters
from service.ops.metrics.recorder import Recorder
from service.ports.clock import MarketClock, RealClock
from service.ports.store import JobRun

SENDER: Final = "send_alerts"


async def record_pass(
    result: Pass,
    *,
    counters: Counters,
    recorder: Recorder,
    alert_monitor: AlertMonitor,
    leadership: Leadership,
    real_clock: RealClock,
    market_clock: MarketClock | None = None,
) -> None:
    """Args: market_clock: for a runner that repeats by real time; its instant is taken now."""
    error = result.error
    # To the microsecond, as its log line has it: both tell the same percentiles.
    duration_ms = round(result.duration_ms, 3)
    counters.passed(result.job, success=result.success, seconds=duration_ms / 1000)
    recorder.note(
        JobRun(
            run_id=result.run_id,
            job=result.job,
            started_at=market_clock.now() if market_clock else result.started_at,
            finished_at=real_clock.utc_now(),
            duration_ms=duration_ms,
            attempts=result.attempts,
            error=None if error is None else type(error).__name__,
            code=error.code if isinstance(error, BoundaryError) else None,
        )
    )
    # S4.3. On a standby a pass does nothing, so its success says nothing of the job.
    counts = not result.success or leadership.is_leader
    if counts and result.job != SENDER:  # which could not tell of itself
        alert_monitor.job_ended(result.job, error=result.error, attempts=result.attempts)
