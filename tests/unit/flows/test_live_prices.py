"""One place judges every word about a price; a lie does not get past it, a real crash does."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import ExchangeUnavailable
from service.domain.markets import Market, Ticker
from service.domain.prices import LivePrice, PriceDoubt, PriceSource
from tests.builders import KRW_BTC, T0, a_ticker, some_live_prices
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.logs import Logs
from tests.fakes.market_data import FakeMarketData

STREAM, REST = PriceSource.STREAM, PriceSource.REST
KRW_ETH = Market("KRW", "ETH")


class Feed:
    """A market's words, each about a trade of its own moment."""

    def __init__(self, **settings: str | int) -> None:
        self.clock = FakeClock(at=T0)
        self.prices = some_live_prices(self.clock, **settings)
        self.told: list[Decimal] = []
        self.prices.subscribe(lambda price: self.told.append(price.price))

    def hear(
        self, price: int | str, *, source: PriceSource = STREAM, after_s: float = 0, **rest: object
    ) -> LivePrice | None:
        self.clock.pass_time(after_s)
        return self.prices.hear(self.ticker(price, **rest), source=source)

    def ticker(self, price: int | str, **rest: object) -> Ticker:
        value = Decimal(price)
        day: dict[str, object] = {
            "low": min(value, Decimal(50)), "high": max(value, Decimal(150)),
            "traded_at": self.clock.now(),
        }  # fmt: skip
        return a_ticker(price=value, **day | rest)

    def doubt(self) -> PriceDoubt | None:
        return self.prices.doubt(KRW_BTC)


def test_a_price_is_kept_with_its_age_and_told_to_every_subscriber() -> None:
    feed = Feed()
    assert feed.doubt() is PriceDoubt.NOT_HEARD
    assert feed.prices.age_s(KRW_BTC) is None

    heard = feed.hear(100)
    feed.clock.pass_time(7)

    assert heard == feed.prices.latest(KRW_BTC)
    assert feed.prices.age_s(KRW_BTC) == 7
    assert feed.doubt() is None
    assert feed.told == [100]
    assert feed.prices.latest(KRW_ETH) is None


@pytest.mark.parametrize("price", [1, 49, 151])
def test_a_price_outside_its_own_low_and_high_is_none_whatever_repeats_it(price: int) -> None:
    feed = Feed()
    feed.hear(100)

    for source in (STREAM, REST, STREAM):
        assert (
            feed.hear(price, source=source, after_s=3, low=Decimal(50), high=Decimal(150)) is None
        )

    assert feed.doubt() is PriceDoubt.OUTSIDE_LOW_HIGH
    assert feed.told == [100]
    assert feed.prices.refused == {PriceDoubt.OUTSIDE_LOW_HIGH: 3}


def test_a_jump_is_refused_warned_about_once_and_forgotten_by_the_next_sane_price(
    logs: Logs,
) -> None:
    feed = Feed()
    feed.hear(100)

    assert feed.hear(80) is None
    assert feed.hear(80, after_s=1) is None
    assert feed.doubt() is PriceDoubt.JUMP
    assert feed.hear(101) is not None

    assert feed.doubt() is None
    assert feed.told == [100, 101]
    assert feed.prices.unconfirmed() == ()
    assert [line["level"] for line in logs.lines] == ["WARNING", "INFO"]


def test_a_crash_on_the_stream_is_believed_once_rest_says_the_same() -> None:
    feed = Feed()
    feed.hear(100)
    feed.hear(80)

    assert feed.prices.unconfirmed() == (KRW_BTC,)
    assert feed.hear(79, source=REST) is not None

    assert feed.told == [100, 79]
    assert feed.doubt() is None


def test_a_crash_is_believed_once_the_next_candle_says_the_same() -> None:
    feed = Feed()
    feed.hear(100, source=REST)
    feed.hear(80, source=REST)

    feed.prices.anchor(KRW_BTC, Decimal(78))

    assert feed.told == [100, 80]
    assert feed.doubt() is None


def test_a_crash_is_believed_without_rest_after_three_trades_over_five_seconds() -> None:
    feed = Feed()
    feed.hear(100)

    heard = [feed.hear(80 - n, after_s=2.5) for n in range(3)]

    assert [price is not None for price in heard] == [False, False, True]
    assert feed.told == [100, 78]


def test_a_lie_on_the_stream_that_rest_contradicts_never_becomes_a_row() -> None:
    feed = Feed()
    feed.hear(100)

    for _ in range(20):
        feed.hear(80, after_s=1)
        feed.hear(100, source=REST)

    assert set(feed.told) == {100}


