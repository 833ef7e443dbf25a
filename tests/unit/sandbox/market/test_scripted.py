"""Prices written into a market: what has been shown stays, what comes is what was written."""

from hypothesis import given
from hypothesis import strategies as st

from service.domain.markets import Market
from service.sandbox.market.generator import PriceGenerator
from service.sandbox.market.prints import DAY_STEPS, Print, Prints
from service.sandbox.market.scripted import ScriptedPrints
from service.sandbox.market.ticks import UNITS
from tests.unit.sandbox.makers import DAY, Written

BEGIN = DAY * DAY_STEPS
KRW_BTC = Market("KRW", "BTC")
HUNDRED, ONE = 100 * UNITS, UNITS
SEEDED = Prints(PriceGenerator(7, KRW_BTC))


def a_market(*prices: int) -> ScriptedPrints:
    return ScriptedPrints(Written(prices or range(100, 120)))


def prices_in(prints: Prints, first: int, last: int) -> list[int]:
    found = prints.between(after=BEGIN + first - 1, until=BEGIN + last)
    return [each.price // UNITS for each in found]


def test_a_path_is_printed_a_step_a_price_and_the_last_one_stays() -> None:
    prints = a_market()

    prints.script([500 * UNITS, 400 * UNITS], after=BEGIN + 4, holds=True)

    assert prices_in(prints, 3, 8) == [103, 104, 500, 400, 400, 400]
    assert prints.newest(BEGIN + 10 * DAY_STEPS).price == 400 * UNITS


def test_after_a_path_that_does_not_hold_the_market_goes_on() -> None:
    prints = a_market()

    prints.script([500 * UNITS], after=BEGIN + 4, holds=False)

    assert prices_in(prints, 4, 7) == [104, 500, 106, 107]


def test_a_step_without_a_price_is_no_trade() -> None:
    prints = a_market()

    prints.script([None, None, HUNDRED], after=BEGIN + 4, holds=False)

    assert prices_in(prints, 4, 8) == [104, 100, 108]
    assert prints.newest(BEGIN + 6) == Print(BEGIN + 4, 104 * UNITS, ONE)
    assert prints.bar(BEGIN + 5, 2, now=BEGIN + 10) is None


def test_a_new_script_replaces_what_was_to_come_and_an_empty_one_frees_the_market() -> None:
    prints = a_market()
    prints.script([HUNDRED], after=BEGIN + 4, holds=True)

    prints.script([300 * UNITS], after=BEGIN + 6, holds=True)
    prints.script([], after=BEGIN + 8, holds=True)

    assert prices_in(prints, 4, 10) == [104, 100, 100, 300, 300, 109, 110]


def test_a_day_that_was_read_before_is_read_anew() -> None:
    prints = a_market()
    before = prints.bar(BEGIN, 5, now=BEGIN + 9)

    prints.script([HUNDRED * 9], after=BEGIN + 9, holds=True)

    assert prints.bar(BEGIN, 5, now=BEGIN + 20) == before
    bar = prints.bar(BEGIN + 10, 5, now=BEGIN + 20)
    assert bar is not None
    assert (bar.open, bar.high, bar.low, bar.close) == (900 * UNITS,) * 4
    assert bar.volume > 0
    assert bar.funds == bar.volume * 900 * UNITS


def test_a_market_that_has_ended_prints_as_long_as_it_is_scripted() -> None:
    prints = a_market(100, 101)
    end = BEGIN + 1
    ends = [prints.last_step]

    prints.script([HUNDRED, HUNDRED], after=end + 5, holds=True)
    ends.append(prints.last_step)
    prints.script([], after=end + 20, holds=False)

    assert [*ends, prints.last_step] == [end, None, end + 20]
    assert prints.newest(end + 100).step == end + 20


def test_a_scripted_day_closes_at_its_last_price() -> None:
    prints = a_market()

    prints.script([HUNDRED * 7], after=BEGIN + 4, holds=True)

    assert prints.close(DAY) == prints.close(DAY + 3) == 700 * UNITS


@given(
    after=st.integers(0, DAY_STEPS),
    prices=st.lists(st.none() | st.integers(1, 10**18), max_size=5),
    holds=st.booleans(),
)
def test_nothing_up_to_the_script_ever_changes(
    after: int, prices: list[int | None], holds: bool
) -> None:
    free = Prints(PriceGenerator(7, KRW_BTC))
    prints = ScriptedPrints(PriceGenerator(7, KRW_BTC))
    shown = prints.newest(BEGIN + after)

    prints.script(prices, after=BEGIN + after, holds=holds)

    assert prints.newest(BEGIN + after) == shown
    begin, until = BEGIN + after - 50, BEGIN + after
    assert list(prints.between(after=begin, until=until)) == list(
        free.between(after=begin, until=until)
    )
    written = [price for price in prices if price is not None]
    later = prints.between(after=until, until=until + len(prices))
    assert [each.price for each in later] == written


@given(
    first=st.integers(0, DAY_STEPS - 1),
    width=st.integers(1, DAY_STEPS),
    now=st.integers(0, DAY_STEPS - 1),
)
def test_an_unfinished_interval_adds_up_its_own_prints(first: int, width: int, now: int) -> None:
    """Whatever hours of it were cached."""
    width = min(width, DAY_STEPS - first)
    last = min(now, first + width - 1)
    inside = list(SEEDED.between(after=BEGIN + first - 1, until=BEGIN + last))

    bar = SEEDED.bar(BEGIN + first, width, now=BEGIN + now)

    if not inside or now < first:
        assert bar is None
        return
    assert bar is not None
    prices = [each.price for each in inside]
    assert (bar.first_step, bar.last_step) == (BEGIN + first, inside[-1].step)
    assert (bar.open, bar.close, bar.high, bar.low) == (
        prices[0],
        prices[-1],
        max(prices),
        min(prices),
    )
    assert bar.volume == sum(each.volume for each in inside)
    assert bar.funds == sum(each.price * each.volume for each in inside)
