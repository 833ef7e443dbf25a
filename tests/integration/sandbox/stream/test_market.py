"""The public stream over real sockets: it shows what the Quotation API answers."""

from decimal import Decimal
from typing import Any

import pytest

from tests.integration.sandbox.client import Client
from tests.integration.sandbox.stream.streamed import TICKER, TRADE, advance, public

BOOK = {"type": "orderbook", "codes": ["KRW-BTC.5"]}
MINUTE = {"type": "candle.1m", "codes": ["KRW-BTC"]}


async def test_a_ticker_comes_at_once_and_again_with_each_print(client: Client) -> None:
    async with public(client) as stream:
        await stream.ask(TICKER)
        first = await stream.read()
        await advance(client)
        second = await stream.read()

    _, [asked] = await client.public("/v1/ticker", markets="KRW-BTC")
    assert (first["type"], first["code"], first["stream_type"]) == (
        "ticker",
        "KRW-BTC",
        "SNAPSHOT",
    )
    assert second["stream_type"] == "REALTIME"
    assert second["trade_timestamp"] > first["trade_timestamp"]
    shared = asked.keys() & second.keys()
    assert {"trade_price", "high_price", "acc_trade_volume_24h"} <= shared
    assert {k: float(second[k]) for k in shared if isinstance(asked[k], float)} == {
        k: asked[k] for k in shared if isinstance(asked[k], float)
    }
    assert second["acc_ask_volume"] + second["acc_bid_volume"] == second["acc_trade_volume"]


async def test_every_trade_comes_once_and_in_order(client: Client) -> None:
    async with public(client) as stream:
        await stream.ask(TRADE | {"is_only_realtime": True})
        assert await stream.is_alone()
        await advance(client, 30)
        await advance(client, 1)
        trades = [await stream.read() for _ in range(31)]

    ids = [trade["sequential_id"] for trade in trades]
    assert ids == sorted(set(ids))
    assert {trade["stream_type"] for trade in trades} == {"REALTIME"}
    for trade in trades:
        beside = "best_ask_price" if trade["ask_bid"] == "BID" else "best_bid_price"
        assert trade["trade_price"] == trade[beside]


async def test_no_candle_is_missed_and_the_last_of_each_minute_is_the_rest_candle(
    client: Client,
) -> None:
    newest: dict[str, Any] = {}
    async with public(client) as stream:
        await stream.ask(MINUTE)
        for _ in range(4):
            await advance(client, 13)
        await stream.ask({"method": "LIST_SUBSCRIPTIONS"})
        while "method" not in (candle := await stream.read()):
            newest[candle["candle_date_time_utc"]] = candle

    _, asked = await client.public("/v1/candles/minutes/1", market="KRW-BTC", count=len(newest))
    assert len(newest) > 7
    assert [candle["candle_date_time_utc"] for candle in asked] == sorted(newest, reverse=True)
    for candle in asked:
        streamed = newest[candle["candle_date_time_utc"]]
        assert "unit" not in streamed
        numbers = {k: v for k, v in candle.items() if k in streamed and isinstance(v, float)}
        assert {k: float(streamed[k]) for k in numbers} == numbers


async def test_a_candle_of_a_second_is_one_print(client: Client) -> None:
    async with public(client) as stream:
        await stream.ask({"type": "candle.1s", "codes": ["KRW-BTC"]})
        candle = await stream.read()

    prices = {candle[f"{name}_price"] for name in ("opening", "high", "low", "trade")}
    assert len(prices) == 1
    assert candle["candle_acc_trade_volume"] > 0


async def test_a_book_has_the_levels_asked_for(client: Client) -> None:
    async with public(client) as stream:
        await stream.ask(BOOK)
        book = await stream.read()

    _, [asked] = await client.public("/v1/orderbook", markets="KRW-BTC", count=5)
    assert len(book["orderbook_units"]) == 5
    assert book["orderbook_units"][0]["ask_price"] == asked["orderbook_units"][0]["ask_price"]
    assert isinstance(book["orderbook_units"][0]["ask_price"], int)
    assert book["total_ask_size"] == sum(unit["ask_size"] for unit in book["orderbook_units"])


@pytest.mark.parametrize(
    ("style", "is_list", "type_name", "price"),
    [
        ("DEFAULT", False, "type", "trade_price"),
        ("SIMPLE", False, "ty", "tp"),
        ("JSON_LIST", True, "type", "trade_price"),
        ("SIMPLE_LIST", True, "ty", "tp"),
    ],
)
async def test_each_format_has_its_names_and_its_frame(
    client: Client, style: str, is_list: bool, type_name: str, price: str
) -> None:
    async with public(client) as stream:
        await stream.ask(TICKER, style=style)
        frame = await stream.read()

    assert isinstance(frame, list) is is_list
    body = frame[0] if is_list else frame
    assert body[type_name] == "ticker"
    assert body[price] > Decimal(0)


@pytest.mark.parametrize("kind", ["trade", "orderbook", "candle.240m"])
async def test_every_type_has_short_names(client: Client, kind: str) -> None:
    async with public(client) as stream:
        await stream.ask({"type": kind, "codes": ["KRW-BTC"]}, style="SIMPLE")
        frame = await stream.read()

    assert (frame["ty"], frame["cd"], frame["st"]) == (kind, "KRW-BTC", "SNAPSHOT")
    assert all(len(name) <= 6 for name in frame)


async def test_a_snapshot_alone_is_not_followed(client: Client) -> None:
    async with public(client) as stream:
        await stream.ask(TICKER | {"is_only_snapshot": True}, TRADE | {"is_only_realtime": True})
        snapshot = await stream.read()
        await advance(client)
        trade = await stream.read()

        assert (snapshot["type"], snapshot["stream_type"]) == ("ticker", "SNAPSHOT")
        assert (trade["type"], trade["stream_type"]) == ("trade", "REALTIME")
        assert await stream.is_alone()


async def test_an_unknown_code_is_silence_and_the_others_speak(client: Client) -> None:
    codes = ["KRW-NONE", "krw-btc", "KRW-BTC.7", "KRW-BTC"]
    async with public(client) as stream:
        await stream.ask({"type": "orderbook", "codes": codes})
        book = await stream.read()

        assert book["code"] == "KRW-BTC"
        assert await stream.is_alone()


async def test_a_new_request_replaces_the_old_one(client: Client) -> None:
    async with public(client) as stream:
        await stream.ask(TICKER)
        await stream.read()
        await stream.ask(TRADE | {"is_only_realtime": True})
        await advance(client)
        frame = await stream.read()
        await stream.ask({"method": "LIST_SUBSCRIPTIONS"}, style="SIMPLE")
        listed = await stream.read()

    assert frame["type"] == "trade"
    assert listed == {
        "mthd": "LIST_SUBSCRIPTIONS",
        "rslt": [{"ty": "trade", "cds": ["KRW-BTC"]}],
        "tckt": "test",
    }


async def test_two_readers_of_one_market_read_the_same(client: Client) -> None:
    async with public(client) as one, public(client) as other:
        for stream in (one, other):
            await stream.ask(TICKER)
            await stream.read()
        await advance(client)

        assert await one.read() == await other.read()