def test_a_lie_of_the_ticker_that_the_candles_contradict_never_becomes_a_price() -> None:
    """Regression: a ticker at one per cent of all candles led to orders."""
    feed = Feed()
    feed.prices.anchor(KRW_BTC, Decimal(100))

    for _ in range(20):
        feed.hear(1, source=REST, after_s=10, low=Decimal("0.5"), high=Decimal(2))
        feed.prices.anchor(KRW_BTC, Decimal(100))

    assert feed.told == []
    assert feed.doubt() is PriceDoubt.JUMP


def test_the_very_first_price_is_doubted_once_the_candles_contradict_it() -> None:
    feed = Feed()
    feed.hear(1)
    assert feed.doubt() is None

    feed.prices.anchor(KRW_BTC, Decimal(100))
    assert feed.doubt() is PriceDoubt.JUMP
    feed.hear(1, after_s=1)
    assert feed.doubt() is PriceDoubt.JUMP
    feed.hear(99, after_s=1)

    assert feed.doubt() is None
    assert feed.told == [1, 1, 99]


def test_steps_that_are_each_small_are_doubted_once_the_candle_stays_behind() -> None:
    feed = Feed()
    feed.prices.anchor(KRW_BTC, Decimal(100))
    for price in (95, 87, 80):
        feed.hear(price)
    assert feed.doubt() is None

    feed.prices.anchor(KRW_BTC, Decimal(100))

    assert feed.doubt() is PriceDoubt.JUMP


def test_rest_that_lags_behind_the_stream_contradicts_no_crash() -> None:
    feed = Feed()
    feed.hear(100)
    feed.hear(80, after_s=2)

    feed.hear(99, source=REST, traded_at=feed.clock.now() - timedelta(seconds=1))
    assert feed.doubt() is PriceDoubt.JUMP
    feed.hear(80, source=REST, after_s=0.1)

    assert feed.told == [100, 99, 80]
    assert feed.doubt() is None


def test_a_word_about_an_older_trade_changes_nothing() -> None:
    feed = Feed()
    newest = feed.hear(100, after_s=5)

    again = feed.hear(105, source=REST, traded_at=T0)

    assert again is newest
    assert feed.told == [100]


def test_a_trade_of_the_year_9999_does_not_make_all_others_old() -> None:
    feed = Feed()
    feed.hear(100, traded_at=datetime(9999, 1, 1, tzinfo=UTC))

    feed.hear(101, after_s=1)

    assert feed.told == [100, 101]


def test_prices_come_in_after_our_clock_was_set_back() -> None:
    feed = Feed()
    feed.hear(100)

    feed.hear(101, after_s=-3600)

    assert feed.told == [100, 101]


def test_a_last_trade_beyond_its_age_is_told_and_doubted() -> None:
    """Regression: a last trade three days old led to an order. A stop still hears it."""
    feed = Feed()

    heard = feed.hear(100, traded_at=T0 - timedelta(days=3))

    assert heard is not None
    assert feed.doubt() is PriceDoubt.STALE
    assert feed.told == [100]


def test_a_price_grows_stale_by_itself() -> None:
    feed = Feed()
    feed.hear(100)

    feed.clock.pass_time(30)
    assert feed.doubt() is None
    feed.clock.pass_time(1)

    assert feed.doubt() is PriceDoubt.STALE


async def test_limits_are_those_of_the_settings_once_they_are_read() -> None:
    feed = Feed(max_price_age_seconds=60, max_price_jump_pct="30")
    feed.hear(100)

    await feed.prices.refresh()
    feed.hear(75)
    feed.clock.pass_time(60)

    assert feed.told == [100, 75]
    assert feed.doubt() is None


async def test_the_newest_stored_price_is_what_the_first_word_is_measured_from() -> None:
    feed, stored = Feed(), FakeMarketData()
    await stored.add_tickers([feed.ticker(100)], at=T0)

    await feed.prices.anchor_stored([KRW_BTC], stored)

    assert feed.hear(10) is None
    assert feed.hear(95) is not None


async def test_a_position_has_its_newest_stored_price_as_an_anchor_however_old_that_is() -> None:
    feed, stored = Feed(), FakeMarketData()
    await stored.add_tickers([feed.ticker(90)], at=T0 - timedelta(days=400))
    await stored.add_tickers([feed.ticker(100)], at=T0 - timedelta(days=100))

    await feed.prices.anchor_held({KRW_BTC: Decimal(10)}, stored)

    assert feed.hear(10) is None
    assert feed.hear(95) is not None


