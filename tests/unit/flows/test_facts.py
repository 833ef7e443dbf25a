"""What the model is told is true, in a market without trades for hours as well."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from service.domain.markets import Candle, Timeframe
from service.flows.prompt import Snapshot, facts
from tests.builders import KRW_BTC, T0, a_candle, a_position, a_ticker

QUARTER = timedelta(minutes=15)


def a_series(*, hours_ago: Sequence[float], price: int = 100, spread: int = 0) -> list[Candle]:
    """Return quarter-hours that opened so long before T0, each at the same price."""
    prices = {
        "open": Decimal(price),
        "close": Decimal(price),
        "high": Decimal(price + spread),
        "low": Decimal(price - spread),
    }
    return [
        a_candle(timeframe=Timeframe.M15, opened_at=T0 - timedelta(hours=hours), **prices)
        for hours in hours_ago
    ]


def shown(mid: Sequence[Candle], *, price: int = 110) -> dict[str, str]:
    return facts(
        Snapshot(
            market=KRW_BTC,
            at=T0,
            ticker=a_ticker(price=Decimal(price)),
            position=a_position(),
            short=(),
            mid=mid,
            long=(),
        )
    )


def test_a_days_change_is_against_the_price_of_a_day_ago_and_not_of_the_oldest_candle() -> None:
    old = a_series(hours_ago=(80, 40), price=50)
    before_the_gap = a_series(hours_ago=(30,), price=100)
    after_it = a_series(hours_ago=(3, 2, 1), price=105)

    assert shown([*old, *before_the_gap, *after_it])["change_24h_pct"] == "10.00"


def test_a_days_high_and_low_are_of_no_older_candle() -> None:
    older = a_series(hours_ago=(40, 24.25), price=100, spread=90)
    within = a_series(hours_ago=(24, 3), price=100, spread=5)

    day = shown([*older, *within], price=101)

    assert (day["high_24h"], day["low_24h"]) == ("105", "95")


def test_the_price_itself_is_within_the_days_high_and_low() -> None:
    candles = a_series(hours_ago=(3,), price=100, spread=5)

    assert shown([], price=100)["high_24h"] == "100"
    assert shown(candles, price=120)["high_24h"] == "120"
    assert shown(candles, price=80)["low_24h"] == "80"


def test_a_whole_day_of_candles_is_measured_from_its_first_open() -> None:
    day = a_series(hours_ago=[n / 4 for n in range(95, -1, -1)], price=100)

    assert shown(day)["change_24h_pct"] == "10.00"
    assert shown([])["change_24h_pct"] == "none"


def test_a_younger_market_is_measured_from_its_first_price() -> None:
    assert shown(a_series(hours_ago=(2, 1), price=55))["change_24h_pct"] == "100.00"
