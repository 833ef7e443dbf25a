"""What the prober reads, for tests; every builder takes overrides."""

from typing import Any

from service.domain.orders import OrderStatus, OrderType, Side
from service.domain.stuck_orders import OpenOrder
from service.ports.health import JobState
from service.ports.machine import MachineReading
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


def a_machine_reading(**overrides: Any) -> MachineReading:
    values: dict[str, Any] = {
        "cpus": 2,
        "cpu_pct": 12.5,
        "process_cpu_pct": 3.5,
        "load": (0.5, 0.25, 0.125),
        "memory_bytes": 8_000,
        "memory_available_bytes": 6_000,
        "process_memory_bytes": 1_000,
        "disk_bytes": 1_000,
        "disk_free_bytes": 400,
        "disk_used_pct": 60.0,
        "open_files": 40,
        "open_files_limit": 1024,
    }
    return MachineReading(**values | overrides)


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
