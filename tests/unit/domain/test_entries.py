"""A signal's purchase is a limit order that never rests on the book; its sale is a market order."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.markets import BestPrices
from service.domain.orders import Intent, OrderType
from service.domain.risk.decide import decide, decide_by_hand
from service.domain.risk.verdicts import Allowed, Refused
from service.domain.signals import Action
from service.domain.trading_states import OrderSource
from tests.builders import (
    KRW_BTC,
    a_balance,
    a_position,
    a_proposal,
    a_situation,
    an_intent,
    some_limits,
    some_rules,
)

TICKS = tuple(
    (Decimal(least), Decimal(tick))
    for least, tick in ((0, "0.1"), (100, "1"), (5_000, "5"), (10_000, "10"), (1_000_000, "1000"))
)


def entry(
    *, ask: Decimal, price: Decimal | None = None, slippage: str = "0.5", **facts: Any
) -> Allowed | Refused:
    last = ask if price is None else price
    rules = some_rules(ticks=TICKS, tick_size=tick_of(last))
    now = a_situation(
        price=last,
        best=BestPrices(market=KRW_BTC, bid=ask - 1, ask=ask),
        rules=rules,
        **facts,
    )
    verdict = decide(a_proposal(), now, some_limits(max_slippage_pct=Decimal(slippage)))
    assert isinstance(verdict, Allowed | Refused)
    return verdict


def tick_of(price: Decimal) -> Decimal:
    return next(tick for least, tick in reversed(TICKS) if price >= least)


def intent_of(verdict: Allowed | Refused) -> Intent:
    assert isinstance(verdict, Allowed), verdict
    return verdict.intent


@pytest.mark.parametrize(
    ("ask", "slippage", "limit"),
    [
        ("100000000", "0.5", "100500000"),
        ("100000000", "0", "100000000"),
        ("1003", "0.5", "1008"),  # 1008.015
        ("9990", "0.5", "10030"),  # 10039.95: the next band has a tick of its own
        ("99.9", "0.5", "100"),  # 100.3995
        ("4990", "0", "4990"),
    ],
)
def test_the_limit_is_the_best_price_and_the_slippage_rounded_down_to_the_tick(
    ask: str, slippage: str, limit: str
) -> None:
    intent = intent_of(entry(ask=Decimal(ask), slippage=slippage))

    assert (intent.type, intent.price, intent.funds) == (OrderType.LIMIT_IOC, Decimal(limit), None)


@given(
    ask=st.integers(10, 3_000_000).map(Decimal),
    slippage=st.integers(0, 1_000).map(lambda n: Decimal(n) / 100),
)
def test_no_entry_pays_more_than_the_slippage_or_asks_less_than_the_best_price(
    ask: Decimal, slippage: Decimal
) -> None:
    ask = ask // tick_of(ask) * tick_of(ask) or Decimal(10)

    intent = intent_of(entry(ask=ask, slippage=str(slippage)))

    assert intent.price is not None
    assert intent.volume is not None
    assert ask <= intent.price <= ask * (1 + slippage / 100)
    assert intent.price % tick_of(intent.price) == 0
    assert intent.volume % Decimal("1E-8") == 0
    assert intent.most_funds <= 200_000, "2 % of the money, also where the whole limit is paid"


def test_more_slippage_never_buys_more_coins() -> None:
    volumes = [
        intent_of(entry(ask=Decimal(100_000_000), slippage=slippage)).volume or 0
        for slippage in ("0", "0.5", "1", "10")
    ]

    assert volumes == sorted(volumes, reverse=True)


@pytest.mark.parametrize(("ask", "is_allowed"), [("110000", True), ("110010", False)])
def test_a_best_price_far_from_the_last_price_is_none(ask: str, is_allowed: bool) -> None:
    """A book of a few absurd offers: the limit would follow them."""
    verdict = entry(ask=Decimal(ask), price=Decimal(100_000))

    assert isinstance(verdict, Allowed) is is_allowed
    if isinstance(verdict, Refused):
        assert (verdict.reason, verdict.limit, verdict.actual) == ("price", "10000", "10010")


def test_without_an_order_book_nothing_is_bought() -> None:
    verdict = decide(a_proposal(), a_situation(best=None), some_limits())

    assert isinstance(verdict, Refused)
    assert verdict.reason == "price"


def test_a_best_price_off_the_tick_that_no_limit_reaches_is_refused() -> None:
    verdict = entry(ask=Decimal(100000001), slippage="0")

    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.limit) == ("tick", "100000001")


def test_a_sale_takes_whatever_the_book_offers() -> None:
    held = {"position": a_position(volume=Decimal(1)), "base": a_balance("BTC", 1), "best": None}

    verdict = decide(a_proposal(action=Action.SELL), a_situation(**held), some_limits())

    assert isinstance(verdict, Allowed)
    assert (verdict.intent.type, verdict.intent.price) == (OrderType.MARKET, None)


def test_a_purchase_by_hand_needs_no_order_book_and_stays_what_it_was() -> None:
    asked = an_intent()

    verdict = decide_by_hand(asked, a_situation(best=None, source=OrderSource.HAND), some_limits())

    assert isinstance(verdict, Allowed)
    assert verdict.intent is asked


@pytest.mark.parametrize(("price", "rule"), [("90000500", "tick"), ("90000000", None)])
def test_a_limit_by_hand_off_the_tick_is_refused(price: str, rule: str | None) -> None:
    asked = an_intent(
        type=OrderType.LIMIT, funds=None, price=Decimal(price), volume=Decimal("0.001")
    )

    verdict = decide_by_hand(asked, a_situation(source=OrderSource.HAND), some_limits())

    assert (verdict.reason if isinstance(verdict, Refused) else None) == rule


@given(money=st.integers(5_000, 5_020))
def test_an_entry_is_never_below_the_exchanges_minimum_after_its_volume_is_rounded(
    money: int,
) -> None:
    verdict = decide(
        a_proposal(),
        # One step of volume is worth 3 KRW. The position beside it could be sold at the stop.
        a_situation(
            price=Decimal(300_000_000),
            quote=a_balance("KRW", money),
            position=a_position(volume=Decimal("0.001")),
            base=a_balance("BTC", "0.001"),
        ),
        some_limits(
            position_size_min_pct=Decimal(100),
            position_size_max_pct=Decimal(100),
            max_position_pct=Decimal(100),
        ),
    )

    if isinstance(verdict, Allowed):
        assert verdict.intent.most_funds >= 5_000
