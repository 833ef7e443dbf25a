"""One market's odd number costs that market alone, from the exchange's socket to PostgreSQL."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.adapters.upbit.rest import UpbitRest
from service.bus import Bus
from service.domain.errors import DomainError, ExchangeUnavailable
from service.domain.markets import Market, Ticker
from service.flows.collect import Collector
from service.store.database.pool import Pool
from service.store.tables.market_data import PgMarketData
from tests.builders import KRW_BTC, T0, a_candle, some_live_prices
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.logs import Logs
from tests.integration.adapters.upbit_stub import UpbitStub
from tests.integration.store.seeds import rows

KRW_ETH = Market("KRW", "ETH")
PRICES = "SELECT market FROM market_data ORDER BY market"
CANDLES = "SELECT market FROM candles ORDER BY market"


def a_ticker_row(market: str, **overrides: object) -> dict[str, Any]:
    row = {
        "market": market,
        "trade_price": 100,
        "high_price": 100,
        "low_price": 100,
        "acc_trade_volume_24h": 1,
        "signed_change_rate": 0.01,
        "trade_timestamp": 1769245200000,
    }
    return row | overrides


def a_candle_row(market: str, **overrides: object) -> dict[str, Any]:
    row = {
        "market": market,
        "candle_date_time_utc": "2026-01-24T09:00:00",
        "opening_price": 100,
        "high_price": 100,
        "low_price": 100,
        "trade_price": 100,
        "candle_acc_trade_price": 1,
        "candle_acc_trade_volume": 1,
    }
    return row | overrides


async def stored(pool: Pool, query: str) -> list[str]:
    return [str(market) for (market,) in await rows(pool, query)]


TINY = dict.fromkeys(("opening_price", "trade_price", "high_price", "low_price"), 1e-30)


@pytest.mark.parametrize(
    ("ticker", "candle"),
    [
        ({"signed_change_rate": 1e15}, {}),
        (TINY, {}),
        ({"acc_trade_volume_24h": 9e19}, {}),
        ({"trade_timestamp": 253402300799000}, {}),
        ({"trade_price": None}, {}),
        ({}, TINY),
        ({}, {"candle_acc_trade_volume": 9e19}),
        ({}, {"candle_date_time_utc": "9999-12-31T23:59:00"}),
        ({}, {"candle_date_time_utc": "0001-01-01T00:00:00"}),
    ],
)
async def test_an_odd_number_of_one_market_does_not_keep_the_others_from_being_collected(
    upbit: UpbitRest, stub: UpbitStub, pool: Pool, ticker: dict[str, Any], candle: dict[str, Any]
) -> None:
    """Regression: PostgreSQL refused the whole statement, or the whole answer counted as odd."""
    bitcoin, ether = a_ticker_row("KRW-BTC", **ticker), a_ticker_row("KRW-ETH")
    for answer in ([bitcoin, ether], [bitcoin], [ether]):
        stub.answer("GET /v1/ticker", json.dumps(answer))
    for answer in ([a_candle_row("KRW-BTC", **candle)], [a_candle_row("KRW-ETH")]):
        stub.answer("GET /v1/candles/minutes/1", json.dumps(answer))

    with pytest.raises(ExchangeUnavailable, match="cannot be read"):
        await Collector(
            markets=[KRW_BTC, KRW_ETH],
            exchange=upbit,
            market_data=PgMarketData(pool),
            live_prices=some_live_prices(FakeClock(at=T0)),
            bus=Bus(),
            clock=FakeClock(at=T0),
        ).step()

    both = ["KRW-BTC", "KRW-ETH"]
    assert await stored(pool, PRICES) == (["KRW-ETH"] if ticker else both)
    assert await stored(pool, CANDLES) == (["KRW-ETH"] if candle else both)


TINIEST = Decimal("1e-30")


class Tiny(FakeExchange):
    """Passes a price on that no table holds, as no adapter should."""

    async def tickers(self, markets: Sequence[Market]) -> tuple[Ticker, ...]:
        found = await super().tickers(markets)
        return tuple(
            replace(ticker, price=TINIEST, low=TINIEST) if ticker.market == KRW_BTC else ticker
            for ticker in found
        )


async def test_a_price_that_the_table_refuses_is_an_error_of_its_market_without_the_row(
    pool: Pool,
) -> None:
    clock = FakeClock(at=T0)
    exchange = Tiny(clock=clock)
    for market in (KRW_BTC, KRW_ETH):
        exchange.set_price(777_000_777, market)

    with Logs.captured() as logs:
        with pytest.raises(DomainError, match="a table cannot hold"):
            await Collector(
                markets=[KRW_BTC, KRW_ETH],
                exchange=exchange,
                market_data=PgMarketData(pool),
                live_prices=some_live_prices(clock),
                bus=Bus(),
                clock=clock,
            ).step()
        raw, lines = logs.raw, logs.lines

    assert await stored(pool, PRICES) == ["KRW-ETH"]
    said = [(line["level"], line["market"]) for line in lines if line["event"] == "job"]
    assert said == [("WARNING", "KRW-BTC")]
    assert b"Failing row" not in raw


async def test_a_candle_that_the_table_refuses_is_no_text_of_postgresql(pool: Pool) -> None:
    with pytest.raises(DomainError, match="a table cannot hold") as caught:
        await PgMarketData(pool).put_candles([a_candle(volume=Decimal("1e25"))])

    assert caught.value.__cause__ is None
