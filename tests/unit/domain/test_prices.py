"""Which jump of a price is confirmed."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.prices import Jump, LivePrice, PriceLimits, PriceSource, is_near, is_stale
from tests.builders import KRW_BTC, T0

LIMITS = PriceLimits(max_age=timedelta(seconds=30), max_jump_pct=Decimal(10))
PRICES = st.decimals("0.00000001", "1e12", allow_nan=False, places=8)
PERCENTS = st.decimals("0.1", "50", allow_nan=False, places=1)


def a_price(price: int | str | Decimal = 80, *, after_s: float = 0, **rest: object) -> LivePrice:
    at = T0 + timedelta(seconds=after_s)
    values: dict[str, object] = {
        "market": KRW_BTC, "price": Decimal(price), "traded_at": at, "heard_at": at,
        "source": PriceSource.STREAM,
    }  # fmt: skip
    return LivePrice(**values | rest)  # type: ignore[arg-type]  # overrides of each field


def a_row(*after_s: float) -> Jump:
    first, *more = (a_price(after_s=s) for s in after_s)
    jump = Jump(word=first, began_at=first.heard_at)
    for word in more:
        jump = jump.and_then(word)
    return jump


@pytest.mark.parametrize(
    ("price", "near"), [("110", True), ("110.1", False), ("90", True), ("89.9", False)]
)
def test_a_price_is_near_up_to_its_limit_and_not_beyond(price: str, near: bool) -> None:
    assert is_near(Decimal(price), Decimal(100), LIMITS) is near


@given(price=PRICES, reference=PRICES, narrow=PERCENTS, wide=PERCENTS)
def test_a_wider_limit_never_refuses_what_a_narrow_one_lets_pass(
    price: Decimal, reference: Decimal, narrow: Decimal, wide: Decimal
) -> None:
    narrow, wide = sorted((narrow, wide))
    age = timedelta(seconds=30)
    if is_near(price, reference, PriceLimits(max_age=age, max_jump_pct=narrow)):
        assert is_near(price, reference, PriceLimits(max_age=age, max_jump_pct=wide))


@given(reference=PRICES, percent=PERCENTS)
def test_a_tenth_and_a_double_of_the_price_are_near_under_no_limit(
    reference: Decimal, percent: Decimal
) -> None:
    limits = PriceLimits(max_age=timedelta(seconds=30), max_jump_pct=percent)

    assert not is_near(reference / 10, reference, limits)
    assert not is_near(reference * 2, reference, limits)


def test_the_other_source_confirms_at_once() -> None:
    assert a_row(0).is_confirmed_by(a_price(source=PriceSource.REST))


@pytest.mark.parametrize(
    ("row", "next_s", "confirmed"),
    [((0,), 6, False), ((0, 1), 4.9, False), ((0, 1), 5, True), ((0, 0), 6, False)],
)
def test_one_source_needs_three_trades_over_five_seconds(
    row: tuple[float, ...], next_s: float, confirmed: bool
) -> None:
    assert a_row(*row).is_confirmed_by(a_price(after_s=next_s)) is confirmed


def test_one_trade_that_is_told_again_and_again_stays_one() -> None:
    row = a_row(0)
    for s in range(1, 60):
        row = row.and_then(a_price(after_s=s, traded_at=T0))

    assert row.trades == 1


def test_a_word_far_from_the_row_or_long_after_it_begins_another() -> None:
    row = a_row(0)

    assert row.is_followed_by(a_price("79.9", after_s=30), LIMITS)
    assert not row.is_followed_by(a_price("60"), LIMITS)
    assert not row.is_followed_by(a_price(after_s=31), LIMITS)


@given(seconds=st.integers(0, 100))
def test_a_price_is_stale_beyond_the_age_of_its_trade(seconds: int) -> None:
    now = T0 + timedelta(seconds=seconds)

    assert is_stale(a_price(heard_at=now), now=now, limits=LIMITS) is (seconds > 30)
