"""Prices and minutes come in without a hole, however long nobody looked."""

from datetime import timedelta
from decimal import Decimal
from typing import Literal

import pytest

from service.bus import Bus
from service.domain.errors import BoundaryError, ExchangeRefused, ExchangeUnavailable
from service.domain.markets import Candle, Timeframe
from service.flows.collect import MAX_CANDLES, MAX_PAGES, collect
from tests.builders import KRW_BTC, T0
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.market_data import FakeMarketData

MINUTE = timedelta(minutes=1)
ONE = Decimal(1)


class Market:
    """A market with a candle every minute, and who collects it."""

    def __init__(self) -> None:
        self.clock = FakeClock(at=T0)
        self.exchange = FakeExchange(clock=self.clock)
        self.stored = FakeMarketData()
        self.rows = self.exchange.history[KRW_BTC, Timeframe.M1] = []
        self.pass_minutes(1)

    def pass_minutes(self, count: int) -> None:
        for _ in range(count):
            self.rows.append(
                Candle(
                    market=KRW_BTC, timeframe=Timeframe.M1, opened_at=T0 + len(self.rows) * MINUTE,
                    open=ONE, high=ONE, low=ONE, close=ONE, volume=ONE, funds=ONE,
                )
            )  # fmt: skip
        self.clock.pass_time(60 * count)

    async def collect(self) -> None:
        await collect(
            markets=[KRW_BTC],
            exchange=self.exchange,
            market_data=self.stored,
            bus=Bus(),
            clock=self.clock,
        )

    @property
    def missing(self) -> int:
        """Minutes between the first and the last one stored that are not stored."""
        have = sorted(at for _, _, at in self.stored.candles)
        return (have[-1] - have[0]) // MINUTE + 1 - len(have)


@pytest.mark.parametrize("away", [1, 198, 199, 200, 201, 1000, MAX_CANDLES * 3])
async def test_no_minute_is_missing_after_an_outage_of_any_length(away: int) -> None:
    market = Market()
    await market.collect()

    market.pass_minutes(away)
    await market.collect()

    assert market.missing == 0
    assert len(market.stored.candles) == len(market.rows)


async def test_an_outage_longer_than_one_pass_can_fetch_is_caught_up_by_the_next() -> None:
    market = Market()
    await market.collect()
    market.pass_minutes(MAX_CANDLES * MAX_PAGES + 500)

    await market.collect()
    after_one = len(market.stored.candles)
    await market.collect()

    assert after_one < len(market.rows)
    assert market.missing == 0
    assert len(market.stored.candles) == len(market.rows)


async def test_a_catch_up_that_is_cut_short_leaves_no_hole() -> None:
    market = Market()
    await market.collect()
    market.pass_minutes(700)
    asked = 0
    given = market.exchange.candles

    async def once(*args: object, **options: object) -> object:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise ExchangeUnavailable("no answer")
        return await given(*args, **options)  # type: ignore[arg-type]  # passed on as given

    market.exchange.candles = once  # type: ignore[method-assign,assignment]  # breaks half-way
    with pytest.raises(ExchangeUnavailable):
        await market.collect()
    market.exchange.candles = given  # type: ignore[method-assign]  # well again
    await market.collect()

    assert market.missing == 0
    assert len(market.stored.candles) == len(market.rows)


@pytest.mark.parametrize(
    "error",
    [
        ExchangeUnavailable("no answer", code="timeout"),
        ExchangeRefused("no", code="expired_access_key", of_account=True),
    ],
)
@pytest.mark.parametrize("method", ["tickers", "candles"])
async def test_an_outage_is_not_asked_about_market_by_market(
    error: BoundaryError, method: Literal["tickers", "candles"]
) -> None:
    market = Market()
    market.exchange.fail_next(method, error)

    with pytest.raises(type(error)):
        await market.collect()

    assert market.exchange.calls.count(method) == 1
