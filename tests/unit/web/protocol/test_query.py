"""Query parameters: what is unknown is named, never ignored."""

import pytest
from yarl import URL

from tests.unit.web.world import Client

PAGES = ["market/history", "market/candles", "signals", "trading/orders", "trading/fills"]


@pytest.mark.parametrize("page", PAGES)
async def test_an_unknown_parameter_is_named_with_the_nearest_known(
    client: Client, page: str
) -> None:
    answer = await client.get(f"/api/v1/{page}", params={"limt": "5"})

    assert answer.status == 400
    assert (await answer.json())["detail"] == "unknown query parameter 'limt'; did you mean limit?"


async def test_an_unknown_parameter_unlike_any_is_told_what_there_is(client: Client) -> None:
    answer = await client.get("/api/v1/market", params={"xyz": "1"})

    assert (await answer.json())["detail"] == "unknown query parameter 'xyz'; known here: market"


@pytest.mark.parametrize(
    "path",
    [
        "dashboard/summary",
        "signals/1",
        "trading/orders/1",
        "trading/balance",
        "config",
        "config/trading_enabled",
        "metrics/pool",
        "metrics/cache",
    ],
)
async def test_addresses_without_parameters_take_none(client: Client, path: str) -> None:
    answer = await client.get(f"/api/v1/{path}", params={"a": "1"})

    assert answer.status == 400
    assert (await answer.json())["detail"] == "unknown query parameter 'a'; none is known here"


async def test_a_parameter_given_twice_is_refused(client: Client) -> None:
    answer = await client.get("/api/v1/signals?limit=5&limit=6")

    assert answer.status == 400
    assert (await answer.json())["detail"] == "limit is given twice"


@pytest.mark.parametrize("market", ["KRW-DOGE", "btc", "", "KRW-BTC\x00", "x" * 3000])
@pytest.mark.parametrize("page", [*PAGES, "market", "market/summary", "trading/position"])
async def test_an_unknown_market_is_not_found_and_the_known_are_named(
    client: Client, page: str, market: str
) -> None:
    answer = await client.get(f"/api/v1/{page}", params={"market": market})

    body = await answer.json()
    assert answer.status == 404
    assert body["type"].endswith(":unknown-market")
    assert body["detail"].endswith("there is KRW-BTC, KRW-ETH")
    assert len(body["detail"]) < 200


async def test_hours_are_bounded(client: Client) -> None:
    answer = await client.get("/api/v1/market/summary", params={"hours": "0"})

    assert (await answer.json())["detail"] == "hours is a whole number from 1 to 744"


async def test_the_collectors_hours_are_a_week_at_most(client: Client) -> None:
    answer = await client.get("/api/v1/market/collector/stats", params={"hours": "169"})

    assert (await answer.json())["detail"] == "hours is a whole number from 1 to 168"
    assert answer.status == 400


async def test_a_nul_in_a_text_is_refused_before_the_database_meets_it(client: Client) -> None:
    """PostgreSQL's client raises for it, which was a 500."""
    answer = await client.get(URL("/api/v1/admin/audit?action=a%00b", encoded=True))

    assert answer.status == 400
    assert "NUL" in (await answer.json())["detail"]
