"""The bodies of the components in /health/detailed, made from the probes' findings."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.domain.instants import rfc3339
from service.domain.orders import OPEN, OrderStatus
from service.domain.stuck_orders import OpenOrder
from service.ops.health.probe import Probe
from service.ops.health.rules import HEALTHY, Finding, of_jobs, of_orders, of_signals
from service.ports.health import ComponentBody, JobBody, JobState, PoolState, StuckBody
from service.ports.queries import Activity

STARVED: Final = 2  #: checks in a row that find the pool too small; one may be chance
POOL_WAIT_MS: Final = 100.0
SHOWN: Final = 5  #: stuck orders in the body, which stays below 8 KiB
_OPEN: Final = tuple(status for status in OrderStatus if status in OPEN)


def probed(probe: Probe, finding: Finding | None = None) -> ComponentBody:
    body = (finding or probe.finding()).body()
    body["latency_ms"] = probe.latency_ms
    body["checked_at"] = _written(probe.checked_at)
    return body


def database(
    probe: Probe, pool: PoolState, *, noted: Finding = HEALTHY, starved: int
) -> ComponentBody:
    """Args: noted: a lasting fact.  starved: checks in a row that found the pool too small."""
    finding = probe.finding()
    if starved >= STARVED:
        if finding.status == "healthy":
            finding = Finding("warning", "pool_exhausted")
        elif finding.reason == "timeout":
            # The probe waited for a connection until its timeout.
            finding = Finding(finding.status, "pool_exhausted")
    body = probed(probe, noted if finding.status == "healthy" else finding)
    body["pool"] = {
        "size": pool.size,
        "free": pool.free,
        "max": pool.max,
        "waiting": pool.waiting,
    }
    return body


def is_starved(pool: PoolState, wait_p95_ms: float | None) -> bool:
    """Whether the pool is too small for its load."""
    is_empty = pool.free == 0 and pool.size >= pool.max
    return is_empty or (wait_p95_ms is not None and wait_p95_ms > POOL_WAIT_MS)


def scheduler(
    states: Sequence[JobState], *, now: datetime, monotonic: float, lag_s: float
) -> ComponentBody:
    body = of_jobs(states, monotonic=monotonic, lag_s=lag_s).body()
    body["checked_at"] = rfc3339(now)
    body["jobs"] = {state.name: _job(state) for state in states}
    return body


def recent_signal(
    rows: Activity | None, reading: Finding, *, now: datetime, started_at: datetime
) -> ComponentBody:
    """Args: rows: None before the first successful read.  reading: finding of the read itself."""
    finding = None if rows is None else of_signals(rows, now=now, started_at=started_at)
    last_at = None if rows is None else rows.last_signal_at
    body = _as_far_as_known(finding, reading).body()
    body["last_at"] = _written(last_at)
    body["age_seconds"] = None if last_at is None else int((now - last_at).total_seconds())
    return body


def recent_order(
    rows: Activity | None, reading: Finding, *, now: datetime, mismatch: bool
) -> ComponentBody:
    """Args: rows: None before the first successful read.  reading: finding of the read itself."""
    finding = None if rows is None else of_orders(rows, now=now, mismatch=mismatch)
    body = _as_far_as_known(finding, reading).body()
    body["last_at"] = _written(None if rows is None else rows.last_order_at)
    body["unknown_orders"] = 0 if rows is None else rows.open_orders.get(OrderStatus.UNKNOWN, 0)
    if rows is not None:
        stuck = rows.stuck(now)
        body["open_orders"] = {status.value: rows.open_orders.get(status, 0) for status in _OPEN}
        body["stuck_orders"] = len(stuck)
        body["orders_aside"] = sum(order.is_aside for order in stuck)
        body["stuck"] = [_stuck(order, now) for order in stuck[:SHOWN]]
    return body


def _stuck(order: OpenOrder, now: datetime) -> StuckBody:
    return {
        "id": order.id,
        "identifier": order.identifier,
        "market": str(order.market),
        "status": order.status.value,
        "age_seconds": int(order.age_s(now)),
        "what_to_do": order.advice,
    }


def _as_far_as_known(finding: Finding | None, reading: Finding) -> Finding:
    """Return `finding`, or a warning when the rows cannot be read now.

    A failed read is the database's fault, so the component `database` reports it as unhealthy.
    """
    if reading.status != "healthy" and (finding is None or finding.status == "healthy"):
        return Finding("warning", reading.reason)
    return finding or HEALTHY


def _written(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _job(state: JobState) -> JobBody:
    body: JobBody = {
        "last_success_at": _written(state.last_success_at),
        "consecutive_failures": state.consecutive_failures,
        "next_run_at": _written(state.next_run_at),
    }
    if state.restarts:
        body["restarts"] = state.restarts
    if not state.is_enabled:
        body["enabled"] = False
    return body
