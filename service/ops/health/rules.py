"""Rules from facts to a component's status. Pure; docs/health.md has the thresholds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from service.domain.orders import OrderStatus
from service.ops.health.reasons import SENTENCES, Reason
from service.ports.health import ComponentBody, JobState
from service.ports.queries import Activity

Status = Literal["healthy", "warning", "unhealthy"]

SIGNAL_OLD_S: Final = 3600  #: S5.3
SIGNAL_DEAD_S: Final = 6 * 3600
FAILS_IN_A_ROW: Final = 3
LAG_S: Final = 5.0  #: delay of the event loop; every request waits as long
RESTARTS_IN_A_ROW: Final = 3  #: without a finished pass: restarting does not help
RESTART_RECENT_S: Final = 600  #: real time
#: Without these nothing works, and a restart may help. It never helps against outages outside.
VITAL: Final = frozenset({"database", "scheduler"})


@dataclass(frozen=True, slots=True)
class Finding:
    status: Status
    reason: Reason | None

    def body(self) -> ComponentBody:
        message = None if self.reason is None else SENTENCES[self.reason]
        return {"status": self.status, "reason": self.reason, "message": message}


HEALTHY: Final = Finding("healthy", None)


def of_jobs(states: Sequence[JobState], *, monotonic: float, lag_s: float = 0.0) -> Finding:
    """Args: lag_s: the event loop's worst recent delay."""
    if lag_s > LAG_S:  # checked first: a late event loop makes live jobs look dead
        return Finding("unhealthy", "event_loop_lag")
    if any(monotonic - state.beat_at > state.beat_within_s for state in states):
        return Finding("unhealthy", "heartbeat_stale")
    if any(state.restarts_in_a_row >= RESTARTS_IN_A_ROW for state in states):
        return Finding("unhealthy", "loop_dead")
    if any(_is_troubled(state, monotonic=monotonic) for state in states):
        return Finding("warning", "loop_dead")
    return HEALTHY


def _is_troubled(state: JobState, *, monotonic: float) -> bool:
    restarted_at = state.restarted_at
    if restarted_at is not None and monotonic - restarted_at < RESTART_RECENT_S:
        return True
    # A failing job that the operator has switched off is no trouble.
    return state.is_enabled and state.consecutive_failures >= FAILS_IN_A_ROW


def of_signals(activity: Activity, *, now: datetime, started_at: datetime) -> Finding:
    """Judge the age of the newest signal, in the market's time."""
    if activity.last_signal_at is None:
        waiting = (now - started_at).total_seconds() < SIGNAL_OLD_S
        return HEALTHY if waiting else Finding("warning", "no_signal_yet")
    age_s = (now - activity.last_signal_at).total_seconds()
    if age_s > SIGNAL_DEAD_S:
        return Finding("unhealthy", "signal_older_than_1h")
    return Finding("warning", "signal_older_than_1h") if age_s > SIGNAL_OLD_S else HEALTHY


def of_orders(activity: Activity, *, now: datetime, mismatch: bool = False) -> Finding:
    """Judge the orders; no order at all is healthy.

    Args: mismatch: whether our records and the exchange's are known to differ.
    """
    if mismatch:
        return Finding("unhealthy", "reconcile_mismatch")
    stuck = activity.stuck(now)
    if any(order.is_aside for order in stuck):
        return Finding("unhealthy", "reconcile_mismatch")
    if stuck:
        is_long = any(order.is_long_stuck(now) for order in stuck)
        return Finding("unhealthy" if is_long else "warning", "unknown_orders")
    if activity.last_order_status is OrderStatus.FAILED:
        return Finding("warning", "last_order_failed")
    return HEALTHY


def overall(
    components: Iterable[tuple[str, Status]],
) -> Literal["healthy", "degraded", "unhealthy"]:
    found = dict(components)
    if any(found[name] == "unhealthy" for name in VITAL & found.keys()):
        return "unhealthy"
    return "healthy" if set(found.values()) <= {"healthy"} else "degraded"
