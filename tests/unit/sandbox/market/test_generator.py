"""The generated market is a function of seed, market and instant, and all its views agree."""

import math
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import stdev

import pytest

from service.domain.markets import Market
from service.sandbox.market.generator import PriceGenerator
from service.sandbox.market.prints import DAY_STEPS, MINUTE_STEPS, Bar, Prints, instant_of, step_at
from service.sandbox.market.ticks import tick_units
from service.sandbox.upbit_api.quotes import Quotes

KRW_BTC, KRW_XRP, KRW_RARE = (Market("KRW", base) for base in ("BTC", "XRP", "RARE"))
TODAY = step_at(datetime(2026, 11, 22, tzinfo=UTC)) // DAY_STEPS
END = (TODAY + 1) * DAY_STEPS


def bars(prints: Prints, width: int, *, day: int = TODAY) -> list[Bar]:
    first = day * DAY_STEPS
    found = (prints.bar(at, width, now=END) for at in range(first, first + DAY_STEPS, width))
    return [bar for bar in found if bar is not None]


def test_the_same_seed_is_the_same_market_in_another_process() -> None:
    code = (
        "from service.domain.markets import Market\n"
        "from service.sandbox.market.generator import PriceGenerator\n"
        f"day = PriceGenerator(7, Market('KRW', 'BTC')).day({TODAY})\n"
        "print(list(day.prices[:50]), list(day.volumes[:50]))\n"
    )
    root = Path(__file__).parents[4]
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )

    day = PriceGenerator(7, KRW_BTC).day(TODAY)

    assert other.stdout.strip() == f"{list(day.prices[:50])} {list(day.volumes[:50])}"


def test_the_order_of_questions_changes_nothing() -> None:
    forwards, backwards = PriceGenerator(7, KRW_XRP), PriceGenerator(7, KRW_XRP)
    days = range(TODAY - 3, TODAY + 3)

    ahead = [forwards.day(day) for day in days]
    behind = [backwards.day(day) for day in reversed(days)]

    assert ahead == behind[::-1]


def test_other_seeds_and_other_markets_are_other_walks() -> None:
    day = PriceGenerator(7, KRW_BTC).day(TODAY)

    assert day != PriceGenerator(8, KRW_BTC).day(TODAY)
    assert day != PriceGenerator(7, KRW_XRP).day(TODAY)


@pytest.mark.parametrize("market", [KRW_BTC, KRW_XRP, KRW_RARE])
@pytest.mark.parametrize("minutes", [3, 15, 60, 240, 1440])
def test_a_long_candle_is_exactly_its_minutes_added_up(market: Market, minutes: int) -> None:
    prints = Prints(PriceGenerator(7, market))
    short = bars(prints, MINUTE_STEPS)

    for long in bars(prints, minutes * MINUTE_STEPS):
        end = long.first_step + minutes * MINUTE_STEPS
        inside = [bar for bar in short if long.first_step <= bar.first_step < end]
        assert long.open == inside[0].open
        assert long.close == inside[-1].close
        assert long.high == max(bar.high for bar in inside)
        assert long.low == min(bar.low for bar in inside)
        assert long.volume == sum(bar.volume for bar in inside)
        assert long.funds == sum(bar.funds for bar in inside)
        assert long.low * long.volume <= long.funds <= long.high * long.volume


def test_prices_stand_on_the_tick() -> None:
    for market in (KRW_BTC, KRW_XRP, KRW_RARE):
        day = PriceGenerator(7, market).day(TODAY)

        assert all(price % tick_units(price) == 0 for price in day.prices)


def test_days_join_without_a_jump() -> None:
    generator = PriceGenerator(7, KRW_BTC)

    for day in range(TODAY - 600, TODAY, 50):
        last, first = generator.log_prices(day)[-1], generator.log_prices(day + 1)[0]
        assert abs(last - first) < 0.01


def test_a_day_moves_about_as_much_as_the_real_one() -> None:
    generator = PriceGenerator(7, KRW_BTC)
    levels = [generator.level(day) for day in range(TODAY - 730, TODAY)]

    daily = stdev(b - a for a, b in pairwise(levels))

    assert 0.018 < daily < 0.035
    assert all(0.4 <= generator.regime(day) <= 2.5 for day in range(TODAY - 730, TODAY))
    assert all(30_000_000 < math.exp(level) < 600_000_000 for level in levels)


def test_bitcoin_always_trades_and_a_small_coin_does_not() -> None:
    busy, quiet = Prints(PriceGenerator(7, KRW_BTC)), Prints(PriceGenerator(7, KRW_RARE))

    assert len(bars(busy, MINUTE_STEPS)) == 1440
    assert len(bars(quiet, MINUTE_STEPS)) < 1400


def test_a_running_candle_knows_nothing_of_the_future() -> None:
    prints = Prints(PriceGenerator(7, KRW_BTC))
    first = TODAY * DAY_STEPS

    half = prints.bar(first, DAY_STEPS, now=first + 100)

    assert half is not None
    assert half.last_step == first + 100
    assert half.close == prints.newest(first + 100).price
    assert prints.bar(first, DAY_STEPS, now=END) != half


def test_a_page_of_candles_is_newest_first_and_ends_before_to() -> None:
    quotes = Quotes(KRW_BTC, Prints(PriceGenerator(7, KRW_BTC)))
    midnight = TODAY * DAY_STEPS

    page = [
        bar
        for bar in quotes.candles(width=MINUTE_STEPS, count=3, before=midnight, now=END)
        if bar is not None
    ]

    starts = [instant_of(bar.first_step).strftime("%H:%M") for bar in page]
    assert starts == ["23:59", "23:58", "23:57"]


def test_the_ticker_agrees_with_the_candles() -> None:
    prints = Prints(PriceGenerator(7, KRW_BTC))
    now = TODAY * DAY_STEPS + 4321
    day = prints.bar(TODAY * DAY_STEPS, DAY_STEPS, now=now)
    assert day is not None

    ticker = Quotes(KRW_BTC, prints).ticker(instant_of(now))

    assert ticker["trade_price"] == day.close / 10**8
    assert ticker["high_price"] == day.high / 10**8
    assert ticker["acc_trade_volume"] == day.volume / 10**8
    assert ticker["prev_closing_price"] == prints.newest(TODAY * DAY_STEPS - 1).price / 10**8
