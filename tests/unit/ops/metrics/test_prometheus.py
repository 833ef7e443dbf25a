"""The Prometheus text, read back by Prometheus' own parser."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from service.domain.signals import Usage
from service.domain.trading_states import TradingStatus
from service.ops.metrics.counters import Counters
from service.ops.metrics.prometheus import Exposition
from service.ports.health import CacheStats, ConcurrencyState, JobState, PoolState
from service.ports.price_feed import LiveFigures, PriceFigures, StreamState
from service.ports.store import Halt, ModelCall
from tests.builders import KRW_BTC, T0, an_answer
from tests.fakes.clock import FakeClock
from tests.fakes.health import FakeHealth, a_component

DOCS = Path(__file__).parents[4] / "docs" / "metrics.md"
#: What the Grafana dashboard and the alert rules are made of.
CONTRACT = {
    "trader_build_info": {"version", "mode"},
    "trader_job_runs_total": {"job", "outcome"},
    "trader_job_duration_seconds_bucket": {"job", "le"},
    "trader_job_skipped_total": {"job"},
    "trader_job_last_success_timestamp_seconds": {"job"},
    "trader_http_requests_total": {"route", "method", "status"},
    "trader_http_request_duration_seconds_bucket": {"route", "le"},
    "trader_ai_calls_total": {"model", "outcome"},
    "trader_ai_tokens_total": {"model", "kind"},
    "trader_ai_cost_usd_total": {"model"},
    "trader_signals_total": {"action"},
    "trader_decisions_total": {"verdict", "reason"},
    "trader_orders_total": {"status"},
    "trader_orders_open": {"status"},
    "trader_orders_stuck": set(),
    "trader_orders_aside": set(),
    "trader_trading_state": {"state"},
    "trader_halts": {"kind", "market"},
    "trader_stream_connected": {"stream"},
    "trader_stream_frames_total": {"stream", "readable"},
    "trader_stream_reconnects_total": {"stream"},
    "trader_prices_heard_total": {"source"},
    "trader_prices_refused_total": {"doubt"},
    "trader_price_age_seconds": {"market"},
    "trader_pool_connections": {"state"},
    "trader_pool_waiting": set(),
    "trader_pool_waits_total": set(),
    "trader_pool_wait_seconds_total": set(),
    "trader_pool_refused_total": set(),
    "trader_cache_reads_total": {"result"},
    "trader_component_status": {"component"},
    "trader_trading_active": set(),
    "trader_alerts_total": {"severity", "outcome"},
    "trader_http_shed_total": {"class"},
    "trader_http_at_work": {"class"},
    "trader_http_waiting": {"class"},
    "trader_http_connections_refused_total": set(),
    "trader_log_lines_dropped_total": set(),
    "trader_event_loop_lag_seconds": set(),
}


def a_call(**overrides: object) -> ModelCall:
    values: dict[str, object] = {
        "model": "gemini-3.8-flash",
        "purpose": "signal",
        "started_at": T0,
        "duration_ms": 800.0,
        "outcome": "ok",
        "why": None,
        "answer": an_answer(usage=Usage(input_tokens=1200, output_tokens=85)),
        "cost_usd": Decimal("0.0015"),
    }
    return ModelCall(**values | overrides)  # type: ignore[arg-type]


def a_job(**overrides: object) -> JobState:
    values: dict[str, object] = {
        "name": "collect_market_data", "every_s": 10, "running": False, "last_start_at": T0,
        "last_success_at": T0, "last_error": None, "last_duration_ms": 3.0, "next_run_at": T0,
        "consecutive_failures": 0, "runs": 3, "skipped": 2, "beat_at": 0.0, "beat_within_s": 30,
    }  # fmt: skip
    known = {name: values[name] for name in values if name in JobState.__slots__}
    return JobState(**known | overrides)  # type: ignore[arg-type]


def a_halt(**overrides: Any) -> Halt:
    values: dict[str, Any] = {
        "kind": TradingStatus.REDUCING,
        "reason": "clock_skew",
        "actor": "system:clock",
        "since": T0,
        "ends": "condition",
    }
    return Halt(**values | overrides)


def some_figures() -> LiveFigures:
    state = StreamState(connected=True, frames=10, odd=1, reconnects=2, quiet_s=0.5)
    prices = PriceFigures(
        heard={"stream": 9, "rest": 4}, refused={"jump": 1}, age_s={KRW_BTC: 1.5}, doubts={}
    )
    return LiveFigures(streams={"prices": state, "orders": state}, prices=prices)


class Process:
    """Everything the exposition asks, with something of each kind in it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.health = FakeHealth()
        self.meters = Counters(self.clock)
        self.alerts = {("critical", "sent"): 2}
        self.halts = [a_halt()]
        self.exposition = Exposition(
            meters=self.meters,
            version="0.1.0",
            mode="sandbox",
            jobs=lambda: [a_job()],
            pool=lambda: PoolState(
                size=10, free=7, max=20, waiting=3, waits=8, waited_s=0.5, refused=2
            ),
            cache=lambda: CacheStats(
                hits=9, misses=1, hit_ratio=0.9, loads=1, load_failures=0, invalidations=0,
                entries=1,
            ),
            health=self.health.body,
            alerts=lambda: self.alerts,
            lines_dropped=lambda: 4,
            limits=lambda: {
                "read": ConcurrencyState(limit=32, at_work=5, waiting=2, refused=7),
                "change": ConcurrencyState(limit=8, at_work=0, waiting=0, refused=0),
            },
            turned_away=lambda: 6,
            halts=lambda: self.halts,
            live=some_figures,
        )  # fmt: skip

    def live(self) -> None:
        meters = self.meters
        meters.passed("collect_market_data", success=True, seconds=0.02)
        meters.passed("collect_market_data", success=False, seconds=7.0)
        meters.called(a_call())
        meters.called(a_call(outcome="error", answer=None, cost_usd=None))
        meters.signals["BUY"] += 1
        meters.decisions["REFUSED", "confidence"] += 1
        meters.orders["EXECUTED"] += 1
        for status in (200, 200, 503):
            began = meters.requests.began()
            self.clock.pass_time(0.0625)
            meters.requests.answered(began, route="/x", method="GET", status=status)

    def samples(self) -> list[Sample]:
        text = self.exposition.text().decode()
        return [s for family in text_string_to_metric_families(text) for s in family.samples]

    def value(self, name: str, **labels: str) -> float:
        (found,) = [s.value for s in self.samples() if s.name == name and s.labels == labels]
        return found


