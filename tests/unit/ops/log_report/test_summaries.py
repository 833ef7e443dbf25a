"""Statistics from shipped log lines alone, whatever carried them."""

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from service.domain.errors import ConfigError
from service.ops.log_report.parse import Tally, measured
from service.ops.log_report.report import LogWindow, instant, report
from service.ops.log_report.summaries import LogStats, log_stats, percentile
from service.ops.log_report.tables import tables
from tests.fakes.logs import Logs

DURATIONS = st.floats(min_value=0, max_value=1e6)


def a_line(**fields: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-01-24T09:00:00.000Z",
        "level": "INFO",
        "event": "job",
        "message": "pass",
        "service": "upbit-ai-trader",
        "seq": 1,
    } | fields


def a_pass(**fields: Any) -> dict[str, Any]:
    values = {"job": "collect_market_data", "run_id": "r", "duration_ms": 12.5, "success": True}
    return a_line(**values | {"attempts": 1, "error": None} | fields)


def a_request(**fields: Any) -> dict[str, Any]:
    values = {"event": "http", "route": "/x", "method": "GET", "status": 200, "duration_ms": 1.0}
    return a_line(**values | fields)


def a_call(**fields: Any) -> dict[str, Any]:
    values = {
        "event": "ai", "model": "m", "outcome": "ok", "duration_ms": 800.0, "input_tokens": 100,
        "output_tokens": 10, "thinking_tokens": None, "cached_tokens": None, "cost_usd": "0.001",
    }  # fmt: skip
    return a_line(**values | fields)


def raw(*lines: Mapping[str, Any] | bytes) -> list[bytes]:
    return [
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    ]


def stats_of(*lines: Mapping[str, Any] | bytes) -> tuple[LogStats, Tally]:
    tally = Tally()
    return log_stats(measured(raw(*lines), tally)), tally


def told(path: Path, window: LogWindow | None = None) -> dict[str, Any]:
    return dict(report(str(path), window or LogWindow()).document)


# --- numbers ----------------------------------------------------------------------------------


@given(values=st.lists(DURATIONS, min_size=1, max_size=50), ratio=st.sampled_from([0.5, 0.95, 1]))
def test_percentiles_are_numpys(values: list[float], ratio: float) -> None:
    expected = float(np.percentile(values, ratio * 100))

    assert percentile(sorted(values), ratio) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_jobs_row_counts_passes_and_names_the_last_one() -> None:
    stats, _ = stats_of(
        a_pass(duration_ms=10.0),
        a_pass(duration_ms=30.0),
        a_pass(
            duration_ms=7_000.0, success=False, attempts=4, error="ExchangeUnavailable",
            code="500", timestamp="2026-01-24T09:00:30.000Z",
        ),
    )  # fmt: skip

    assert stats["jobs"] == [
        {
            "job": "collect_market_data",
            "count": 3,
            "successes": 2,
            "failures": 1,
            "success_rate": 0.666667,
            "p50_ms": 30.0,
            "p95_ms": 6303.0,
            "p99_ms": 6860.6,
            "max_ms": 7000.0,
            "mean_ms": 2346.667,
            "last": {
                "finished_at": "2026-01-24T09:00:30.000Z",
                "duration_ms": 7000.0,
                "attempts": 4,
                "success": False,
                "error": "ExchangeUnavailable",
                "code": "500",
            },
        }
    ]


def test_retries_and_the_houses_own_beats_are_no_passes() -> None:
    retry = a_line(job="collect_market_data", run_id="r", attempt=1, wait_s=1.0, error="StoreDown")

    stats, tally = stats_of(retry, a_pass(job="leader.renew", success=False), a_pass())

    assert [(row["job"], row["count"]) for row in stats["jobs"]] == [("collect_market_data", 1)]
    assert tally.foreign == 0


def test_requests_are_told_apart_by_route_and_method() -> None:
    stats, _ = stats_of(
        a_request(status=404), a_request(status=503), a_request(), a_request(method="POST")
    )

    rows = [(r["method"], r["count"], r["client_errors"], r["errors"]) for r in stats["http"]]
    assert rows == [("GET", 3, 1, 1), ("POST", 1, 0, 0)]
    assert stats["http"][0]["error_rate"] == 0.333333


def test_an_unknown_cost_is_counted_and_not_taken_for_nothing() -> None:
    stats, _ = stats_of(
        a_call(cost_usd="0.0010"),
        a_call(cost_usd="0.0000000001"),
        a_call(cost_usd=None, outcome="error", input_tokens=None),
        a_call(timestamp="2026-01-25T00:00:00.000Z", cost_usd=None),
    )

    later, earlier = stats["ai"]
    assert (later["day"], later["cost_usd"], later["calls_without_cost"]) == ("2026-01-25", None, 1)
    assert (earlier["cost_usd"], earlier["calls_without_cost"]) == ("0.0010000001", 1)
    assert (earlier["calls"], earlier["ok"], earlier["error"]) == (3, 2, 1)
    assert (earlier["input_tokens"], earlier["total_tokens"]) == (200, 230)


def test_days_of_model_calls_are_korean_as_those_of_the_api() -> None:
    stats, _ = stats_of(
        a_call(timestamp="2026-01-24T14:59:59.999Z", cost_usd="0.1"),
        a_call(timestamp="2026-01-24T15:00:00.000Z", cost_usd="0.2"),
    )

    assert [(row["day"], row["cost_usd"]) for row in stats["ai"]] == [
        ("2026-01-25", "0.2"),
        ("2026-01-24", "0.1"),
    ]


