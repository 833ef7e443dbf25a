"""Upbit's own WebSocket client reads the sandbox; its types judge every field of a frame."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from upbit import AsyncUpbit
from upbit.types import (
    connect_private_server_event,
    connect_public_server_event,
    simple_candle,
    simple_my_asset,
    simple_my_order,
    simple_orderbook,
    simple_ticker,
    simple_trade,
)

from tests.conformance.conftest import PATIENCE_S, Exchange

CODES = ["KRW-BTC"]
FAR_BELOW = "50000000"
PUBLIC = connect_public_server_event
PRIVATE = connect_private_server_event
#: whole prices of a book are integers on the wire; the SDK calls every decimal a text
NUMBERS_CALLED_TEXT = {"ask_price", "bid_price", "level", "ap", "bp", "lv"}


@pytest.fixture
async def client(exchange: Exchange) -> AsyncIterator[Any]:
    async with (
        asyncio.timeout(PATIENCE_S),
        AsyncUpbit(
            access_key=exchange.access_key,
            secret_key=exchange.secret_key,
            base_url=exchange.url,
            max_retries=0,
            timeout=10.0,
        ) as client,
    ):
        yield client


def assert_fits(body: Mapping[str, Any], model: Any) -> None:
    """Assert that `body` has the fields of `model` and no other, and that their types agree."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    assert body.keys() == known
    model.model_validate(_as_the_sdk_reads(body))


def _as_the_sdk_reads(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_the_sdk_reads(each) for each in value]
    if isinstance(value, dict):
        return {
            name: str(part) if name in NUMBERS_CALLED_TEXT else _as_the_sdk_reads(part)
            for name, part in value.items()
        }
    return value


async def frames(connection: Any, *types: Mapping[str, Any], style: str) -> AsyncIterator[Any]:
    """Subscribe and yield frames, fractions as their text."""
    request = [{"ticket": "t"}, *types, {"format": style}]
    await connection.send_raw(json.dumps(request))
    while True:
        yield json.loads(await connection.recv_bytes(), parse_float=str)


TYPES = [
    ("ticker", PUBLIC.Ticker, simple_ticker.SimpleTicker),
    ("trade", PUBLIC.Trade, simple_trade.SimpleTrade),
    ("orderbook", PUBLIC.Orderbook, simple_orderbook.SimpleOrderbook),
    ("candle.1m", PUBLIC.WsCandleResponse, simple_candle.SimpleCandle),
]


@pytest.mark.parametrize(("name", "model", "short"), TYPES)
async def test_a_frame_has_the_fields_of_the_sdk_s_types_in_every_format(
    client: Any, name: str, model: Any, short: Any
) -> None:
    for style, judge in (
        ("DEFAULT", model),
        ("SIMPLE", short),
        ("JSON_LIST", model),
        ("SIMPLE_LIST", short),
    ):
        async with client.ws_public.connect_public() as connection:
            frame = await anext(frames(connection, {"type": name, "codes": CODES}, style=style))
            [body] = frame if style.endswith("LIST") else [frame]
            assert_fits(body, judge)


@pytest.mark.parametrize(
    ("style", "order", "asset"),
    [
        ("DEFAULT", PRIVATE.MyOrder, PRIVATE.MyAsset),
        ("SIMPLE", simple_my_order.SimpleMyOrder, simple_my_asset.SimpleMyAsset),
    ],
)
async def test_an_own_order_has_the_fields_of_the_sdk_s_types(
    client: Any, exchange: Exchange, style: str, order: Any, asset: Any
) -> None:
    async with client.ws_private.connect_private() as connection:
        reading = frames(connection, {"type": "myOrder"}, {"type": "myAsset"}, style=style)
        first = asyncio.ensure_future(anext(reading))
        await exchange.subscribed("myOrder")
        made = await client.orders.create(
            market="KRW-BTC", side="bid", ord_type="limit", price=FAR_BELOW, volume="0.001"
        )
        assert_fits(await first, order)
        assert_fits(await anext(reading), asset)
        await client.orders.cancel(uuid=made.uuid)
        assert_fits(await anext(reading), order)


# --- the SDK's own reader -------------------------------------------------------------------------


async def test_the_market_is_read_by_the_sdk_s_streams(client: Any) -> None:
    async with client.ws_stream.ticker(CODES) as stream:
        snapshot, later = await stream.recv(), await stream.recv()
    async with client.ws_stream.trade(CODES) as stream:
        trade = await stream.recv()
    async with client.ws_stream.orderbook(["KRW-BTC.5"]) as stream:
        book = await stream.recv()
    async with client.ws_stream.candle(CODES, interval="1m") as stream:
        candle = await stream.recv()

    assert (snapshot.stream_type, later.stream_type) == ("SNAPSHOT", "REALTIME")
    assert later.trade_timestamp > snapshot.trade_timestamp
    assert (trade.type, trade.code) == ("trade", "KRW-BTC")
    assert len(book.orderbook_units) == 5
    assert float(candle.low_price) <= float(candle.trade_price) <= float(candle.high_price)


async def test_own_orders_are_read_by_the_sdk_s_streams(client: Any, exchange: Exchange) -> None:
    async with client.ws_stream.my_order(CODES) as stream:
        listed = await stream.list_subscriptions()
        buy = await client.orders.create(
            market="KRW-BTC", side="bid", ord_type="price", price="10000", identifier="sdk-stream"
        )
        events = [await stream.recv()]
        while events[-1].state not in ("done", "cancel"):
            events.append(await stream.recv())
    volume = (await client.orders.retrieve(uuid=buy.uuid)).executed_volume
    await client.orders.create(market="KRW-BTC", side="ask", ord_type="market", volume=volume)

    assert [each.type for each in listed.result] == ["myOrder"]
    assert {event.uuid for event in events} == {buy.uuid}
    assert [event.state for event in events][:2] == ["wait", "trade"]
    assert events[1].identifier == "sdk-stream"
    assert float(events[-1].executed_volume) == float(volume)
