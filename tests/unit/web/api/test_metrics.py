"""Metrics over HTTP: windows, who may scrape, and that every request is counted."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.domain.days import korean_day
from service.ops.metrics.requests import RequestMeter
from service.settings.table import AI_DAILY_BUDGET_USD
from tests.builders import T0, a_config
from tests.unit.web.world import Client, Serve, World

BEHIND_A_PROXY = {"X-Forwarded-For": "192.0.2.7"}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = datetime(2026, 1, 23, 15, tzinfo=UTC)  #: in Korea, where T0 is an evening
API = "/api/v1/metrics"


# --- windows ----------------------------------------------------------------------------------


async def test_jobs_are_asked_by_the_markets_clock_and_requests_by_ours(
    client: Client, world: World
) -> None:
    world.real_clock.pass_time(5 * 86_400)

    await client.get(f"{API}/jobs")
    await client.get(f"{API}/http", params={"hours": "744"})

    ours = T0 + 5 * DAY
    assert world.statistics.asked == [
        ("jobs", T0 - 24 * HOUR, T0),
        ("requests", ours - 744 * HOUR, ours),
    ]


@pytest.mark.parametrize(
    ("days", "since"), [(None, MIDNIGHT - 6 * DAY), ("1", MIDNIGHT), ("366", MIDNIGHT - 365 * DAY)]
)
async def test_days_are_whole_and_today_is_one_of_them(
    client: Client, world: World, days: str | None, since: datetime
) -> None:
    await client.get(f"{API}/ai", params={} if days is None else {"days": days})

    assert world.statistics.asked == [("model_calls", since, MIDNIGHT + DAY)]
    assert world.statistics.budgets == [(korean_day(MIDNIGHT), AI_DAILY_BUDGET_USD.default)]


@pytest.mark.parametrize(
    ("left_s", "until"), [(1, MIDNIGHT + DAY), (0.001, MIDNIGHT + DAY), (0, MIDNIGHT + 2 * DAY)]
)
async def test_todays_cost_begins_with_the_korean_day_at_15_utc(
    client: Client, world: World, left_s: float, until: datetime
) -> None:
    world.clock.pass_time((MIDNIGHT + DAY - T0).total_seconds() - left_s)

    await client.get(f"{API}/ai", params={"days": "1"})

    assert world.statistics.asked == [("model_calls", until - DAY, until)]


@pytest.mark.parametrize(
    "query", ["jobs?hours=0", "jobs?hours=745", "http?hours=x", "http?hours=-1", "ai?days=0",
              "ai?days=367", "ai?hours=1", "jobs?days=1"],
)  # fmt: skip
async def test_a_window_out_of_bounds_is_refused_before_anything_is_asked(
    client: Client, world: World, query: str
) -> None:
    answer = await client.get(f"{API}/{query}")

    assert answer.status == 400
    assert world.statistics.asked == []


# --- Prometheus -------------------------------------------------------------------------------


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_exposition_is_prometheus_text(client: Client, world: World) -> None:
    answer = await client.get("/metrics")

    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    told, expected = samples(await answer.text()), samples(world.bound.metrics_text().decode())
    assert told["trader_trading_active",] == 0.0
    assert told.keys() <= expected.keys()


async def test_in_the_sandbox_a_scraper_on_this_machine_needs_no_token_even_where_others_do(
    world: World, serve: Serve
) -> None:
    world.config = a_config(viewer_token="look-and-no-more")
    client = await serve(world)

    assert (await client.get("/metrics")).status == 200
    assert (await client.get(f"{API}/jobs")).status == 401


async def test_outside_the_sandbox_every_scraper_needs_a_token(world: World, serve: Serve) -> None:
    world.config = a_config(viewer_token="look-and-no-more", mode="paper")
    client = await serve(world)
    token = {"Authorization": "Bearer look-and-no-more"}

    assert (await client.get("/metrics")).status == 401
    assert (await client.get("/metrics", headers=token)).status == 200


async def test_a_stranger_may_not_scrape_and_a_viewer_may(world: World, serve: Serve) -> None:
    world.config = a_config(viewer_token="look-and-no-more")
    client = await serve(world)
    token = {"Authorization": "Bearer look-and-no-more"}

    assert (await client.get("/metrics", headers=BEHIND_A_PROXY)).status == 401
    assert (await client.get("/metrics", headers=BEHIND_A_PROXY | token)).status == 200
    assert (await client.get("/metrics", headers={"Authorization": "Bearer x"})).status == 401


# --- every request is counted -----------------------------------------------------------------


@pytest.fixture
async def meter(world: World) -> RequestMeter:
    return world.counters.requests


def counted(meter: RequestMeter) -> dict[tuple[str, str, int], int]:
    return {labels: series.count for labels, series in meter.series()}


async def test_every_answer_is_counted_by_route_method_and_status(
    meter: RequestMeter, world: World, serve: Serve
) -> None:
    client = await serve(world)
    await client.get("/health")
    await client.head("/health")
    await client.get("/api/v1/signals/1")
    await client.get("/api/v1/signals/2")
    await client.get("/etc/passwd")
    await client.delete("/api/v1/config")
    await client.get("/", headers={"Host": "evil.example"})
    world.lists.fail = ZeroDivisionError()
    await client.get("/api/v1/signals")

    assert counted(meter) == {
        ("/health", "GET", 200): 1,
        ("/health", "HEAD", 200): 1,
        ("/api/v1/signals/{id}", "GET", 404): 2,
        ("unmatched", "GET", 404): 1,
        ("unmatched", "DELETE", 405): 1,
        ("/", "GET", 421): 1,
        ("/api/v1/signals", "GET", 500): 1,
    }


async def test_a_method_that_nothing_here_takes_is_no_label_of_its_own(
    meter: RequestMeter, world: World, serve: Serve
) -> None:
    client = await serve(world)
    for method in ("PROPFIND", "MKCOL", "REPORT"):
        await client.request(method, "/api/v1/signals")

    assert {method for _, method, _ in counted(meter)} == {"OTHER"}
