"""Prices and minutes come in without a hole, however long nobody looked."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest

from service.bus import Bus
from service.domain.errors import BoundaryError, ExchangeRefused, ExchangeUnavailable
from service.domain.markets import Candle, CandlePage, Timeframe
from service.flows.collect import Collector
from service.flows.collect_candles import MAX_CANDLES, MAX_PAGES, MOST_AGAIN
from tests.builders import KRW_BTC, T0, a_candle, some_live_prices
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.logs import Logs
from tests.fakes.market_data import FakeMarketData

MINUTE = timedelta(minutes=1)
ONE = Decimal(1)
ABSURD = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)


class OddRows(FakeExchange):
    """Leaves the candles out that cannot be read, as the adapter does.

    Attributes: odd: when they began; set it freely.
    """

    odd: frozenset[datetime] = frozenset()

    async def candles(self, *args: Any, **options: Any) -> CandlePage:
        page = await super().candles(*args, **options)
        kept = [candle for candle in page if candle.opened_at not in self.odd]
        return CandlePage(kept, unreadable=len(page) - len(kept))


class Market:
    """A market with a candle every minute, and who collects it."""

    def __init__(self) -> None:
        self.clock = FakeClock(at=T0)
        self.exchange = OddRows(clock=self.clock)
        self.stored = FakeMarketData()
        self.rows = self.exchange.history[KRW_BTC, Timeframe.M1] = []
        self.pass_minutes(1)
        self.start()

    def start(self) -> None:
        """Start a process: what the one before knew is what it stored."""
        self.collector = Collector(
            markets=[KRW_BTC],
            exchange=self.exchange,
            market_data=self.stored,
            live_prices=some_live_prices(self.clock),
            bus=Bus(),
            clock=self.clock,
        )

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
        await self.collector.step()

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

    async def once(*args: Any, **options: Any) -> CandlePage:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise ExchangeUnavailable("no answer")
        return await given(*args, **options)

    market.exchange.candles = once  # type: ignore[method-assign]  # breaks half-way
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


async def test_a_stored_candle_of_the_future_switches_no_back_fill_off() -> None:
    """Regression: a candle dated 9999 was the newest one for ever."""
    market = Market()
    await market.collect()
    await market.stored.put_candles([a_candle(opened_at=ABSURD)])

    market.pass_minutes(30)
    await market.collect()

    del market.stored.candles[KRW_BTC, Timeframe.M1, ABSURD]
    assert market.missing == 0
    assert len(market.stored.candles) == len(market.rows)


async def test_a_minute_that_could_not_be_read_is_asked_for_again() -> None:
    market = Market()
    await market.collect()
    market.pass_minutes(5)
    market.exchange.odd = frozenset({market.rows[-5].opened_at})
    await market.collect()
    left_out = market.missing

    market.exchange.odd = frozenset()
    await market.collect()
    same_minute = market.missing
    market.pass_minutes(1)
    await market.collect()

    assert (left_out, same_minute, market.missing) == (1, 1, 0)


async def test_a_minute_that_can_never_be_read_is_asked_for_ten_times_only() -> None:
    market = Market()
    await market.collect()
    market.pass_minutes(5)
    market.exchange.odd = frozenset({market.rows[-5].opened_at})
    asked: list[int] = []
    given = market.exchange.candles

    async def counted(*args: Any, **options: Any) -> CandlePage:
        asked.append(options["count"])
        return await given(*args, **options)

    market.exchange.candles = counted  # type: ignore[method-assign]  # notes how much
    with Logs.captured() as logs:
        for _ in range(MOST_AGAIN + 3):
            await market.collect()
            await market.collect()
            market.pass_minutes(1)
        messages = [line["message"] for line in logs.lines]

    again = [count for count in asked if count > 4]
    assert len(again) == MOST_AGAIN + 1  # the first time it was new
    assert messages == ["a minute's candle stays missing: it could not be read ten times"]
    assert market.missing == 1


async def test_a_new_process_asks_once_for_the_minutes_that_the_last_one_could_not_read() -> None:
    market = Market()
    await market.collect()
    market.pass_minutes(100)
    market.exchange.odd = frozenset({market.rows[50].opened_at})
    await market.collect()

    market.exchange.odd = frozenset()
    market.start()
    await market.collect()

    assert market.missing == 0
