"""A pinned price and a path over the wire: every answer, frame and fill follows it."""

from decimal import Decimal

import pytest

from tests.integration.sandbox.client import Client
from tests.integration.sandbox.stream.streamed import ORDERS, TICKER, advance, private, public

RESTING = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "90000000"}


async def test_a_pinned_price_is_what_every_answer_and_frame_shows(client: Client) -> None:
    async with public(client) as stream:
        await stream.ask(TICKER)
        before = await stream.read()
        told = await client.control(
            "POST", "prices", json={"market": "KRW-BTC", "prices": ["77000000"]}
        )
        _, [still] = await client.public("/v1/ticker", markets="KRW-BTC")
        await advance(client, 7)
        frame = await stream.read()

    _, [ticker] = await client.public("/v1/ticker", markets="KRW-BTC")
    _, [candle] = await client.public("/v1/candles/minutes/1", market="KRW-BTC")
    _, [book] = await client.public("/v1/orderbook", markets="KRW-BTC")
    best = book["orderbook_units"][0]
    assert told["first_at"].endswith("+00:00")
    assert still["trade_price"] == float(before["trade_price"])
    assert frame["trade_price"] == ticker["trade_price"] == candle["trade_price"] == 77_000_000
    assert best["bid_price"] <= 77_000_000 <= best["ask_price"]


async def test_a_path_fills_a_resting_order_and_the_market_goes_on(client: Client) -> None:
    path = {"market": "KRW-BTC", "prices": [95_000_000, None, 89_000_000], "then": "free"}
    _, [before] = await client.public("/v1/ticker", markets="KRW-BTC")
    async with private(client) as stream:
        await stream.ask(ORDERS)
        await client.order(**RESTING, volume="0.001")
        await stream.read()
        await client.control("POST", "prices", json=path)
        await advance(client, 2)
        assert await stream.is_alone()
        await advance(client)
        fill, done = await stream.read(), await stream.read()
    await advance(client, 5)

    _, [after] = await client.public("/v1/ticker", markets="KRW-BTC")
    assert (fill["state"], fill["price"], done["state"]) == ("trade", 90_000_000, "done")
    # Eight prints of the seeded market lie between: it did not move far.
    assert abs(after["trade_price"] - before["trade_price"]) < before["trade_price"] * 0.02


async def test_a_price_that_no_exchange_would_show_is_shown(client: Client) -> None:
    script = {"market": "KRW-BTC", "prices": ["0.00000001"]}
    await client.control("POST", "prices", json=script)
    await advance(client)
    _, [tiny] = await client.public("/v1/ticker", markets="KRW-BTC")
    await client.control("POST", "prices", json=script | {"prices": [10**10]})
    await advance(client)
    _, [huge] = await client.public("/v1/ticker", markets="KRW-BTC")
    await client.control("DELETE", "prices?market=KRW-BTC")
    await advance(client, 3)
    _, [free] = await client.public("/v1/ticker", markets="KRW-BTC")

    assert Decimal(str(tiny["trade_price"])) == Decimal("0.00000001")
    assert huge["trade_price"] == 10**10
    assert 1_000_000 < free["trade_price"] < 10**9


@pytest.mark.parametrize(
    "body",
    [
        "",
        '{"market":"KRW-BTC"}',
        '{"market":"KRW-BTC","prices":[]}',
        '{"market":"KRW-BTC","prices":[0]}',
        '{"market":"KRW-BTC","prices":["NaN"]}',
        '{"market":"KRW-BTC","prices":[1e11]}',
        '{"market":"KRW-BTC","prices":["0.000000001"]}',
        '{"market":"KRW-BTC","prices":[1],"then":"stop"}',
        '{"market":"KRW-NONE","prices":[1]}',
        '{"market":"nonsense","prices":[1]}',
    ],
)
async def test_a_wrong_script_is_400_and_changes_nothing(client: Client, body: str) -> None:
    async with client.session.post(f"{client.url}/__sandbox__/prices", data=body) as answer:
        assert answer.status == 400
    async with client.session.delete(f"{client.url}/__sandbox__/prices?market=x") as answer:
        assert answer.status == 400