@pytest.fixture
def process() -> Process:
    lived = Process()
    lived.live()
    return lived


@pytest.mark.parametrize("name", CONTRACT)
def test_each_name_of_the_contract_has_its_labels(process: Process, name: str) -> None:
    labels = [set(sample.labels) for sample in process.samples() if sample.name == name]

    assert labels
    assert all(found == CONTRACT[name] for found in labels)


def test_every_exported_name_is_in_the_document_and_no_other(process: Process) -> None:
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(process.exposition.text().decode())
    }

    described = set(re.findall(r"^\| `(\w+)(?:\{[^}]*\})?` \|", DOCS.read_text(), re.MULTILINE))

    assert described == exported


def test_counters_say_what_happened(process: Process) -> None:
    value, model = process.value, "gemini-3.8-flash"

    assert value("trader_job_runs_total", job="collect_market_data", outcome="failure") == 1
    assert value("trader_job_skipped_total", job="collect_market_data") == 2
    assert value("trader_http_requests_total", route="/x", method="GET", status="200") == 2
    assert value("trader_ai_tokens_total", model=model, kind="input") == 1200
    assert value("trader_ai_cost_usd_total", model=model) == 0.0015
    assert value("trader_ai_calls_without_cost_total", model=model) == 1
    assert value("trader_decisions_total", verdict="REFUSED", reason="confidence") == 1
    assert value("trader_pool_connections", state="used") == 3
    assert value("trader_pool_waiting") == 3
    assert value("trader_pool_waits_total") == 8
    assert value("trader_pool_wait_seconds_total") == 0.5
    assert value("trader_pool_refused_total") == 2
    assert value("trader_cache_reads_total", result="miss") == 1
    assert value("trader_alerts_total", severity="critical", outcome="sent") == 2
    assert value("trader_log_lines_dropped_total") == 4
    assert value("trader_http_shed_total", **{"class": "read"}) == 7
    assert value("trader_http_shed_total", **{"class": "change"}) == 0
    assert value("trader_http_at_work", **{"class": "read"}) == 5
    assert value("trader_http_waiting", **{"class": "read"}) == 2
    assert value("trader_http_connections_refused_total") == 6


