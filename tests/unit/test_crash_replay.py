"""A crash, replayed through the real flows on virtual time: what is held is sold within the bound.

Prices of candles reach `LivePrices`, protection decides, the order goes the way of every order, and
the exchange's book has gaps. The bound follows from the true prices alone.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.crash import CRASH
from tests.simulation.crash_history import AWAY, Crash, CrashHistory

#: Seconds from a price at the stop to the sale, where nothing is away: a jump is confirmed first.
AT_ONCE_S = 15.0
#: And once what was away is back: the longest wait between two attempts, and the lease.
RECOVERED_S = 60.0
ASKED_AFTER_S = 15.0  #: REST, once the stream is silent
LEVELS = 30  #: of the sandbox's book

_falls = st.lists(st.floats(0.92, 0.999), min_size=5, max_size=14)
_rises = st.lists(st.floats(1.0, 1.03), min_size=3, max_size=8)


def closes(falls: Sequence[float], rises: Sequence[float]) -> Sequence[float]:
    """Return what the price is worth at the end of each minute; it falls by 15 % at least."""
    ratios = [0.95, *falls, 0.9, *rises]
    return list(accumulate(ratios, lambda price, ratio: price * ratio, initial=1.0))


def lived(crash: Crash) -> CrashHistory:
    history = CrashHistory(crash)
    outcome = history.run()
    assert outcome.violations == []
    return history


def bound(history: CrashHistory, within_s: float) -> Decimal:
    """Return the least that a sale within so many seconds of the stop may bring."""
    since = history.breached_at()
    lowest = history.lowest(since=since, until=since + within_s)
    slippage = Decimal(str(history.crash.gap)) * LEVELS + Decimal("0.001")
    return lowest * (1 - slippage)


@given(
    falls=_falls,
    rises=_rises,
    stop=st.sampled_from(["1", "3", "5", "10"]),
    gap=st.sampled_from([0.0, 0.0005, 0.002]),
)
@settings(max_examples=4)  # each is minutes of the whole service, and slow under coverage
@pytest.mark.timeout(400)
def test_a_fall_ends_within_the_bound_of_the_stop(
    falls: Sequence[float], rises: Sequence[float], stop: str, gap: float
) -> None:
    history = lived(Crash(closes=closes(falls, rises), stop_loss_pct=stop, gap=gap))

    assert history.sold_at is not None
    assert history.sold_at >= bound(history, AT_ONCE_S)


@pytest.mark.parametrize(
    ("away", "away_s"),
    [
        *(((part,), 600.0) for part in AWAY),
        (AWAY, 400.0),
        (AWAY, 600.0),
    ],
)
def test_the_crash_of_december_is_sold_within_the_bound_or_told_with_parts_away(
    away: Sequence[str], away_s: float
) -> None:
    """Parts are away from a minute before the crash until the price has fallen through the stop."""
    history = lived(Crash(closes=CRASH, away=frozenset(away), away_s=away_s))

    assert history.sold_at is not None
    is_at_once = history.sold_at >= bound(history, AT_ONCE_S + ASKED_AFTER_S)
    assert is_at_once or history.told, "it is sold late, and no alert said so"
    assert history.sold_at >= bound(history, away_s + RECOVERED_S)
    assert is_at_once or set(away) - {"stream"}, "without the stream REST tells the prices"
