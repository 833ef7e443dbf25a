"""ccxt trades on the sandbox: another reading of Upbit's documentation than ours."""

from collections.abc import AsyncIterator
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tests.conformance.conftest import Exchange

FAR_BELOW = 50_000_000


@pytest.fixture
async def client(exchange: Exchange) -> AsyncIterator[Any]:
    keys = {"apiKey": exchange.access_key, "secret": exchange.secret_key}
    client = ccxt.upbit({**keys, "enableRateLimit": False, "timeout": 10_000})
    client.urls["api"] = {"public": exchange.url, "private": exchange.url}
    yield client
    await client.close()


async def test_markets_ticker_candles_and_book_are_read(client: Any) -> None:
    markets = await client.load_markets()
    ticker = await client.fetch_ticker("BTC/KRW")
    candles = await client.fetch_ohlcv("BTC/KRW", "1m", limit=5)
    book = await client.fetch_order_book("BTC/KRW")

    assert markets["BTC/KRW"]["id"] == "KRW-BTC"
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert [candle[0] for candle in candles] == sorted({candle[0] for candle in candles})
    assert len(candles) == 5
    assert book["bids"][0][0] < book["asks"][0][0]


async def test_a_limit_order_is_made_found_listed_and_cancelled(client: Any) -> None:
    made = await client.create_order(
        "BTC/KRW", "limit", "buy", 0.001, FAR_BELOW, {"clientOrderId": "cx-limit"}
    )
    balance = await client.fetch_balance()

    found = await client.fetch_order(made["id"])
    listed = await client.fetch_open_orders("BTC/KRW")
    await client.cancel_order(made["id"])
    gone = await client.fetch_order(made["id"])

    assert (made["status"], made["clientOrderId"]) == ("open", "cx-limit")
    assert balance["KRW"]["used"] == 50_025
    assert (found["price"], found["remaining"]) == (FAR_BELOW, 0.001)
    assert [order["id"] for order in listed] == [made["id"]]
    assert gone["status"] == "canceled"


async def test_a_market_buy_is_sold_again(client: Any) -> None:
    buy = await client.create_market_buy_order_with_cost("BTC/KRW", 10_000)
    bought = await client.fetch_order(buy["id"])
    sell = await client.create_order("BTC/KRW", "market", "sell", bought["filled"])
    sold = await client.fetch_order(sell["id"])
    closed = await client.fetch_closed_orders("BTC/KRW")

    [trade] = bought["trades"]
    assert bought["cost"] == trade["cost"] <= 10_000
    assert bought["fee"]["currency"] == "KRW"
    assert (sold["status"], sold["filled"]) == ("closed", bought["filled"])
    assert sell["id"] in {order["id"] for order in closed}


async def test_the_fee_is_the_exchange_s(client: Any) -> None:
    fee = await client.fetch_trading_fee("BTC/KRW")

    assert (fee["maker"], fee["taker"]) == (0.0005, 0.0005)


async def test_refusals_have_the_classes_that_ccxt_maps_their_names_to(
    client: Any, exchange: Exchange
) -> None:
    stranger = ccxt.upbit({"apiKey": "nobody", "secret": exchange.secret_key})
    stranger.urls["api"] = client.urls["api"]

    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order("BTC/KRW", "limit", "buy", 1, FAR_BELOW)
    with pytest.raises(ccxt.OrderNotFound):
        await client.fetch_order("nobody's")
    with pytest.raises(ccxt.ExchangeError, match="invalid_price_bid"):
        await client.create_order("BTC/KRW", "limit", "buy", 0.001, FAR_BELOW + 1)
    with pytest.raises(ccxt.AuthenticationError):
        await stranger.fetch_balance()
    await stranger.close()
