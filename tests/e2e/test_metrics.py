"""What the service measures of itself, from start to stop: nothing is lost, all sources agree."""

import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.store.database.dsn import connect, parameters
from service.store.embedded.server import EmbeddedPostgres
from tests.e2e.processes import Program, Service

TRADING = {"collect_market_data", "generate_trading_signal"}


def named(body: dict[str, Any]) -> set[str]:
    return {row["job"] for row in body["items"]}


@pytest.mark.proves("S6.1", "S6.2", "S6.3", "FR-009", "SC-006")
async def test_log_tables_and_prometheus_agree_to_the_last_pass_and_request(folder: Path) -> None:
    # DEBUG, because an empty pass of send_alerts has a row, but no line at INFO.
    async with Service(folder / "s", TRADER_SPEED="600", TRADER_LOG_LEVEL="DEBUG") as service:
        await service.ready()
        await service.until("/api/v1/trading/orders", lambda page: page["items"])
        for _ in range(7):
            await service.get("/api/v1/config/min_confidence")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{service.address}/metrics") as answer,
        ):
            scraped = text_string_to_metric_families(await answer.text())
        # What was measured is written every ten seconds.
        await service.until("/api/v1/metrics/jobs", lambda body: named(body) >= TRADING)
        windows = [await service.get(f"/api/v1/metrics/{name}") for name in ("jobs", "http", "ai")]
        assert await service.stop() == 0

    stats = Program(folder / "c", "stats", "--log", str(service.out), "--json").start()
    assert await stats.ended() == 0, stats.stderr()
    told = json.loads(stats.out.read_text())
    in_log = {row["job"]: row["count"] for row in told["jobs"]}
    requests_in_log = {row["route"]: row["count"] for row in told["http"]}
    jobs, job_hours, minutes, hours, usage = stored(folder / "s" / "var" / "postgres")
    calls = [line for line in service.lines() if line["event"] == "ai"]
    by_job = {row["job"]: row for row in windows[0]["items"]}
    samples = {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in scraped
        for sample in family.samples
    }

    assert all(isinstance(window["items"], list) for window in windows)
    for row in by_job.values():
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["max_ms"], row
    assert by_job.keys() >= TRADING
    assert windows[2]["total"]["total_tokens"] > 0
    assert Decimal(windows[2]["total"]["cost_usd"]) > 0
    # What a question cost stands in its line and in its row, whatever came of it.
    assert {line["outcome"] for line in calls} == {"ok"}
    assert all(line["duration_ms"] > 0 for line in calls)
    assert usage == {
        "calls": len(calls),
        "input_tokens": sum(line["input_tokens"] for line in calls),
        "output_tokens": sum(line["output_tokens"] for line in calls),
        "cost_usd": sum(Decimal(str(line["cost_usd"])) for line in calls),
    }
    assert usage["cost_usd"] > 0
    assert told["foreign_lines"] == 0
    assert jobs == job_hours == in_log
    assert jobs["generate_trading_signal"] >= 1
    assert jobs["cleanup_old_data"] >= 1
    # Room for each row was made at the start, before anything was written.
    assert not [line for line in service.lines() if "before their month" in line["message"]]
    assert minutes == hours
    # The log has one good health check in a hundred; of everything else, every request.
    assert {route: n for route, n in minutes.items() if "health" not in route} == requests_in_log
    assert minutes["/api/v1/config/{key}"] == 7
    assert samples["trader_http_requests_total", "GET", "/api/v1/config/{key}", "200"] == 7
    assert samples["trader_orders_total", "SUBMITTED"] + samples["trader_orders_total", "EXECUTED"]
    assert samples["trader_log_lines_dropped_total",] == 0
    assert told["ai"][0]["calls"] >= samples["trader_ai_calls_total", "gemini-3.8-flash", "ok"] >= 1


def stored(directory: Path) -> tuple[dict[str, Any], ...]:
    """Return passes by job, each one and by the hour; requests by route, by minute and by hour;
    and what the model used.
    """
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        dsn = server.dsn("trader_sandbox")
        with closing(connect(parameters(dsn))) as connection, connection.cursor() as cursor:

            def counted(sql: str) -> dict[str, int]:
                cursor.execute(sql)
                return {name: int(count) for name, count in cursor.fetchall()}

            def usage() -> dict[str, Any]:
                cursor.execute(
                    "SELECT count(*), sum(input_tokens), sum(output_tokens), sum(cost_usd)"
                    "  FROM ai_calls"
                )
                names = ("calls", "input_tokens", "output_tokens", "cost_usd")
                return dict(zip(names, cursor.fetchone() or (), strict=True))

            return (
                counted("SELECT job, count(*) FROM job_runs GROUP BY job"),
                counted("SELECT job, sum(count) FROM job_hours GROUP BY job"),
                counted(
                    "SELECT route, sum(count) FROM request_stats WHERE minutes = 1 GROUP BY route"
                ),
                counted(
                    "SELECT route, sum(count) FROM request_stats WHERE minutes = 60 GROUP BY route"
                ),
                usage(),
            )
    finally:
        server.stop()
