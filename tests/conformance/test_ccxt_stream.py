"""ccxt's WebSocket client reads the sandbox's market and the account's orders."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import ccxt.pro as ccxt
import pytest

from tests.conformance.conftest import PATIENCE_S, Exchange

FAR_BELOW = 50_000_000


@pytest.fixture
async def client(exchange: Exchange) -> AsyncIterator[Any]:
    keys = {"apiKey": exchange.access_key, "secret": exchange.secret_key}
    client = ccxt.upbit({**keys, "enableRateLimit": False, "timeout": 10_000})
    client.urls["api"] = {
        "public": exchange.url,
        "private": exchange.url,
        "ws": exchange.ws_url,
    }
    async with asyncio.timeout(PATIENCE_S):
        yield client
        await client.close()


async def test_ticker_trades_book_and_candles_are_watched_on_one_connection(client: Any) -> None:
    ticker = await client.watch_ticker("BTC/KRW")
    book = await client.watch_order_book("BTC/KRW")
    trades = await client.watch_trades("BTC/KRW")
    candle = await client.watch_ohlcv("BTC/KRW", "1s")  # the newest alone
    later = await client.watch_trades("BTC/KRW")

    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert book["bids"][0][0] < book["asks"][0][0]
    assert trades[-1]["symbol"] == later[-1]["symbol"] == "BTC/KRW"
    assert later[-1]["timestamp"] >= trades[-1]["timestamp"]
    assert candle[2] >= candle[3] > 0


async def test_own_orders_are_watched_from_accepted_to_cancelled(
    client: Any, exchange: Exchange
) -> None:
    watching = asyncio.ensure_future(client.watch_orders("BTC/KRW"))
    await exchange.subscribed("myOrder")
    made = await client.create_order(
        "BTC/KRW", "limit", "buy", 0.001, FAR_BELOW, {"clientOrderId": "cx-watched"}
    )
    rests = dict((await watching)[0])  # ccxt changes the order that it handed out
    ending = asyncio.ensure_future(client.watch_orders("BTC/KRW"))
    await client.cancel_order(made["id"])
    [ended] = await ending

    assert (rests["id"], rests["status"], rests["clientOrderId"]) == (
        made["id"],
        "open",
        "cx-watched",
    )
    assert (rests["price"], rests["amount"], rests["filled"]) == (FAR_BELOW, 0.001, 0)
    assert (ended["id"], ended["status"]) == (made["id"], "canceled")


async def test_own_trades_and_balance_are_watched(client: Any, exchange: Exchange) -> None:
    balances = asyncio.ensure_future(client.watch_balance())
    trades = asyncio.ensure_future(client.watch_my_trades("BTC/KRW"))
    await exchange.subscribed("myAsset")
    await exchange.subscribed("myOrder")
    buy = await client.create_market_buy_order_with_cost("BTC/KRW", 10_000)
    mine, balance = await trades, await balances
    bought = await client.fetch_order(buy["id"])
    await client.create_order("BTC/KRW", "market", "sell", bought["filled"])

    assert mine[-1]["order"] == buy["id"]
    assert mine[-1]["takerOrMaker"] == "taker"
    assert mine[-1]["cost"] <= 10_000
    assert balance["BTC"]["total"] == bought["filled"]
