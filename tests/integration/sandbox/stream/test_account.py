"""The private stream: each change of an order and of a balance, as the engine made it."""

from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.integration.sandbox.client import Client
from tests.integration.sandbox.stream.streamed import ASSETS, ORDERS, advance, private, public

FAR_BELOW = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "50000000"}
MARKET_BUY = {"market": "KRW-BTC", "side": "bid", "ord_type": "price", "price": "100000"}


async def test_an_order_that_rests_and_is_cancelled_are_two_frames(client: Client) -> None:
    async with private(client) as stream:
        await stream.ask(ORDERS)
        _, made = await client.order(**FAR_BELOW, volume="0.001", identifier="mine")
        rests = await stream.read()
        await client.ask("DELETE", "/v1/order", uuid=made["uuid"])
        ended = await stream.read()

    assert (rests["state"], rests["stream_type"]) == ("wait", "REALTIME")
    assert (rests["uuid"], rests["identifier"]) == (made["uuid"], "mine")
    assert (rests["ask_bid"], rests["order_type"]) == ("BID", "limit")
    assert (rests["price"], rests["volume"]) == (50_000_000, Decimal("0.001"))
    assert rests["trade_uuid"] is rests["is_maker"] is rests["trade_fee"] is None
    assert ended["state"] == "cancel"
    # As in the Exchange API, an order that ended shows what it had locked.
    assert ended["locked"] == rests["locked"] == 50_025


async def test_a_market_buy_is_accepted_filled_and_ended_as_the_order_says(client: Client) -> None:
    frames: list[dict[str, Any]] = []
    async with private(client) as stream:
        await stream.ask(ORDERS | {"codes": ["KRW-BTC"]})
        _, made = await client.order(**MARKET_BUY)
        while not frames or frames[-1]["state"] not in ("done", "cancel"):
            frames.append(await stream.read())

    _, order = await client.ask("GET", "/v1/order", uuid=made["uuid"])
    trades = [frame for frame in frames if frame["state"] == "trade"]
    assert [frame["state"] for frame in frames] == [
        "wait",
        *["trade"] * len(order["trades"]),
        order["state"],
    ]
    for frame, trade in zip(trades, order["trades"], strict=True):
        assert frame["trade_uuid"] == trade["uuid"]
        assert frame["price"] == Decimal(trade["price"])
        assert frame["volume"] == Decimal(trade["volume"])
        assert frame["is_maker"] is False
    assert float(frames[-1]["executed_volume"]) == float(order["executed_volume"])
    assert float(sum(frame["trade_fee"] for frame in trades)) == pytest.approx(
        float(order["paid_fee"])
    )
    assert frames[0]["volume"] is None


async def test_a_balance_that_changes_is_an_asset_frame(client: Client) -> None:
    async with private(client) as stream:
        await stream.ask(ASSETS, ORDERS)
        await client.order(**FAR_BELOW, volume="0.001")
        order, assets = await stream.read(), await stream.read()

    _, [account] = await client.ask("GET", "/v1/accounts")
    assert (order["type"], assets["type"]) == ("myOrder", "myAsset")
    assert assets["assets"] == [
        {
            "currency": "KRW",
            "balance": Decimal(account["balance"]),
            "locked": Decimal(account["locked"]),
        }
    ]


async def test_a_fill_of_a_resting_order_is_pushed_by_the_market(client: Client) -> None:
    _, [ticker] = await client.public("/v1/ticker", markets="KRW-BTC")
    price = str(int(ticker["trade_price"]) // 1000 * 1000 - 2000)
    async with private(client) as stream:
        await stream.ask(ORDERS)
        await client.order(**FAR_BELOW | {"price": price}, volume="0.0001")
        assert (await stream.read())["state"] == "wait"
        for _ in range(200):
            await advance(client, 60)
            listed = (await client.ask("GET", "/v1/orders/open"))[1]
            if not listed:
                break
        fill, done = await stream.read(), await stream.read()

    assert (fill["state"], fill["is_maker"], fill["price"]) == ("trade", True, int(price))
    assert (done["state"], done["remaining_volume"]) == ("done", 0)


async def test_orders_of_another_market_are_not_sent_to_a_reader_of_one(client: Client) -> None:
    async with private(client) as stream:
        await stream.ask(ORDERS | {"codes": ["KRW-ETH"]})
        await client.order(**MARKET_BUY)

        assert await stream.is_alone()


async def test_short_names_of_the_account(client: Client) -> None:
    async with private(client) as stream:
        await stream.ask(ASSETS, ORDERS, style="SIMPLE_LIST")
        await client.order(**FAR_BELOW, volume="0.001")
        [order], [assets] = await stream.read(), await stream.read()

    assert (order["ty"], order["s"], order["p"]) == ("myOrder", "wait", 50_000_000)
    assert (assets["ty"], assets["ast"][0]["cu"]) == ("myAsset", "KRW")


# --- refusals -------------------------------------------------------------------------------------


async def test_a_handshake_without_a_valid_token_is_401(client: Client) -> None:
    used = client.bearer()
    async with private(client, token=used):
        pass

    for token in ("Bearer x.y.z", used):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with private(client, token=token):
                pass
        assert caught.value.status == 401


async def test_private_types_are_refused_on_the_public_address_and_the_reverse(
    client: Client,
) -> None:
    async with public(client) as stream:
        await stream.ask(ORDERS)
        assert await stream.error() == "INVALID_AUTH"
    async with private(client) as stream:
        await stream.ask({"type": "ticker", "codes": ["KRW-BTC"]})
        assert await stream.error() == "INVALID_PARAM"
        await stream.ask(ASSETS | {"codes": ["KRW-BTC"]})
        assert await stream.error() == "WRONG_FORMAT"
