"""What the service measures of itself, from start to stop: nothing is lost, all sources agree."""

import json
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.store.dsn import connect, parameters
from service.store.embedded import EmbeddedPostgres
from tests.e2e.processes import Program, Service


@pytest.mark.proves("FR-009")
async def test_log_tables_and_prometheus_agree_to_the_last_pass_and_request(folder: Path) -> None:
    async with Service(folder / "s", TRADER_SPEED="600") as service:
        await service.ready()
        await service.until("/api/v1/trading/orders", lambda page: page["items"])
        for _ in range(7):
            await service.get("/api/v1/config/min_confidence")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{service.address}/metrics") as answer,
        ):
            scraped = text_string_to_metric_families(await answer.text())
        windows = [await service.get(f"/api/v1/metrics/{name}") for name in ("jobs", "http", "ai")]
        assert await service.stop() == 0

    stats = Program(folder / "c", "stats", "--log", str(service.out), "--json").start()
    assert await stats.ended() == 0, stats.stderr()
    told = json.loads(stats.out.read_text())
    in_log = {row["job"]: row["count"] for row in told["jobs"]}
    requests_in_log = {row["route"]: row["count"] for row in told["http"]}
    jobs, job_hours, minutes, hours = stored(folder / "s" / "var" / "postgres")
    samples = {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in scraped
        for sample in family.samples
    }

    assert all(isinstance(window["items"], list) for window in windows)
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


def stored(directory: Path) -> tuple[dict[str, int], ...]:
    """Return passes by job, each one and by the hour; requests by route, by minute and by hour."""
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        dsn = server.dsn("trader_sandbox")
        with closing(connect(parameters(dsn))) as connection, connection.cursor() as cursor:

            def counted(sql: str) -> dict[str, int]:
                cursor.execute(sql)
                return {name: int(count) for name, count in cursor.fetchall()}

            return (
                counted("SELECT job, count(*) FROM job_runs GROUP BY job"),
                counted("SELECT job, sum(count) FROM job_hours GROUP BY job"),
                counted(
                    "SELECT route, sum(count) FROM request_stats WHERE minutes = 1 GROUP BY route"
                ),
                counted(
                    "SELECT route, sum(count) FROM request_stats WHERE minutes = 60 GROUP BY route"
                ),
            )
    finally:
        server.stop()
