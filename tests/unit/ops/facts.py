"""What the prober reads, for tests; every builder takes overrides."""

from typing import Any

from service.domain.orders import OrderStatus, OrderType, Side
from service.domain.stuck_orders import OpenOrder
from service.ports.health import JobState
from service.ports.queries import Activity
from tests.builders import KRW_BTC, T0


def some_activity(**overrides: Any) -> Activity:
    values: dict[str, Any] = {
        "last_signal_at": T0,
        "last_order_at": T0,
        "last_order_status": OrderStatus.EXECUTED,
    }
    values |= overrides
    return Activity(**{"bounded_total": len(values.get("bounded", ())), **values})


def an_open_order(**overrides: Any) -> OpenOrder:
    values: dict[str, Any] = {
        "id": 1,
        "identifier": "uat-1",
        "market": KRW_BTC,
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "status": OrderStatus.UNKNOWN,
        "since": T0,
    }
    return OpenOrder(**values | overrides)


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
