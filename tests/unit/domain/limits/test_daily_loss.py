"""The day's loss: never more than the limit unnoticed, never counted from a deposit."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from service.domain.limits.daily_loss import DailyLoss, DayStart

D = Decimal
_MILLION: Final = D(1_000_000)
_FIVE: Final = D(5)
money = st.decimals(min_value=0, max_value=10**10, places=2)
signed = st.decimals(min_value=-(10**9), max_value=10**9, places=2)
limits = st.decimals(min_value="0.1", max_value=100, places=4)


def a_day(*, equity: Decimal = _MILLION, **values: Decimal) -> DayStart:
    given: dict[str, Any] = {"pnl": D(0), **values}
    return DayStart(quote="KRW", day=date(2026, 1, 24), equity=equity, **given)


def a_loss(
    amount: Decimal,
    *,
    start: DayStart | None = None,
    limit_pct: Decimal = _FIVE,
    excused: Decimal | None = None,
) -> DailyLoss:
    begun = start or a_day()
    return DailyLoss(start=begun, pnl=begun.pnl - amount, limit_pct=limit_pct, excused=excused)


@given(equity=money, pnl=signed, now=signed, limit=limits)
def test_the_limit_is_reached_by_its_share_of_the_equity_and_by_no_less(
    equity: Decimal, pnl: Decimal, now: Decimal, limit: Decimal
) -> None:
    lost = DailyLoss(start=a_day(equity=equity, pnl=pnl), pnl=now, limit_pct=limit)
    exact = Fraction(pnl) - Fraction(now)

    reached = exact > 0 and exact >= Fraction(equity) * Fraction(limit) / 100

    assert lost.is_reached is reached


@given(amount=signed, thresholds=st.tuples(limits, limits))
def test_a_higher_limit_halts_no_earlier(
    amount: Decimal, thresholds: tuple[Decimal, Decimal]
) -> None:
    lower, higher = sorted(thresholds)

    if a_loss(amount, limit_pct=higher).is_reached:
        assert a_loss(amount, limit_pct=lower).is_reached


@given(amount=signed, further=money)
def test_a_larger_loss_never_ends_the_halt(amount: Decimal, further: Decimal) -> None:
    if a_loss(amount).is_reached:
        assert a_loss(amount + further).is_reached


@given(amount=signed)
def test_what_is_reached_was_near_before(amount: Decimal) -> None:
    if a_loss(amount).is_reached:
        assert a_loss(amount).is_near


def test_the_alert_is_at_80_percent_of_the_limit() -> None:
    assert a_loss(D(40_000)).is_near
    assert not a_loss(D("39999.99")).is_near
    assert not a_loss(D(40_000)).is_reached
    assert a_loss(D(50_000)).is_reached


@given(equity=money, deposited=signed, amount=signed)
def test_a_deposit_or_withdrawal_is_no_loss_and_never_lowers_what_the_limit_is_a_share_of(
    equity: Decimal, deposited: Decimal, amount: Decimal
) -> None:
    moved = a_loss(amount, start=a_day(equity=equity, deposited=deposited))
    unmoved = a_loss(amount, start=a_day(equity=equity))

    assert moved.loss == unmoved.loss
    assert moved.limit >= unmoved.limit
    if deposited <= equity:
        assert moved.limit == unmoved.limit


def test_on_the_day_on_which_the_money_came_it_counts() -> None:
    begun = a_day(equity=D(12), deposited=D(1_000_000))

    assert not a_loss(D(25), start=begun).is_reached
    assert a_loss(D("50000.60"), start=begun).is_reached


def test_a_day_that_began_with_nothing_bears_no_loss() -> None:
    begun = a_day(equity=D(0))

    assert a_loss(D("0.01"), start=begun).is_reached
    assert not a_loss(D(0), start=begun).is_reached
    assert a_loss(D(1), start=begun).used_pct is None


def test_after_a_resume_a_fifth_of_the_limit_more_halts_again() -> None:
    excused = D(70_000)

    assert not a_loss(D(70_000), excused=excused).is_reached
    assert not a_loss(D("79999.99"), excused=excused).is_reached
    assert a_loss(D(80_000), excused=excused).is_reached


def test_a_limit_that_was_raised_since_counts_after_a_resume_too() -> None:
    assert not a_loss(D(99_000), limit_pct=D(10), excused=D(50_000)).is_reached
    assert a_loss(D(100_000), limit_pct=D(10), excused=D(50_000)).is_reached


def test_used_and_left_add_up_to_the_limit() -> None:
    lost = a_loss(D(12_345))

    assert (lost.used_pct, lost.left_pct) == (D("1.2345"), D("3.7655"))
    assert a_loss(D(-5)).used_pct == 0
    assert a_loss(D(99_999)).left_pct == 0
