"""pyupbit trades on the sandbox: it sends the parameters of GET and DELETE in the body."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import pyupbit
import requests

from tests.conformance.conftest import Exchange

FAR_BELOW = 50_000_000
LIVE = "https://api.upbit.com"


@pytest.fixture
def client(exchange: Exchange) -> Iterator[Any]:
    """pyupbit writes the live address into every call: it is replaced below it."""
    usual = requests.Session.request

    def redirected(self: Any, method: str, url: str, **rest: Any) -> Any:
        assert url.startswith(LIVE)
        return usual(self, method, url.replace(LIVE, exchange.url, 1), timeout=10, **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "request", redirected)
        yield pyupbit.Upbit(exchange.access_key, exchange.secret_key)


def test_markets_price_and_candles_are_read(client: Any) -> None:
    markets = pyupbit.get_tickers("KRW")
    price = pyupbit.get_current_price("KRW-BTC")
    candles = pyupbit.get_ohlcv("KRW-BTC", "minute1", count=5)

    assert markets == ["KRW-BTC"]
    assert price > 0
    assert len(candles) == 5
    assert (candles["low"] <= candles["close"]).all()


def test_candles_are_paged_by_pyupbit_without_a_gap_or_a_repeat(client: Any) -> None:
    candles = pyupbit.get_ohlcv("KRW-BTC", "minute1", count=250)

    assert len(candles) == 250
    assert candles.index.is_unique


def test_what_is_left_of_the_second_is_understood(client: Any) -> None:
    _, limit = pyupbit.get_tickers("KRW", limit_info=True)

    assert limit["group"] == "market"
    assert 0 <= limit["sec"] < 10


def test_a_limit_order_is_made_found_and_cancelled(client: Any) -> None:
    made = client.buy_limit_order("KRW-BTC", FAR_BELOW, 0.001)

    found = client.get_order(made["uuid"])
    asked = client.cancel_order(made["uuid"])
    gone = client.get_order(made["uuid"])

    assert (made["state"], made["locked"]) == ("wait", "50025")
    assert found["uuid"] == made["uuid"]
    assert (asked["state"], gone["state"]) == ("wait", "cancel")


def test_a_market_buy_is_sold_again(client: Any) -> None:
    bought = client.get_order(client.buy_market_order("KRW-BTC", 10_000)["uuid"])
    volume = Decimal(bought["executed_volume"])
    sold = client.get_order(client.sell_market_order("KRW-BTC", volume)["uuid"])

    assert bought["state"] in ("cancel", "done")
    assert (sold["state"], Decimal(sold["executed_volume"])) == ("done", volume)
    assert {a["currency"] for a in client.get_balances()} == {"KRW"}


def test_a_refusal_is_none_and_printed_by_its_name(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.buy_limit_order("KRW-BTC", FAR_BELOW, 1) is None
    assert "InsufficientFundsBid" in capsys.readouterr().out
