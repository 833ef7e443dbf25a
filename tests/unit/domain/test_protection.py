from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.orders import ExitRule, Side
from service.domain.positions import Position
from service.domain.protection import (
    ExitLimits,
    ExitSettings,
    Protection,
    booked,
    distance_pct,
    stop_price,
)
from tests.builders import KRW_BTC, T0, a_fill, some_rules

D: Final = Decimal
PRICES: Final = st.decimals(D("0.0001"), D(1_000_000_000), places=4)
PCTS: Final = st.decimals(D("0.1"), D(50), places=1)


def a_protection(average: Decimal | int = 100, highest: Decimal | None = None) -> Protection:
    position = Position(market=KRW_BTC, volume=D(2), cost=2 * D(average), opened_at=T0)
    return Protection.of(position, highest=highest)


def settings(
    stop: Decimal | int = 5, gain: Decimal | None = None, trailing: Decimal | None = None
) -> ExitSettings:
    return ExitSettings(stop_loss_pct=D(stop), take_profit_pct=gain, trailing_stop_pct=trailing)


@pytest.mark.parametrize(
    ("price", "rule"),
    [
        ("95.0001", None),
        ("95", ExitRule.STOP_LOSS),
        ("1", ExitRule.STOP_LOSS),
        ("119.9999", None),
        ("120", ExitRule.TAKE_PROFIT),
    ],
)
def test_the_stop_and_the_gain_sell_at_their_price_and_beyond(
    price: str, rule: ExitRule | None
) -> None:
    limits = a_protection().limits(settings(5, gain=D(20)))

    found = limits.breach(D(price))

    assert (found.rule if found else None) is rule


def test_the_trailing_stop_sells_below_the_highest_price_and_names_its_limit() -> None:
    limits = a_protection(highest=D(200)).limits(settings(5, trailing=D(10)))

    found = limits.breach(D(180))

    assert found is not None
    assert (found.rule, found.price, found.limit) == (ExitRule.TRAILING_STOP, D(180), D(180))
    assert limits.stop == D(180)
    assert limits.breach(D("180.01")) is None


def test_of_two_rules_that_a_price_reaches_the_stop_loss_is_named() -> None:
    limits = a_protection(highest=D(200)).limits(settings(5, trailing=D(10)))

    found = limits.breach(D(95))

    assert found is not None
    assert found.rule is ExitRule.STOP_LOSS


def test_without_a_rule_no_price_reaches_it() -> None:
    limits = a_protection(highest=D(1_000)).limits(settings(50))

    assert (limits.trailing_stop, limits.take_profit) == (None, None)
    assert limits.breach(D(1_000_000)) is None


@given(prices=st.lists(PRICES, min_size=1), pct=PCTS)
def test_the_trailing_stop_never_falls(prices: list[Decimal], pct: Decimal) -> None:
    protection = a_protection(prices[0])
    stops = []
    for price in prices:
        protection = protection.seen(price)
        stops.append(protection.limits(settings(trailing=pct)).trailing_stop or D(0))

    assert stops == sorted(stops)
    assert stops[-1] == stop_price(max(prices), pct)


@given(average=PRICES, high=PRICES, one=PCTS, other=PCTS, price=PRICES)
def test_a_tighter_setting_never_sells_later(
    average: Decimal, high: Decimal, one: Decimal, other: Decimal, price: Decimal
) -> None:
    tight, wide = sorted((one, other))
    protection = a_protection(average, high)
    for wider, tighter in (
        (settings(wide), settings(tight)),
        (settings(50, trailing=wide), settings(50, trailing=tight)),
        (settings(50, gain=wide), settings(50, gain=tight)),
    ):
        if protection.limits(wider).breach(price) is not None:
            assert protection.limits(tighter).breach(price) is not None


@given(average=PRICES, price=PRICES, pct=PCTS)
def test_a_loss_of_the_limit_is_never_left_alone_and_a_smaller_one_never_sold(
    average: Decimal, price: Decimal, pct: Decimal
) -> None:
    protection = a_protection(average)
    paid = protection.position.average_price
    assert paid is not None

    found = protection.limits(settings(pct)).breach(price)

    assert (found is not None) == ((paid - price) * 100 >= pct * paid)


@given(
    average=PRICES,
    high=PRICES,
    pct=PCTS,
    tick=st.sampled_from([D("0.0001"), D("0.01"), D(1), D(5), D(1000)]),
    steps=st.integers(1, 1_000_000),
)
def test_on_the_tick_the_same_prices_sell(
    average: Decimal, high: Decimal, pct: Decimal, tick: Decimal, steps: int
) -> None:
    rules = some_rules(tick_size=tick)
    exact = a_protection(average, high).limits(settings(pct, gain=pct, trailing=pct))
    price = tick * steps

    on_tick = exact.on_tick(rules)

    assert _rule(exact, price) is _rule(on_tick, price)
    for limit in (on_tick.stop_loss, on_tick.trailing_stop, on_tick.take_profit):
        assert limit is not None
        assert limit % tick == 0


def _rule(limits: ExitLimits, price: Decimal) -> ExitRule | None:
    found = limits.breach(price)
    return None if found is None else found.rule


def test_a_purchase_keeps_the_highest_price_and_moves_the_stop() -> None:
    before = a_protection(highest=D(150))
    more = booked(before.position, Side.BUY, a_fill(volume=D(2), funds=D(160), fee=D(0)))

    after = before.moved_to(more)

    assert after is not None
    assert after.highest == D(150)
    assert after.limits(settings(10)).stop_loss == D(81)


def test_a_position_that_is_sold_has_no_protection_and_a_new_one_begins_anew() -> None:
    before = a_protection(highest=D(150))
    sold = booked(before.position, Side.SELL, a_fill(volume=D(2), funds=D(200)))
    later = replace(before.position, opened_at=T0 + timedelta(hours=1))

    assert before.moved_to(sold) is None
    anew = before.moved_to(later)
    assert anew is not None
    assert anew.highest == D(100)


def test_a_sale_of_more_than_is_held_ends_the_position() -> None:
    sold = booked(a_protection().position, Side.SELL, a_fill(volume=D(3), funds=D(300)))

    assert (sold.volume, sold.opened_at) == (D(0), None)


def test_without_coins_there_is_nothing_to_protect() -> None:
    with pytest.raises(ValueError, match="no position"):
        Protection.of(Position(market=KRW_BTC))


def test_the_distance_is_what_the_price_must_fall() -> None:
    assert distance_pct(D(95), price=D(100)) == D(5)
    assert distance_pct(D(95), price=D(95)) == 0
    assert distance_pct(D(95), price=D(90)) < 0
