"""Histories about prices: one seed, one history; and a limit that does not hold is noticed."""

import random
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from service.domain.orders import ExitRule, Order, OrderType, Side
from service.sandbox.market.prints import Prints, step_at
from service.sandbox.market.ticks import UNITS
from tests.builders import KRW_BTC, T0, an_intent, an_order
from tests.simulation.crash import BEFORE, CRASH, candles, prints
from tests.simulation.paths import MOVES, PricePath, drawn
from tests.simulation.price_history import PriceHistory, run
from tests.simulation.price_switches import PRICE_SWITCHES
from tests.simulation.priced import LIES, Quotation, Quote, Spell
from tests.simulation.runs import lived

PAGE = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
FIRST = step_at(T0)


# --- the paths -----------------------------------------------------------------------------------


def test_a_path_shows_its_prices_step_by_step_and_keeps_the_last() -> None:
    path = PricePath([100 * UNITS, 90 * UNITS, 95 * UNITS], first=FIRST)
    market = Prints(path)

    shown = [market.newest(FIRST + step).price // UNITS for step in (-500, -1, 0, 1, 2, 3, 9999)]
    assert shown == [100, 100, 100, 90, 95, 95, 95]
    assert path.between(FIRST, FIRST + 1) == [100 * UNITS, 90 * UNITS]
    assert path.between(FIRST + 2, FIRST + 7) == [95 * UNITS]


def test_every_kind_of_move_is_drawn_and_no_price_is_off_the_tick_or_gone() -> None:
    rng, seen = random.Random(1), set[str]()
    for _ in range(30):
        prices, moves = drawn(rng, KRW_BTC, steps=60)
        seen |= moves.keys()
        assert min(prices) > 0

    assert seen == MOVES.keys()


def test_the_crash_loses_a_third_within_half_an_hour() -> None:
    file = candles(CRASH, calm_minutes=2)

    path = prints(file, KRW_BTC)

    assert len(path) == 6 * len(file)
    assert path[0] == BEFORE * UNITS
    assert 0.65 < min(path) / path[0] < 0.7


def test_every_lie_is_far_from_the_truth_or_old() -> None:
    truth = Quote(price=Decimal(100), low=Decimal(99), high=Decimal(101), traded_at=T0)

    for lie in LIES.values():
        said = lie(truth)
        far = abs(said.price / truth.price - 1) >= Decimal("0.2")
        assert far or said.traded_at < T0 - timedelta(days=1)


# --- the oracle ----------------------------------------------------------------------------------


@pytest.fixture
def history() -> Iterator[PriceHistory]:
    history = PriceHistory(1)
    history.world.settings |= history._limits() | {
        "max_position_pct": "20",
        "max_exposure_pct": "60",
        "max_order_krw": "15000000",
        "max_daily_order_krw": "30000000",
        "max_slippage_pct": "0.3",
        "stop_loss_pct": "5",
    }
    yield history
    history.world.loop.close()


def a_purchase(history: PriceHistory, *, cost: int, at: str = "1") -> Order:
    """Return an entry that offers `at` times the price."""
    price = history.oracle.truth.price(KRW_BTC, 0) * Decimal(at)
    volume = Decimal(cost) / price
    intent = an_intent(type=OrderType.LIMIT, price=price, volume=volume, funds=None)
    return an_order(intent=intent, decision_id=1)


@pytest.mark.parametrize(
    ("cost", "at", "said"),
    [
        (14_000_000, "1", []),
        (15_100_000, "1", ["max_order_krw"]),
        (20_200_000, "1", ["max_position_pct", "max_order_krw"]),
        (1_000_000, "1.05", ["offers"]),
    ],
)
def test_an_entry_past_a_limit_breaks_the_history(
    history: PriceHistory, cost: int, at: str, said: list[str]
) -> None:
    history.oracle.leaves(a_purchase(history, cost=cost, at=at))

    assert len(history.world.violations) == len(said)
    for part, sentence in zip(said, history.world.violations, strict=True):
        assert part in sentence


def bought(history: PriceHistory, funds: int) -> None:
    fields = {"market": str(KRW_BTC), "side": "bid", "ord_type": "price", "price": str(funds)}
    history.site.engine.place(fields | {"identifier": "uat-0"}, history.site.now())


def a_sale(history: PriceHistory, volume: Decimal, rule: ExitRule | None) -> Order:
    intent = an_intent(side=Side.SELL, volume=volume, funds=None)
    return an_order(intent=intent, rule=rule)


def test_a_rule_that_sells_without_a_true_price_at_its_limit_breaks_the_history(
    history: PriceHistory,
) -> None:
    bought(history, 1_000_000)
    held = history.oracle.truth.holding(KRW_BTC)
    assert held is not None

    history.oracle.leaves(a_sale(history, held.volume, None))
    fine = list(history.world.violations)
    history.oracle.leaves(a_sale(history, held.volume, ExitRule.STOP_LOSS))
    history.oracle.leaves(a_sale(history, held.volume * 2, None))

    assert fine == []
    assert "no true price" in history.world.violations[0]
    assert "are held" in history.world.violations[1]


def test_a_lie_is_told_one_way_and_for_its_time_only(history: PriceHistory) -> None:
    site = history.site
    truth = site.quote(KRW_BTC, Quotation.REST)
    site.spells = [
        Spell(since=0, until=1, way=Quotation.STREAM, market=KRW_BTC, lie="a tenth"),
    ]

    lied = site.quote(KRW_BTC, Quotation.STREAM)
    assert truth is not None
    assert lied is not None
    assert lied.price * 10 == truth.price
    assert site.quote(KRW_BTC, Quotation.REST) == truth


# --- the histories -------------------------------------------------------------------------------


def test_a_seed_gives_the_same_history_about_prices_every_time() -> None:
    first, second = ([run(seed, tracing=True) for seed in range(2)] for _ in range(2))

    assert [outcome.trace for outcome in first] == [outcome.trace for outcome in second]
    assert sum(outcome.orders for outcome in first) > 0


def test_some_histories_about_prices_keep_every_limit() -> None:
    tally = lived(range(6), live=run)

    assert tally.broken == {}
    assert tally.acts["bought"] > 0


def test_the_page_lists_every_switch_of_the_prices() -> None:
    listed = re.findall(
        r"`([^`]+)`", PAGE.partition("## Histories about prices")[2].partition("Its sw")[2]
    )

    assert set(PRICE_SWITCHES) <= set(listed)
