"""The range of the last minutes equals brute force, and its rule is monotone in the threshold."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.limits.volatility import (
    MinuteRange,
    RecentRange,
    is_volatile,
    may_resume,
    minute_of,
    moved_pct,
)
from tests.builders import T0

D = Decimal
prices = st.decimals(min_value="0.00000001", max_value=10**9, places=8)
percentages = st.decimals(min_value="0.1", max_value=100, places=4)
#: Minutes since the last price, and the price.
paths = st.lists(st.tuples(st.integers(0, 9), prices), min_size=1, max_size=60)


def walked(path: Sequence[tuple[int, Decimal]]) -> list[tuple[int, Decimal]]:
    """Return the prices with their minutes."""
    minute, walk = 1000, []
    for step, price in path:
        minute += step
        walk.append((minute, price))
    return walk


def brute_force(walk: Sequence[tuple[int, Decimal]], *, minutes: int) -> tuple[Decimal, Decimal]:
    newest = walk[-1][0]
    seen = [price for minute, price in walk if minute >= newest - minutes]
    return min(seen), max(seen)


@given(path=paths, minutes=st.integers(1, 20))
def test_the_range_is_that_of_all_prices_of_the_window(
    path: Sequence[tuple[int, Decimal]], minutes: int
) -> None:
    recent, walk = RecentRange(minutes=minutes), walked(path)

    for count, (minute, price) in enumerate(walk, 1):
        recent.add(price, minute=minute)

        assert recent.bounds() == brute_force(walk[:count], minutes=minutes)


@given(path=paths, minutes=st.integers(1, 5))
def test_at_most_one_entry_a_minute_is_kept_of_either_kind(
    path: Sequence[tuple[int, Decimal]], minutes: int
) -> None:
    recent = RecentRange(minutes=minutes)

    for minute, price in walked(path):
        for times in range(1, 4):
            recent.add(price * times, minute=minute)

        assert len(recent) <= 2 * (minutes + 1)


@given(path=paths, cut=st.integers(0, 60), minutes=st.integers(1, 20))
def test_prices_that_were_stored_restore_the_range(
    path: Sequence[tuple[int, Decimal]], cut: int, minutes: int
) -> None:
    walk = walked(path)
    stored, heard = walk[:cut], RecentRange(minutes=minutes)
    for minute, price in walk[cut:]:
        heard.add(price, minute=minute)
    known = [MinuteRange(minute=minute, low=price, high=price) for minute, price in stored]

    restored = heard.merge(known)

    assert restored.bounds() == brute_force(walk, minutes=minutes)


def test_without_a_price_there_is_no_range() -> None:
    recent = RecentRange(minutes=5)
    recent.add(D(100), minute=10)

    recent.move_to(16)

    assert recent.bounds() is None


def test_a_price_of_an_earlier_minute_counts_to_the_newest() -> None:
    recent = RecentRange(minutes=5)
    recent.add(D(100), minute=20)

    recent.add(D(90), minute=10)

    assert recent.bounds() == (D(90), D(100))


@given(low=prices, rise=prices, threshold=percentages)
def test_volatile_is_what_moved_by_the_threshold_or_more(
    low: Decimal, rise: Decimal, threshold: Decimal
) -> None:
    high = low + rise
    exact = Fraction(rise) / Fraction(low) * 100

    assert is_volatile(low, high, threshold_pct=threshold) == (exact >= Fraction(threshold))


@given(low=prices, rise=prices, thresholds=st.tuples(percentages, percentages))
def test_a_higher_threshold_halts_no_more(
    low: Decimal, rise: Decimal, thresholds: tuple[Decimal, Decimal]
) -> None:
    lower, higher = sorted(thresholds)

    if is_volatile(low, low + rise, threshold_pct=higher):
        assert is_volatile(low, low + rise, threshold_pct=lower)


def test_a_fall_counts_in_percent_of_where_it_ended() -> None:
    assert moved_pct(D(80), D(100)) == 25
    assert is_volatile(D(97), D(100), threshold_pct=D(3))


@pytest.mark.parametrize(
    ("after", "passed", "is_calm", "resumes"),
    [
        (10, 10, True, True),
        (10, 9, True, False),
        (10, 60, False, False),
        (None, 60, True, False),
    ],
)
def test_a_halt_ends_by_itself_after_its_time_in_a_calm_market(
    after: int | None, passed: int, is_calm: bool, resumes: bool
) -> None:
    now = T0 + timedelta(minutes=passed)

    assert may_resume(halted_at=T0, now=now, after_minutes=after, is_calm=is_calm) is resumes


def test_a_minute_lasts_sixty_seconds() -> None:
    begin = T0.replace(second=0, microsecond=0)

    assert minute_of(begin + timedelta(seconds=59)) == minute_of(begin)
    assert minute_of(begin + timedelta(seconds=60)) == minute_of(begin) + 1
