"""Which windows may be asked for, and what is asked of the database."""

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.markets import Market
from service.ports.queries import PageKey
from service.web.protocol.paging import encode
from tests.builders import KRW_BTC, T0, a_config
from tests.unit.web.world import Client, Serve, World

API = "/api/v1/portfolio"
DAY = timedelta(days=1)


async def test_a_summary_always_has_today_the_week_and_the_month(
    client: Client, world: World
) -> None:
    for asked in ({}, {"days": "7"}, {"days": "366"}):
        answer = await client.get(f"{API}/summary", params=asked)
        assert await answer.json() == {"equity": "10000000"}

    assert [given["days"] for _, given in world.portfolio.asked] == [
        [1, 7, 30],
        [1, 7, 30],
        [1, 7, 30, 366],
    ]
    assert world.portfolio.asked[0] == ("summary", {"quote": "KRW", "now": T0, "days": [1, 7, 30]})


async def test_the_curve_is_the_last_days_unless_asked_otherwise(
    client: Client, world: World
) -> None:
    await client.get(f"{API}/equity")
    await client.get(
        f"{API}/equity",
        params={"from": "2026-01-01T09:00:00+09:00", "to": "2026-01-02T00:00Z", "points": "500"},
    )

    begin = datetime(2026, 1, 1, tzinfo=UTC)
    assert world.portfolio.asked == [
        ("equity", {"quote": "KRW", "since": T0 - DAY, "until": T0, "points": 200}),
        ("equity", {"quote": "KRW", "since": begin, "until": begin + DAY, "points": 500}),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "summary?days=0",
        "summary?days=367",
        "summary?quote=USD",
        "summary?from=2026-01-01T00:00:00Z",
        "equity?points=0",
        "equity?points=501",
        "equity?from=yesterday",
        "equity?from=2026-01-01",
        "equity?from=2026-01-01T00:00:00",
        "equity?from=2026-01-01T00:00:00+09:00",  # the plus was not escaped: it is a space
        "equity?from=2026-02-30T00:00:00Z",
        "equity?from=2026-W01-1T00:00:00Z",
        "equity?from=1999-12-31T00:00:00Z",
        "equity?from=%D9%A2026-01-01T00:00:00Z",
        "equity?from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z",
        "equity?from=2025-01-01T00:00:00Z&to=2026-01-02T00:00:01Z",
        "equity?to=2999-01-01T00:00:00Z&from=2026-01-01T00:00:00Z",
        "equity?quote=krw",
        "daily?limit=501",
        "daily?cursor=x",
        "daily?days=3",
        "daily?quote=USD",
        "daily?quote=KRW&market=KRW-BTC",
    ],
)
async def test_what_cannot_be_asked_is_refused_before_anything_is_asked(
    client: Client, world: World, query: str
) -> None:
    answer = await client.get(f"{API}/{query}")

    assert answer.status == 400
    assert answer.content_type == "application/problem+json"
    assert world.portfolio.asked == []


async def test_a_refused_instant_says_how_one_is_written(client: Client) -> None:
    answer = await client.get(f"{API}/equity", params={"to": "now"})

    assert (await answer.json())["detail"] == (
        "to is an instant of 2000 or later, like 2026-01-24T09:00:00Z"
    )


async def test_days_are_a_list_with_a_cursor(client: Client, world: World) -> None:
    world.portfolio.last = last = PageKey(T0, 7)

    first = await (await client.get(f"{API}/daily", params={"limit": "1"})).json()
    cursor = {"cursor": first["next_cursor"]}
    await client.get(f"{API}/daily", params=cursor)
    await client.get(f"{API}/daily", params=cursor | {"market": "KRW-BTC"})

    assert first == {"items": [{"day": "2026-01-24"}], "next_cursor": encode(last)}
    assert world.portfolio.asked == [
        ("days", {"quote": "KRW", "now": T0, "limit": 1, "before": None}),
        ("days", {"quote": "KRW", "now": T0, "limit": 50, "before": last}),
        ("market_days", {"market": KRW_BTC, "limit": 50, "before": last}),
    ]


async def test_any_quote_of_the_collected_markets_may_be_asked_for(
    world: World, serve: Serve
) -> None:
    world.config = a_config(markets=(Market("KRW", "BTC"), Market("BTC", "XRP")))
    client = await serve(world)

    await client.get(f"{API}/summary", params={"quote": "BTC"})

    assert world.portfolio.asked[0][1]["quote"] == "BTC"


@pytest.mark.parametrize("page", ["summary", "equity", "daily"])
async def test_a_viewer_may_look_and_a_stranger_may_not(
    world: World, serve: Serve, page: str
) -> None:
    world.config = a_config(viewer_token="look-and-no-more")
    client = await serve(world)
    token = {"Authorization": "Bearer look-and-no-more"}

    assert (await client.get(f"{API}/{page}")).status == 401
    assert (await client.get(f"{API}/{page}", headers=token)).status == 200