async def test_a_position_has_its_average_price_as_an_anchor_where_nothing_is_stored() -> None:
    feed = Feed()

    await feed.prices.anchor_held({KRW_BTC: Decimal(100)}, FakeMarketData())
    lie = feed.hear(10)
    crash = [feed.hear(70), feed.hear(70, source=REST)]

    assert lie is None
    assert [price is not None for price in crash] == [False, True]


async def test_an_anchor_that_is_known_stays() -> None:
    feed, stored = Feed(), FakeMarketData()
    await stored.add_tickers([feed.ticker(10)], at=T0)
    feed.prices.anchor(KRW_BTC, Decimal(100))

    await feed.prices.anchor_held({KRW_BTC: Decimal(10)}, stored)

    assert feed.hear(10) is None


async def test_a_first_price_that_was_believed_without_an_anchor_is_a_jump_once_there_is_one() -> (
    None
):
    asked: list[bool] = []
    feed = Feed()
    feed.prices._on_jump = lambda: asked.append(True)
    feed.hear(10)

    await feed.prices.anchor_held({KRW_BTC: Decimal(100)}, FakeMarketData())
    doubt, latest = feed.doubt(), feed.prices.latest(KRW_BTC)
    again, by_rest = feed.hear(10), feed.hear(10, source=REST)

    assert (doubt, latest) == (PriceDoubt.JUMP, None)
    assert asked == [True]
    assert (again is None, by_rest is None) == (True, False)


async def test_a_first_price_that_the_first_anchor_is_near_to_stays() -> None:
    feed = Feed()
    feed.hear(95)

    await feed.prices.anchor_held({KRW_BTC: Decimal(100)}, FakeMarketData())

    assert feed.doubt() is None
    assert feed.hear(94) is not None


async def test_a_jump_asks_rest_and_nothing_else_does() -> None:
    class Counted(FakeExchange):
        asked: list[Sequence[Market]] = []  # noqa: RUF012 - of this test's one instance

        async def tickers(self, markets: Sequence[Market]) -> tuple[Ticker, ...]:
            self.asked.append(tuple(markets))
            raise ExchangeUnavailable("no answer")

    feed, exchange = Feed(), Counted()
    feed.hear(100)
    await feed.prices.confirm(exchange)
    assert exchange.asked == []

    feed.hear(80)
    with pytest.raises(ExchangeUnavailable):
        await feed.prices.confirm(exchange)

    assert exchange.asked == [(KRW_BTC,)]
    assert feed.prices.unconfirmed() == (KRW_BTC,)


def test_a_bug_of_one_subscriber_keeps_no_price_from_the_others(logs: Logs) -> None:
    feed = Feed()
    later: list[LivePrice] = []

    def broken(_: LivePrice) -> None:
        raise ZeroDivisionError

    feed.prices.subscribe(broken)
    feed.prices.subscribe(later.append)
    feed.hear(100)

    assert len(later) == 1
    assert "a subscriber failed on a price" in [line["message"] for line in logs.lines]


WORDS = st.tuples(
    st.integers(1, 1000), st.sampled_from([STREAM, REST]), st.floats(0, 40), st.booleans()
)


@given(words=st.lists(WORDS, max_size=30))
def test_a_price_far_from_the_one_before_was_never_told_by_one_word_alone(
    words: list[tuple[int, PriceSource, float, bool]],
) -> None:
    """Whatever comes: two words, or a word and a candle, stand behind each big step."""
    feed = Feed()
    said: list[Decimal] = []
    for price, source, after_s, is_candle in words:
        value = Decimal(price)
        if is_candle:
            feed.prices.anchor(KRW_BTC, value)
        else:
            before = feed.prices.latest(KRW_BTC)
            told = len(feed.told)
            feed.hear(price, source=source, after_s=after_s)
            if len(feed.told) > told and before is not None:
                near = [v for v in [*said, before.price] if abs(value - v) * 10 <= v]
                assert near, "nothing said before is near"
        said.append(value)


@given(
    price=st.integers(1, 10**9), low=st.integers(1, 10**9), high=st.integers(1, 10**9),
    source=st.sampled_from([STREAM, REST]),
)  # fmt: skip
def test_no_price_outside_its_own_day_is_ever_told(
    price: int, low: int, high: int, source: PriceSource
) -> None:
    feed = Feed()

    feed.hear(price, source=source, low=Decimal(low), high=Decimal(high))

    assert bool(feed.told) is (low <= price <= high)
