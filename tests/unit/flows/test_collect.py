"""Prices and minutes come in without a hole, however long nobody looked."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest

from service.bus import Bus
from service.domain import markets
from service.domain.errors import BoundaryError, ExchangeRefused, ExchangeUnavailable
from service.domain.markets import Candle, CandlePage, Ticker, Timeframe
from service.domain.prices import PriceDoubt, PriceSource
from service.flows.collect import Collector
from service.flows.collect_candles import MAX_CANDLES, MAX_PAGES, MOST_AGAIN
from tests.builders import KRW_BTC, T0, a_candle, a_ticker, some_live_prices
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.logs import Logs
from tests.fakes.market_data import FakeMarketData

KRW_ETH = markets.Market("KRW", "ETH")
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

    def __init__(self, *collected: markets.Market) -> None:
        self.markets = collected or (KRW_BTC,)
        self.clock = FakeClock(at=T0)
        self.exchange = OddRows(clock=self.clock)
        self.stored = FakeMarketData()
        self.rows = self.exchange.history[KRW_BTC, Timeframe.M1] = []
        self.pass_minutes(1)
        self.start()

    def start(self) -> None:
        """Start a process: what the one before knew is what it stored."""
        self.live_prices = some_live_prices(self.clock)
        self.collector = Collector(
            markets=self.markets,
            exchange=self.exchange,
            market_data=self.stored,
            live_prices=self.live_prices,
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

    def stream(self, market: markets.Market = KRW_BTC, **overrides: Any) -> Ticker:
        """Let the stream say a ticker."""
        values: dict[str, Any] = {"market": market, "traded_at": self.clock.now()}
        ticker = a_ticker(**values | overrides)
        self.live_prices.hear(ticker, source=PriceSource.STREAM)
        return ticker

    @property
    def prices(self) -> list[Decimal]:
        return [ticker.price for _, ticker in self.stored.tickers]

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


async def test_a_stream_that_is_fresh_is_stored_every_pass_and_rest_is_not_asked() -> None:
    market = Market()
    said: list[Ticker] = []

    for _ in range(3):
        market.clock.pass_time(4)
        said.append(market.stream(price=Decimal(100_000_000 + len(said))))
        market.clock.pass_time(6)
        await market.collect()

    assert [ticker for _, ticker in market.stored.tickers] == said
    assert "tickers" not in market.exchange.calls


async def test_a_market_whose_stream_is_silent_comes_from_rest_the_others_do_not() -> None:
    market = Market(KRW_BTC, KRW_ETH)
    market.exchange.set_price(5_000_000, KRW_ETH)
    asked: list[object] = []
    given = market.exchange.tickers

    async def noted(wanted: Any) -> Any:
        asked.append(tuple(wanted))
        return await given(wanted)

    market.exchange.tickers = noted  # type: ignore[method-assign,assignment]  # notes the markets
    market.stream()
    market.clock.pass_time(10)
    await market.collect()

    market.clock.pass_time(10)
    await market.collect()

    assert asked == [(KRW_ETH,), (KRW_BTC, KRW_ETH)]
    assert len(market.stored.tickers) == 4


async def test_rests_own_word_of_the_pass_before_is_not_taken_for_the_streams() -> None:
    market = Market()

    for _ in range(3):
        await market.collect()
        market.clock.pass_time(10)

    assert market.exchange.calls.count("tickers") == 3
    assert len(market.stored.tickers) == 3


@pytest.mark.proves("S4.2")
async def test_an_outage_of_rest_loses_no_price_of_the_stream() -> None:
    market = Market(KRW_BTC, KRW_ETH)
    streamed = market.stream()
    market.exchange.fail_next("tickers", ExchangeUnavailable("no answer", code="timeout"))

    with pytest.raises(ExchangeUnavailable):
        await market.collect()

    assert [ticker for _, ticker in market.stored.tickers] == [streamed]


@pytest.mark.parametrize("price", [Decimal("0.01"), Decimal(10_000_000), Decimal(200_000_000)])
async def test_a_price_that_is_not_believed_is_not_stored(price: Decimal) -> None:
    """Regression: a tenth whose high and low were true became a row, and a position's value."""
    market = Market()
    await market.collect()

    market.clock.pass_time(10)
    market.exchange.set_price(price)
    await market.collect()

    assert market.prices == [Decimal(100_000_000)]
    assert market.live_prices.doubt(KRW_BTC) is not None


@pytest.mark.parametrize("close", [Decimal(75_000_000), Decimal(76_000_000)])
async def test_a_crash_that_the_newest_candle_confirms_is_stored_in_the_same_pass(
    close: Decimal,
) -> None:
    market = Market()
    await market.collect()

    market.clock.pass_time(10)
    market.exchange.set_price(75_000_000)
    market.rows.append(
        a_candle(opened_at=T0 + MINUTE, open=close, high=close, low=close, close=close)
    )
    await market.collect()

    assert market.prices == [Decimal(100_000_000), Decimal(75_000_000)]


async def test_a_last_trade_three_days_ago_is_stored_as_such_and_doubted() -> None:
    market = Market()
    market.rows.clear()
    old = T0 - timedelta(days=3)
    market.stream(traded_at=old)

    await market.collect()

    ((_, ticker),) = market.stored.tickers
    assert ticker.traded_at == old
    assert market.live_prices.doubt(KRW_BTC) is PriceDoubt.STALE


async def test_an_answer_of_rest_that_is_older_than_the_streams_last_word_is_not_stored() -> None:
    market = Market()
    newest = market.stream(price=Decimal(100_500_000))
    market.clock.pass_time(11)
    old = a_ticker(traded_at=newest.traded_at - timedelta(seconds=30))

    async def cached(_: object) -> tuple[Ticker, ...]:
        return (old,)

    market.exchange.tickers = cached  # type: ignore[method-assign,assignment]  # a cache answers
    await market.collect()

    assert market.prices == [Decimal(100_500_000)]
