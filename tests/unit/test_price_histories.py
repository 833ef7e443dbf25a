"""Histories about prices: one seed, one history; and a limit that does not hold is noticed."""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest

from service.domain.markets import Market
from service.domain.orders import ExitRule, Order, OrderType, Side
from service.sandbox.market.prints import Prints, step_at
from service.sandbox.market.ticks import UNITS
from tests.builders import KRW_BTC, T0, an_intent, an_order
from tests.simulation.crash import BEFORE, CRASH, candles, prints
from tests.simulation.loss_bound import LossBound
from tests.simulation.paths import MOVES, PricePath, drawn
from tests.simulation.price_history import PriceHistory, run
from tests.simulation.price_switches import PRICE_SWITCHES
from tests.simulation.priced import LIES, PricedSite, Quotation, Quote, Spell
from tests.simulation.runs import lived
from tests.simulation.truth import Truth

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


# --- what a day may lose --------------------------------------------------------------------------


class ScriptedSite(PricedSite):
    """Prices of ten seconds each, in per cent of 100 million KRW; no gaps in the book."""

    percents: ClassVar[Sequence[int]]

    def begin(self, rng: random.Random) -> datetime:
        return T0

    def draw(self, rng: random.Random, market: Market) -> tuple[Sequence[int], Counter[str]]:
        return [1_000_000 * UNITS * percent for percent in self.percents], Counter()


class Day:
    """One day of an account whose limit is 500,000 KRW and whose stop is 5 %.

    Attributes:
        bought_until, healthy: as the bound asks for them.
    """

    def __init__(self, *percents: int) -> None:
        self.at = 0.0
        site = type("Site", (ScriptedSite,), {"percents": percents})
        self.site = site(lambda: 0.0, random.Random(1))
        self.site.depth.gap = 0.0
        self.truth = Truth(self.site)
        self.left: dict[str, float] = {}
        self.healthy = True
        self.bought_until: float | None = None
        self.bound = LossBound(
            truth=self.truth,
            stop=lambda average: average * Decimal("0.95"),
            sells_s=15,
            left_at=self.left.__getitem__,
        )

    def trade(self, **fields: str) -> None:
        name = f"uat-{len(self.left)}"
        self.left[name] = self.at
        asked = {"market": str(KRW_BTC), "identifier": name} | fields
        self.site.engine.place(asked, self.site.origin + timedelta(seconds=self.at))

    def buy(self, funds: int) -> None:
        self.trade(side="bid", ord_type="price", price=str(funds))

    def sell(self) -> None:
        holding = self.truth.holding(KRW_BTC)
        assert holding is not None
        self.trade(side="ask", ord_type="market", volume=str(holding.volume))

    def live(self, seconds: float) -> list[str]:
        """Let time pass, with a look every other second; return what was said."""
        until, said = self.at + seconds, list[str]()
        while self.at < until:
            self.at += 2
            said += self.bound.look(
                self.at,
                limit=Decimal(500_000),
                bought_until=self.bought_until,
                is_healthy=lambda _: self.healthy,
            )
        return said


def test_a_day_may_lose_what_lies_down_to_the_stop_and_what_a_gap_takes() -> None:
    day = Day(100, 96, 96, 80, 80)
    day.buy(20_000_000)

    assert day.live(32) == []  # 4 % of 20 million are past the limit, and then a gap to 80 %
    day.sell()
    assert day.live(20) == []


def test_a_position_that_is_not_sold_at_its_stop_loses_more_than_a_day_may() -> None:
    day = Day(100, 96, 90, 90, 90, 90, 70)
    day.buy(20_000_000)

    assert day.live(58) == []
    (said,) = day.live(30)
    assert "the day has lost" in said


def test_where_nothing_can_be_sold_a_fall_is_no_loss_against_the_sum() -> None:
    day = Day(100, 96, 90, 90, 90, 90, 70)
    day.healthy = False
    day.buy(20_000_000)

    assert day.live(90) == []


@pytest.mark.parametrize(("bought_until", "broken"), [(30.0, 0), (10.0, 1)])
def test_what_is_bought_after_the_limit_is_against_the_sum(
    bought_until: float, broken: int
) -> None:
    day = Day(100, 96, 96, 92, 92)
    day.buy(20_000_000)
    assert day.live(14) == []
    day.bought_until = bought_until
    day.sell()

    day.buy(20_000_000)

    assert len(day.live(40)) == broken


def test_a_loss_that_came_back_before_it_must_have_been_seen_is_none() -> None:
    day = Day(100, 96, 100, 100, 96, 96)
    day.buy(20_000_000)
    assert day.live(24) == []

    day.buy(5_000_000)

    assert day.live(40) == []


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