def test_what_has_not_happened_yet_is_zero_and_not_missing(process: Process) -> None:
    assert process.value("trader_signals_total", action="SELL") == 0
    assert process.value("trader_orders_total", status="UNKNOWN") == 0
    assert process.value("trader_ai_calls_total", model="gemini-3.8-flash", outcome="unusable") == 0


def test_the_first_failure_of_a_job_rises_from_zero() -> None:
    process = Process()
    process.meters.passed("collect_market_data", success=True, seconds=1)

    failures = {"job": "collect_market_data", "outcome": "failure"}
    assert process.value("trader_job_runs_total", **failures) == 0


def test_a_success_is_stamped_with_real_time(process: Process) -> None:
    at = process.value("trader_job_last_success_timestamp_seconds", job="collect_market_data")

    assert at == T0.timestamp()


def test_histograms_rise_to_their_count_and_add_up(process: Process) -> None:
    name = "trader_http_request_duration_seconds"
    buckets = [s for s in process.samples() if s.name == f"{name}_bucket"]

    values = [sample.value for sample in buckets]
    assert values == sorted(values)
    assert buckets[-1].labels["le"] == "+Inf"
    assert values[-1] == process.value(f"{name}_count", route="/x") == 3
    assert process.value(f"{name}_sum", route="/x") == 0.1875
    assert process.value(f"{name}_bucket", route="/x", le="0.05") == 0
    assert process.value(f"{name}_bucket", route="/x", le="0.1") == 3


def test_status_and_trading_are_numbers(process: Process) -> None:
    process.health.snapshot["components"]["upbit_api"] = a_component(status="unhealthy")
    process.health.snapshot["trading"]["state"] = "HALTED"

    assert process.value("trader_component_status", component="upbit_api") == 2
    assert process.value("trader_component_status", component="database") == 0
    assert process.value("trader_trading_active") == 0
    assert process.value("trader_trading_state", state="HALTED") == 1
    assert process.value("trader_trading_state", state="ACTIVE") == 0


def test_halts_that_stand_are_counted_by_kind_and_market(process: Process) -> None:
    process.halts = [
        a_halt(), a_halt(reason="by hand"), a_halt(market=KRW_BTC, kind=TradingStatus.HALTED),
    ]  # fmt: skip

    assert process.value("trader_halts", kind="REDUCING", market="all") == 2
    assert process.value("trader_halts", kind="HALTED", market="KRW-BTC") == 1


def test_open_and_stuck_orders_are_numbers_as_soon_as_they_were_read(process: Process) -> None:
    process.health.snapshot["components"]["recent_order"] = a_component()
    before = {sample.name for sample in process.samples()}
    process.health.snapshot["components"]["recent_order"] = a_component(
        open_orders={"PENDING": 2, "UNKNOWN": 1}, stuck_orders=3, orders_aside=1
    )

    assert not {"trader_orders_open", "trader_orders_stuck"} & before
    assert process.value("trader_orders_open", status="PENDING") == 2
    assert process.value("trader_orders_open", status="UNKNOWN") == 1
    assert process.value("trader_orders_stuck") == 3
    assert process.value("trader_orders_aside") == 1


def test_labels_from_outside_cannot_break_the_text() -> None:
    process = Process()
    process.meters.called(a_call(model='x"} 1\nevil_total 1\\'))

    assert "evil_total" not in {sample.name for sample in process.samples()}


def test_nothing_is_registered_globally(process: Process) -> None:
    process.exposition.text()

    assert not [family for family in REGISTRY.collect() if family.name.startswith("trader_")]


def test_without_a_source_a_metric_is_left_out() -> None:
    process = Process()
    bare = Exposition(
        meters=process.meters,
        version="0",
        mode="live",
        jobs=list,
        pool=lambda: PoolState(size=0, free=0, max=0, waiting=0),
        cache=lambda: CacheStats(
            hits=0, misses=0, hit_ratio=None, loads=0, load_failures=0, invalidations=0, entries=0
        ),
        health=process.health.body,
    )

    assert b"trader_alerts" not in bare.text()
    assert b"trader_log_lines_dropped" not in bare.text()
    assert b"trader_http_shed" not in bare.text()
    assert b"trader_http_connections_refused" not in bare.text()
