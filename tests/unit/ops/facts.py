"""What the prober reads, for tests; every builder takes overrides."""

from typing import Any

from service.domain.orders import OrderStatus
from service.ports.health import JobState
from service.ports.queries import Activity
from tests.builders import T0


def some_activity(**overrides: Any) -> Activity:
    values: dict[str, Any] = {
        "last_signal_at": T0,
        "last_order_at": T0,
        "last_order_status": OrderStatus.EXECUTED,
        "unknown_orders": 0,
        "oldest_unknown_at": None,
    }
    return Activity(**values | overrides)


def a_job_state(**overrides: Any) -> JobState:
    values: dict[str, Any] = {
        "name": "collect_market_data",
        "every_s": 10,
        "running": False,
        "last_start_at": T0,
        "last_success_at": T0,
        "last_error": None,
        "last_duration_ms": 3.0,
        "next_run_at": T0,
        "consecutive_failures": 0,
        "runs": 1,
        "skipped": 0,
        "beat_at": 1000.0,
        "beat_within_s": 30.0,
    }
    return JobState(**values | overrides)
