from datetime import timedelta
from typing import Any

import pytest

from service.domain.orders import OrderStatus, OrderType
from service.ops.health.rules import Finding, Status, of_jobs, of_orders, of_signals, overall
from tests.builders import T0
from tests.unit.ops.facts import a_job_state, an_open_order, some_activity

HOUR = 3600


@pytest.mark.proves("S5.3")
@pytest.mark.parametrize(
    ("age_s", "status", "reason"),
    [
        (0, "healthy", None),
        (HOUR, "healthy", None),
        (HOUR + 0.1, "warning", "signal_older_than_1h"),
        (6 * HOUR, "warning", "signal_older_than_1h"),
        (6 * HOUR + 0.1, "unhealthy", "signal_older_than_1h"),
    ],
)
def test_an_hour_after_the_last_signal_there_is_a_warning(
    age_s: float, status: Status, reason: Any
) -> None:
    found = of_signals(some_activity(), now=T0 + timedelta(seconds=age_s), started_at=T0)

    assert found == Finding(status, reason)


@pytest.mark.parametrize(
    ("up_s", "status", "reason"),
    [(0, "healthy", None), (HOUR - 1, "healthy", None), (HOUR, "warning", "no_signal_yet")],
)
def test_no_signal_is_a_warning_an_hour_after_the_start(
    up_s: float, status: Status, reason: Any
) -> None:
    never = some_activity(last_signal_at=None)

    found = of_signals(never, now=T0 + timedelta(seconds=up_s), started_at=T0)

    assert found == Finding(status, reason)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({}, "healthy", None),
        ({"last_order_at": None, "last_order_status": None}, "healthy", None),
        ({"last_order_status": OrderStatus.CANCELLED}, "healthy", None),
        ({"last_order_status": OrderStatus.FAILED}, "warning", "last_order_failed"),
    ],
)
def test_without_a_stuck_order_the_last_one_is_judged(
    changes: dict[str, Any], status: Status, reason: Any
) -> None:
    assert of_orders(some_activity(**changes), now=T0) == Finding(status, reason)


def test_an_order_that_is_put_aside_is_a_mismatch_at_once() -> None:
    aside = an_open_order(since=T0, is_aside=True)

    judged = of_orders(some_activity(bounded=(aside, an_open_order())), now=T0)

    assert judged == Finding("unhealthy", "reconcile_mismatch")


@pytest.mark.parametrize("last", [OrderStatus.EXECUTED, OrderStatus.FAILED])
@pytest.mark.parametrize(
    ("order", "age_s", "status"),
    [
        ({"status": "UNKNOWN"}, 59, None),
        ({"status": "UNKNOWN"}, 60, "warning"),
        ({"status": "UNKNOWN"}, 599, "warning"),
        ({"status": "UNKNOWN"}, 600, "unhealthy"),
        ({"status": "UNKNOWN", "type": "LIMIT"}, 600, "unhealthy"),
        ({"status": "PENDING"}, 59, None),
        ({"status": "PENDING"}, 60, "warning"),
        ({"status": "PENDING"}, 172_800, "unhealthy"),
        ({"status": "SUBMITTED"}, 299, None),
        ({"status": "SUBMITTED"}, 300, "warning"),
        ({"status": "SUBMITTED"}, 600, "unhealthy"),
        ({"status": "PARTIALLY_FILLED"}, 300, "warning"),
        ({"status": "PARTIALLY_FILLED"}, 172_800, "unhealthy"),
        ({"status": "SUBMITTED", "type": "LIMIT"}, 172_800, None),
        ({"status": "PARTIALLY_FILLED", "type": "LIMIT"}, 172_800, None),
    ],
)
def test_an_order_that_is_not_final_beyond_its_bound_is_seen(
    order: dict[str, Any], age_s: float, status: Status | None, last: OrderStatus
) -> None:
    kinds = {"status": OrderStatus(order["status"]), "type": OrderType(order.get("type", "MARKET"))}
    found = an_open_order(**order | kinds, since=T0 - timedelta(seconds=age_s))
    activity = some_activity(last_order_status=last, bounded=(an_open_order(), found))

    judged = of_orders(activity, now=T0)

    if status is None:
        assert judged.reason != "unknown_orders"
    else:
        assert judged == Finding(status, "unknown_orders")


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({}, "healthy", None),
        ({"beat_at": 970.0}, "healthy", None),
        ({"beat_at": 969.9}, "unhealthy", "heartbeat_stale"),
        ({"beat_at": 969.9, "beat_within_s": 270.0}, "healthy", None),
        ({"consecutive_failures": 2}, "healthy", None),
        ({"consecutive_failures": 3}, "warning", "loop_dead"),
        ({"consecutive_failures": 3, "beat_at": 0.0}, "unhealthy", "heartbeat_stale"),
        ({"consecutive_failures": 3, "is_enabled": False}, "healthy", None),
        ({"restarts": 1, "restarted_at": 400.1}, "warning", "loop_dead"),
        ({"restarts": 1, "restarted_at": 400.0}, "healthy", None),
        ({"restarts": 1, "restarted_at": 990.0, "is_enabled": False}, "warning", "loop_dead"),
        ({"restarts": 2, "restarts_in_a_row": 2, "restarted_at": 990.0}, "warning", "loop_dead"),
        ({"restarts": 3, "restarts_in_a_row": 3, "restarted_at": 990.0}, "unhealthy", "loop_dead"),
    ],
)
def test_one_job_in_trouble_is_the_schedulers_trouble(
    changes: dict[str, Any], status: Status, reason: Any
) -> None:
    states = (a_job_state(name="fine"), a_job_state(**changes))

    assert of_jobs(states, monotonic=1000.0) == Finding(status, reason)


@pytest.mark.parametrize(("lag_s", "status"), [(5.0, "healthy"), (5.1, "unhealthy")])
def test_an_event_loop_that_is_late_is_the_schedulers_trouble_and_no_jobs(
    lag_s: float, status: Status
) -> None:
    late = a_job_state(beat_at=1000.0 if status == "healthy" else 0.0)

    found = of_jobs([late], monotonic=1000.0, lag_s=lag_s)

    assert found == Finding(status, None if status == "healthy" else "event_loop_lag")


def test_books_that_differ_say_more_than_an_order_that_failed() -> None:
    failed = some_activity(last_order_status=OrderStatus.FAILED)

    assert of_orders(failed, now=T0, mismatch=True) == Finding("unhealthy", "reconcile_mismatch")


def test_before_any_job_runs_the_scheduler_is_healthy() -> None:
    assert of_jobs((), monotonic=0.0) == Finding("healthy", None)


NAMES = ("database", "upbit_api", "gemini_api", "scheduler", "recent_signal", "recent_order")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", ["healthy", "warning", "unhealthy"])
def test_only_database_and_scheduler_make_the_whole_unhealthy(name: str, status: Status) -> None:
    parts: dict[str, Status] = dict.fromkeys(NAMES, "healthy")
    parts[name] = status

    whole = overall(parts.items())

    vital = name in {"database", "scheduler"}
    expected = {"healthy": "healthy", "warning": "degraded", "unhealthy": "degraded"}[status]
    assert whole == ("unhealthy" if vital and status == "unhealthy" else expected)
