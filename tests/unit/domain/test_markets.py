from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import UnknownMarket
from service.domain.markets import Market, Timeframe, whole_steps
from tests.builders import some_rules

ticks = st.sampled_from([Decimal(10) ** n for n in range(-8, 4)] + [Decimal(5), Decimal(500)])
prices = st.decimals(min_value=Decimal("0.00000001"), max_value=10**9, places=8)


def test_a_market_is_written_as_it_is_read() -> None:
    assert str(Market.parse("KRW-BTC")) == "KRW-BTC"


@pytest.mark.parametrize("code", ["", "KRW", "BTC/KRW", "krw-btc", "KRW-BTC-X", "KRW-BTC\n"])
def test_what_is_no_market_is_told_how_to_be_written(code: str) -> None:
    with pytest.raises(UnknownMarket, match="write it like KRW-BTC"):
        Market.parse(code)


def test_every_timeframe_has_a_duration() -> None:
    durations = [timeframe.duration for timeframe in Timeframe]

    assert durations == sorted(durations)
    assert durations[0].total_seconds() == 60


@given(price=prices, tick=ticks)
def test_a_price_on_the_tick_is_never_worse_than_the_one_asked(
    price: Decimal, tick: Decimal
) -> None:
    rules = some_rules(tick_size=tick)

    below, above = rules.price_on_tick(price, up=False), rules.price_on_tick(price, up=True)

    assert below <= price <= above
    assert above - below in {0, tick}
    assert rules.is_on_tick(above)


@given(prices)
def test_rounding_to_whole_steps_never_adds_a_coin(volume: Decimal) -> None:
    assert whole_steps(volume * Decimal("1.000000009")) <= volume * Decimal("1.000000009")