def test_the_real_lines_of_the_service_are_understood(logs: Logs) -> None:
    logger.bind(
        event="job", job="j", run_id="r", duration_ms=1.234, success=True, attempts=1, error=None
    ).info("pass")
    logger.bind(
        event="ai", model="m", outcome="ok", duration_ms=5.0, why=None, input_tokens=7,
        output_tokens=1, thinking_tokens=None, cached_tokens=2, cost_usd="0.5",
    ).info("model call")  # fmt: skip
    logger.info("something else")

    tally = Tally()
    stats = log_stats(measured(io.BytesIO(logs.raw), tally))

    assert (tally.lines, tally.foreign) == (3, 0)
    assert stats["jobs"][0]["p50_ms"] == 1.234
    assert stats["ai"][0]["cached_tokens"] == 2


# --- what carried the lines -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "carried",
    [
        {"log": json.dumps(a_pass()) + "\n", "stream": "stdout", "time": "2026"},
        {"message": json.dumps(a_pass()), "source_type": "docker_logs"},
        {"MESSAGE": json.dumps(a_pass()), "_PID": "7"},
        {"log": json.dumps({"log": json.dumps(a_pass())})},
        b"trader-1  | " + json.dumps(a_pass()).encode(),
        b"2026-01-24T09:00:00.1Z stdout F " + json.dumps(a_pass()).encode(),
        a_pass(kubernetes={"pod": "x"}, service=None) | {"service": "upbit-ai-trader"},
    ],
)
def test_a_line_is_ours_whatever_carried_it(carried: Mapping[str, Any] | bytes) -> None:
    stats, tally = stats_of(carried)

    assert (len(stats["jobs"]), tally.foreign) == (1, 0)


@pytest.mark.parametrize(
    "foreign",
    [
        b"Starting PostgreSQL ...",
        b"{",
        b"{}",
        b"[1]",
        b"null",
        b"\xff\xfe\x00",
        b"{" * 100_000,
        {"event": "job"},
        {"event": ["job"], "timestamp": 1},
        {"event": {"job": 1}, "timestamp": 1},
        a_pass(service="another-service"),
        a_pass(duration_ms="fast"),
        a_pass(duration_ms=None),
        a_pass(job=None),
        a_request(status="ok"),
        a_call(cost_usd="much"),
        a_call(cost_usd="NaN"),
        a_request(route=7),
        a_call(timestamp="2026-13-45T00:00:00.000Z"),
        a_call(timestamp="9999-12-31T23:00:00.000Z"),  # no day in Korea that a date could name
        a_pass(timestamp="yesterday"),
        {"log": "no json"},
        {"log": 7},
    ],
)
def test_a_foreign_line_is_counted_and_spoils_nothing(foreign: Mapping[str, Any] | bytes) -> None:
    stats, tally = stats_of(foreign, a_pass())

    assert (tally.lines, tally.foreign) == (2, 1)
    assert stats["jobs"][0]["count"] == 1


def test_blank_lines_are_nothing() -> None:
    _, tally = stats_of(b"", b"   ", a_pass())

    assert tally.lines == 1


# --- the report -------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "trader.log"
    hours = [a_pass(timestamp=f"2026-01-24T{hour:02}:00:00.000Z") for hour in range(24)]
    path.write_bytes(b"".join(raw(*hours, b"not ours")))
    return path


def test_hours_count_back_from_the_newest_line(log: Path) -> None:
    assert told(log, LogWindow(hours=2))["jobs"][0]["count"] == 2
    assert told(log)["jobs"][0]["count"] == 24


def test_a_window_takes_its_beginning_and_leaves_its_end(log: Path) -> None:
    window = LogWindow(
        since=instant("2026-01-24T09:00", option="--since"),
        until=instant("2026-01-24T21:00:00+09:00", option="--until"),
    )

    found = told(log, window)

    assert found["jobs"][0]["count"] == 3
    assert (found["first_at"], found["last_at"]) == (
        "2026-01-24T09:00:00.000Z",
        "2026-01-24T11:00:00.000Z",
    )
    assert (found["lines"], found["foreign_lines"]) == (25, 1)


def test_the_tables_name_what_was_left_out(log: Path) -> None:
    found = report(str(log), LogWindow())

    assert found.sentence == (
        "25 lines read, 1 of them not of this service and left out; 24 measurements from"
        " 2026-01-24T00:00:00.000Z to 2026-01-24T23:00:00.000Z"
    )
    (jobs,) = tables(found.stats)
    assert jobs.title == "Jobs"
    assert [(c.title, c.is_number) for c in jobs.columns][:2] == [("job", False), ("passes", True)]
    assert jobs.rows == [["collect_market_data", "24", "100.00%", *["12.500"] * 5]]


def test_a_log_without_measurements_says_so(tmp_path: Path) -> None:
    path = tmp_path / "empty.log"
    path.write_bytes(b"")

    found = report(str(path), LogWindow())

    assert [*tables(found.stats)] == []
    assert found.sentence == (
        "0 lines read; none tells of a pass, a request or a model call in the window"
    )


@pytest.mark.parametrize("name", ["nowhere.log", "."])
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"--log: .* cannot be (opened|read)"):
        report(str(tmp_path / name), LogWindow())


def test_an_instant_that_is_none_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="--since: write an instant like"):
        instant("yesterday", option="--since")


def test_a_sum_of_many_durations_keeps_its_mean() -> None:
    stats, _ = stats_of(*(a_pass(duration_ms=0.1) for _ in range(1_000)))

    assert stats["jobs"][0]["mean_ms"] == 0.1
    assert math.isclose(stats["jobs"][0]["p99_ms"], 0.1)
