"""Prices over HTTP."""

from datetime import timedelta

from service.domain.markets import Market, Timeframe
from service.domain.prices import PriceSource
from service.ports.health import JobState
from service.web.protocol.paging import decode
from tests.builders import KRW_BTC, T0, a_ticker
from tests.unit.web.world import Client, World

KRW_ETH = Market("KRW", "ETH")


async def test_the_overview_holds_the_newest_row_of_every_market(
    client: Client, world: World
) -> None:
    world.lists.add_ticker(market="KRW-BTC", price="1", n=1)
    world.lists.add_ticker(market="KRW-BTC", price="2", n=2)
    world.lists.add_ticker(market="KRW-ETH", price="3", n=3)

    answer = await client.get("/api/v1/market")

    assert answer.status == 200
    body = await answer.json()
    assert [(row["market"], row["price"]) for row in body["items"]] == [
        ("KRW-BTC", "2"),
        ("KRW-ETH", "3"),
    ]
    assert body["next_cursor"] is None


async def test_the_overview_can_be_of_one_market(client: Client, world: World) -> None:
    await client.get("/api/v1/market", params={"market": "KRW-ETH"})

    assert world.lists.asked == [("market_latest", {"markets": (KRW_ETH,)})]


async def test_a_market_that_is_collected_is_shown_even_when_it_is_not_traded(
    client: Client, world: World
) -> None:
    world.setting_rows.stored["markets"] = ["KRW-ETH"]

    await client.get("/api/v1/market")

    assert world.lists.asked == [("market_latest", {"markets": (KRW_BTC, KRW_ETH)})]


async def test_latest_is_the_object_without_its_list(client: Client, world: World) -> None:
    world.lists.add_ticker(market="KRW-ETH", price="42")

    answer = await client.get("/api/v1/market/latest", params={"market": "KRW-ETH"})

    assert (await answer.json())["price"] == "42"


async def test_latest_before_the_first_price_is_not_found(client: Client) -> None:
    answer = await client.get("/api/v1/market/latest")

    body = await answer.json()
    assert answer.status == 404
    assert "no price of KRW-BTC" in body["detail"]


async def test_history_goes_on_where_the_cursor_says(client: Client, world: World) -> None:
    for n in range(1, 6):
        world.lists.add_ticker(n=n)

    first = await (await client.get("/api/v1/market/history?limit=2")).json()
    second = await (
        await client.get(
            "/api/v1/market/history", params={"limit": 2, "cursor": first["next_cursor"]}
        )
    ).json()
    third = await (
        await client.get(
            "/api/v1/market/history", params={"limit": 2, "cursor": second["next_cursor"]}
        )
    ).json()

    pages = [[row["id"] for row in page["items"]] for page in (first, second, third)]
    assert pages == [[5, 4], [3, 2], [1]]
    assert third["next_cursor"] is None
    assert decode(first["next_cursor"]).id == 4


async def test_candles_are_asked_for_by_timeframe(client: Client, world: World) -> None:
    world.lists.add_candle(timeframe="1h")

    answer = await client.get("/api/v1/market/candles", params={"timeframe": "1h", "limit": 7})

    assert len((await answer.json())["items"]) == 1
    name, asked = world.lists.asked[-1]
    assert (name, asked["timeframe"], asked["limit"]) == ("market_candles", Timeframe.H1, 7)


async def test_a_wrong_timeframe_is_answered_with_the_right_ones(client: Client) -> None:
    answer = await client.get("/api/v1/market/candles", params={"timeframe": "2m"})

    body = await answer.json()
    assert answer.status == 400
    assert body["detail"] == "timeframe is one of 1m, 3m, 5m, 10m, 15m, 30m, 1h, 4h, 1d"


async def test_the_summary_counts_back_from_the_markets_clock(client: Client, world: World) -> None:
    world.lists.add_ticker()

    answer = await client.get("/api/v1/market/summary", params={"hours": 2})

    assert (await answer.json())["count"] == 1
    assert world.lists.asked[-1][1]["since"] == T0 - timedelta(hours=2)


async def test_the_summary_is_of_a_day_unless_said_otherwise(client: Client, world: World) -> None:
    await client.get("/api/v1/market/summary")

    assert world.lists.asked[-1][1]["since"] == T0 - timedelta(hours=24)


async def test_collector_statistics_come_with_the_state_of_its_job(
    client: Client, world: World
) -> None:
    world.jobs.jobs = [a_job("sync_pending_orders"), a_job("collect_market_data", runs=9)]

    body = await (await client.get("/api/v1/market/collector/stats")).json()

    assert [item["market"] for item in body["items"]] == ["KRW-BTC", "KRW-ETH"]
    assert body["since"] == "2026-01-23T09:00:00.000Z"
    assert body["job"]["runs"] == 9
    assert body["job"]["last_success_at"] == "2026-01-24T09:00:00.000Z"


async def test_collector_statistics_show_the_streams_and_the_age_of_each_price(
    client: Client, world: World
) -> None:
    world.bound.live_prices.hear(a_ticker(), source=PriceSource.STREAM)
    world.clock.pass_time(31)

    body = await (await client.get("/api/v1/market/collector/stats")).json()

    assert body["prices"] == [{"market": "KRW-BTC", "age_seconds": 31.0, "doubt": "stale"}]
    assert body["streams"].keys() == {"prices", "orders"}
    assert body["streams"]["prices"] == {
        "connected": False, "frames": 0, "odd_frames": 0, "reconnects": 0, "quiet_seconds": None,
    }  # fmt: skip


async def test_collector_statistics_work_before_the_scheduler_does(client: Client) -> None:
    body = await (await client.get("/api/v1/market/collector/stats")).json()

    assert body["job"] is None


def a_job(name: str, runs: int = 1) -> JobState:
    return JobState(
        name=name,
        every_s=10,
        running=False,
        last_start_at=T0,
        last_success_at=T0,
        last_error=None,
        last_duration_ms=1.5,
        next_run_at=None,
        consecutive_failures=0,
        runs=runs,
        skipped=0,
        beat_at=1000.0,
        beat_within_s=30,
    )
