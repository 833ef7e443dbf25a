"""The public market data: shapes, rules of candles, errors."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.sandbox.client import Client

TICKER_FIELDS = """
market trade_date trade_time trade_date_kst trade_time_kst trade_timestamp opening_price
high_price low_price trade_price prev_closing_price change change_price change_rate
signed_change_price signed_change_rate trade_volume acc_trade_price acc_trade_price_24h
acc_trade_volume acc_trade_volume_24h highest_52_week_price highest_52_week_date
lowest_52_week_price lowest_52_week_date timestamp
"""
CANDLE_FIELDS = """
market candle_date_time_utc candle_date_time_kst opening_price high_price low_price
trade_price timestamp candle_acc_trade_price candle_acc_trade_volume
"""
DAY_FIELDS = CANDLE_FIELDS + "prev_closing_price change_price change_rate"


async def candles(client: Client, unit: int, **params: Any) -> Any:
    status, page = await client.public(f"/v1/candles/minutes/{unit}", market="KRW-BTC", **params)
    assert status == 200, page
    return page


async def test_the_ticker_has_every_field(client: Client) -> None:
    _, [ticker] = await client.public("/v1/ticker", markets="KRW-BTC")
    _, everything = await client.public("/v1/ticker/all", quote_currencies="KRW")

    assert set(ticker) == set(TICKER_FIELDS.split())
    assert ticker["low_price"] <= ticker["trade_price"] <= ticker["high_price"]
    assert ticker["lowest_52_week_price"] <= ticker["low_price"]
    assert everything == [ticker]


async def test_candles_have_every_field(client: Client) -> None:
    [minute] = await candles(client, 1)
    _, [day] = await client.public("/v1/candles/days", market="KRW-BTC")

    assert set(minute) == {*CANDLE_FIELDS.split(), "unit"}
    assert set(day) == set(DAY_FIELDS.split())


async def test_pages_of_candles_meet_without_a_gap_or_a_repeat(client: Client) -> None:
    first = await candles(client, 15, count=120)
    second = await candles(client, 15, count=80, to=first[-1]["candle_date_time_utc"] + "Z")
    whole = await candles(client, 15, count=200)

    assert first + second == whole
    starts = [datetime.fromisoformat(candle["candle_date_time_utc"]) for candle in whole]
    assert {a - b for a, b in pairwise(starts)} == {timedelta(minutes=15)}


async def test_to_is_exclusive_in_every_spelling(client: Client) -> None:
    [_, second] = await candles(client, 60, count=2)
    start = second["candle_date_time_utc"]
    korean = second["candle_date_time_kst"] + "+09:00"

    for to in (start + "Z", start, start.replace("T", " "), korean):
        [older] = await candles(client, 60, count=1, to=to)
        assert older["candle_date_time_utc"] < start


@pytest.mark.parametrize("to", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
async def test_before_there_was_a_market_there_is_no_candle(client: Client, to: str) -> None:
    assert await candles(client, 1, count=200, to=to) == []
    assert await candles(client, 1, count=2, to="1970-01-01T00:01:01Z") != []


async def test_the_running_candle_is_the_first_of_the_page(client: Client) -> None:
    now = datetime.fromisoformat((await client.control("GET", "clock"))["now"])

    [newest] = await candles(client, 240)
    [same] = await candles(client, 240, to="9999-12-31T23:59:59-12:00")

    start = datetime.fromisoformat(newest["candle_date_time_utc"] + "Z")
    assert start <= now < start + timedelta(hours=4)
    assert same == newest


async def test_times_are_told_in_utc_and_nine_hours_later_in_korea(client: Client) -> None:
    [minute] = await candles(client, 1)
    _, [ticker] = await client.public("/v1/ticker", markets="KRW-BTC")

    utc, kst = (
        datetime.fromisoformat(minute[f"candle_date_time_{zone}"]) for zone in ("utc", "kst")
    )
    traded, traded_kst = (
        datetime.fromisoformat(f"{ticker[f'trade_date{z}']}T{ticker[f'trade_time{z}']}")
        for z in ("", "_kst")
    )
    assert kst - utc == traded_kst - traded == timedelta(hours=9)
    assert traded.replace(tzinfo=UTC).timestamp() * 1000 == ticker["trade_timestamp"]


@pytest.mark.parametrize("unit", [1, 3, 5, 10, 15, 30, 60, 240])
async def test_every_unit_is_answered(client: Client, unit: int) -> None:
    page = await candles(client, unit, count=200)

    assert len(page) == 200
    assert all(candle["unit"] == unit for candle in page)


async def test_a_day_s_candle_starts_where_the_day_before_ended(client: Client) -> None:
    _, days = await client.public("/v1/candles/days", market="KRW-BTC", count=3)

    assert days[0]["prev_closing_price"] == days[1]["trade_price"]
    assert days[0]["candle_date_time_utc"].endswith("T00:00:00")
    assert days[0]["candle_date_time_kst"].endswith("T09:00:00")


async def test_the_book_stands_around_the_price(client: Client) -> None:
    _, [ticker] = await client.public("/v1/ticker", markets="KRW-BTC")
    _, [book] = await client.public("/v1/orderbook", markets="KRW-BTC", count=5)
    _, [rules] = await client.public("/v1/orderbook/instruments", markets="KRW-BTC")

    units = book["orderbook_units"]
    assert len(units) == 5
    assert units[0]["bid_price"] <= ticker["trade_price"] <= units[0]["ask_price"]
    assert units[0]["ask_price"] - units[0]["bid_price"] == int(rules["tick_size"])
    assert isinstance(rules["tick_size"], str)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/ticker?markets=KRW-XXX", 404),
        ("/v1/ticker?markets=nonsense", 404),
        ("/v1/ticker", 400),
        ("/v1/candles/minutes/1?market=KRW-BTC&count=0", 400),
        ("/v1/candles/minutes/1?market=KRW-BTC&count=x", 400),
        (f"/v1/candles/minutes/1?market=KRW-BTC&count={'9' * 5000}", 400),
        ("/v1/candles/minutes/1?market=KRW-BTC&to=soon", 400),
        ("/v1/candles/minutes/2?market=KRW-BTC", 400),
        ("/v1/candles/minutes/1", 400),
        ("/v1/nothing", 404),
    ],
)
async def test_an_error_is_named_by_its_status(client: Client, path: str, status: int) -> None:
    got, body = await client.public(path)

    assert (got, body["error"]["name"]) == (status, status)


async def test_the_market_list_has_its_warnings_when_asked(client: Client) -> None:
    _, [plain] = await client.public("/v1/market/all")
    _, [detailed] = await client.public("/v1/market/all", is_details="true")

    assert set(plain) == {"market", "korean_name", "english_name"}
    assert detailed["market_event"]["warning"] is False


async def test_more_than_200_candles_are_answered_with_200(client: Client) -> None:
    status, candles = await client.public("/v1/candles/minutes/1?market=KRW-BTC&count=201")

    assert (status, len(candles)) == (200, 200)


async def test_a_wrong_unit_is_refused_in_the_exchange_s_words(client: Client) -> None:
    status, body = await client.public("/v1/candles/minutes/2?market=KRW-BTC")

    assert status == 400
    assert body == {"error": {"name": 400, "message": "specified unit is not valid."}}


async def test_prices_are_ints_in_books_and_floats_in_candles(client: Client) -> None:
    _, [book] = await client.public("/v1/orderbook", markets="KRW-BTC")
    _, [candle] = await client.public("/v1/candles/minutes/1", market="KRW-BTC")

    assert isinstance(book["orderbook_units"][0]["ask_price"], int)
    assert isinstance(candle["trade_price"], float)


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/v1/candles/minutes/1?market=KRW-BTC", "candles"),
        ("/v1/trades/ticks?market=KRW-BTC", "crix-trades"),
        ("/v1/ticker?markets=KRW-BTC", "ticker"),
    ],
)
async def test_a_quotation_names_its_group_as_the_wire_does(
    client: Client, path: str, group: str
) -> None:
    async with client.session.get(client.url + path) as answer:
        headers = answer.headers

    assert headers["Remaining-Req"].startswith(f"group={group}; min=600; sec=")
    assert headers["Limit-By-Ip"] == "Yes"
