from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.markets import whole_steps
from service.domain.orders import Intent, OrderType, Side
from service.domain.risk.decide import decide, decide_by_hand
from service.domain.risk.facts import Limits, Situation
from service.domain.risk.size_rules import size_ratio
from service.domain.risk.verdicts import Allowed, Held, Refused
from service.domain.signals import Action
from service.domain.trading_states import OrderSource, TradingStatus
from tests.builders import (
    a_balance,
    a_position,
    a_proposal,
    a_situation,
    an_intent,
    some_limits,
    some_rules,
)

HELD = {"volume": Decimal("0.05"), "cost": Decimal(5_000_000)}
A_SALE = {"position": a_position(**HELD), "base": a_balance("BTC", "0.05")}


def test_holding_makes_no_order() -> None:
    assert isinstance(decide(a_proposal(action=Action.HOLD), a_situation(), some_limits()), Held)


def test_a_buy_spends_what_its_confidence_is_worth() -> None:
    verdict = decide(a_proposal(confidence=Decimal("0.7")), a_situation(), some_limits())

    assert isinstance(verdict, Allowed)
    assert verdict.intent.type is OrderType.LIMIT_IOC
    assert verdict.intent.most_funds == Decimal(200_000)  # 2 % of 10,000,000


def test_the_rules_are_stored_in_the_order_of_the_contract() -> None:
    verdict = decide(a_proposal(), a_situation(), some_limits())

    assert [check.rule for check in verdict.checks] == [
        "trading_enabled",
        "delisting",
        "market_warning",
        "daily_loss_limit",
        "volatility",
        "price",
        "signal_age",
        "confidence",
        "open_order",
        "order_rate",
        "position_size",
        "max_position",
        "max_exposure",
        "max_order",
        "max_daily_order",
        "balance",
        "min_order",
        "sellable_at_stop",
        "tick",
    ]


def test_a_sale_gives_the_whole_position_and_no_coin_of_the_operators_own() -> None:
    now = a_situation(position=a_position(**HELD), base=a_balance("BTC", "1"))

    verdict = decide(a_proposal(action=Action.SELL), now, some_limits())

    assert isinstance(verdict, Allowed)
    assert verdict.intent.side is Side.SELL
    assert verdict.intent.volume == HELD["volume"]


SELL = {"action": Action.SELL}


def test_a_signal_may_sell_while_only_purchases_are_halted() -> None:
    now = a_situation(**A_SALE, status=TradingStatus.REDUCING, halted="volatility")

    assert isinstance(decide(a_proposal(**SELL), now, some_limits()), Allowed)


@pytest.mark.parametrize(
    ("source", "passes"),
    [
        (OrderSource.SIGNAL, False),
        (OrderSource.RULE, True),
        (OrderSource.HAND, True),
        (OrderSource.FLATTEN, True),
    ],
)
def test_with_trading_switched_off_only_signals_may_not_sell(
    source: OrderSource, passes: bool
) -> None:
    verdict = decide(
        a_proposal(**SELL),
        a_situation(**A_SALE, source=source),
        some_limits(trading_enabled=False),
    )

    assert isinstance(verdict, Allowed) is passes


@pytest.mark.parametrize(
    ("source", "passes"),
    [
        (OrderSource.SIGNAL, False),
        (OrderSource.RULE, False),
        (OrderSource.HAND, False),
        (OrderSource.FLATTEN, True),
    ],
)
def test_a_full_halt_refuses_every_sale_but_the_flattening_one(
    source: OrderSource, passes: bool
) -> None:
    now = a_situation(**A_SALE, source=source, status=TradingStatus.HALTED, halted="by hand")

    assert isinstance(decide(a_proposal(**SELL), now, some_limits()), Allowed) is passes


def bought(situation: dict[str, Any], **limits: Any) -> Decimal:
    """Return the money of the purchase that the surest signal gets."""
    surest = a_proposal(confidence=Decimal(1))
    verdict = decide(surest, a_situation(**situation), some_limits(**limits))
    assert isinstance(verdict, Allowed), verdict
    return verdict.intent.most_funds


def test_the_surest_signal_buys_for_the_largest_size_and_no_more() -> None:
    assert bought({"quote": a_balance("KRW", 10_000_000)}) == Decimal(300_000)  # 3 %


@pytest.mark.parametrize("held", ["0", "0.0233"])
def test_a_purchase_is_cut_to_the_room_that_all_coins_leave(held: str) -> None:
    """The operator's own coins too: 2,330,000 of 12,330,000 are 18.9 %, and 20 % are 2,466,000."""
    situation = {"base": a_balance("BTC", "0.0233"), "position": a_position(volume=Decimal(held))}

    assert bought(situation, max_position_pct=Decimal(20)) == Decimal(136_000)


def test_a_purchase_leaves_its_fee_over() -> None:
    money = a_balance("KRW", 100_050, locked=9_899_950)

    whole = {"position_size_max_pct": Decimal(100), "max_position_pct": Decimal(100)}

    assert bought({"quote": money}, **whole) == Decimal(100_000)  # and 50 for the exchange


def test_a_purchase_is_cut_to_the_exchanges_largest_order() -> None:
    assert bought({"quote": a_balance("KRW", 10**12)}) == some_rules().max_funds


@pytest.mark.parametrize(
    ("reason", "proposal", "situation", "limits"),
    [
        ("trading_enabled", {}, {}, {"trading_enabled": False}),
        ("trading_enabled", {}, {"status": TradingStatus.REDUCING, "halted": "volatility"}, {}),
        ("trading_enabled", {}, {"status": TradingStatus.HALTED, "halted": "by hand"}, {}),
        ("trading_enabled", {}, {"rules": some_rules(active=False)}, {}),
        ("signal_age", {}, {"signal_age_s": 301}, {}),
        ("confidence", {"confidence": Decimal("0.59")}, {}, {}),
        ("open_order", {}, {"open_orders": 1}, {}),
        ("order_rate", {}, {"orders_last_hour": 12}, {}),
        ("position_size", {"action": Action.SELL}, {}, {}),
        ("max_position", {}, {"base": a_balance("BTC", "0.05")}, {}),
        (
            "balance",
            {},
            {"quote": a_balance("KRW", 0, locked=10_000_000), "elsewhere": Decimal(5_000_000)},
            {"max_position_pct": Decimal(100)},
        ),
        (
            "balance",
            {"action": Action.SELL},
            {**A_SALE, "base": a_balance("BTC", 0, locked="0.05")},
            {},
        ),
        ("min_order", {}, {"quote": a_balance("KRW", 100_000)}, {}),
        (
            "min_order",
            {"action": Action.SELL},
            {"position": a_position(volume=Decimal("0.00001")), "base": a_balance("BTC", 1)},
            {},
        ),
    ],
)
def test_each_rule_refuses_in_its_own_name(
    reason: str, proposal: dict[str, Any], situation: dict[str, Any], limits: dict[str, Any]
) -> None:
    verdict = decide(a_proposal(**proposal), a_situation(**situation), some_limits(**limits))

    assert isinstance(verdict, Refused)
    assert verdict.reason == reason
    assert [check.passed for check in verdict.checks][-1] is False
    assert all(check.passed for check in verdict.checks[:-1])


def test_a_refusal_names_no_balance() -> None:
    poor = a_situation(quote=a_balance("KRW", 4_321, locked=9_876_543))

    verdict = decide(a_proposal(), poor, some_limits())

    sentences = " ".join(check.detail for check in verdict.checks)
    assert "4321" not in sentences
    assert "9876543" not in sentences


confidences = st.decimals(min_value=0, max_value=1, places=4)
#: Sure enough for an order: the other rules are looked at.
sure = st.integers(min_value=6_000, max_value=10_000).map(lambda n: Decimal(n) / 10_000)
krw = st.integers(min_value=0, max_value=10**12).map(Decimal)
shares = st.integers(min_value=0, max_value=3_000).map(lambda n: Decimal(n) / 10_000)
percent = st.integers(min_value=10, max_value=10_000).map(lambda n: Decimal(n) / 100)


@settings(max_examples=500)
@given(
    action=st.sampled_from([Action.BUY, Action.BUY, Action.SELL]),
    confidence=sure,
    quote=st.tuples(krw, krw),
    # As a share of the money, so that the limits are met from below and from above.
    base=st.tuples(shares, shares),
    held=shares,
    price=st.integers(min_value=1, max_value=300_000).map(lambda n: Decimal(n * 1000)),
    low=percent,
    high=percent,
    cap=percent,
)
def test_no_order_ever_passes_a_limit(  # noqa: PLR0917 - one name for each thing that varies
    action: Action,
    confidence: Decimal,
    quote: tuple[Decimal, Decimal],
    base: tuple[Decimal, Decimal],
    held: Decimal,
    price: Decimal,
    low: Decimal,
    high: Decimal,
    cap: Decimal,
) -> None:
    limits = some_limits(
        position_size_min_pct=min(low, high), position_size_max_pct=high, max_position_pct=cap
    )
    free, locked, own = (
        whole_steps(sum(quote) * share / price) for share in (base[0], base[1], held)
    )
    now = a_situation(
        price=price,
        quote=a_balance("KRW", str(quote[0]), locked=quote[1]),
        base=a_balance("BTC", str(free), locked=locked),
        position=a_position(volume=own),
    )

    verdict = decide(a_proposal(action=action, confidence=confidence), now, limits)

    if isinstance(verdict, Allowed):
        assert_within(verdict, now, limits)


def assert_within(verdict: Allowed, now: Situation, limits: Limits) -> None:
    intent, rules = verdict.intent, now.rules
    if intent.side is Side.BUY:
        funds = intent.most_funds
        fee = funds * rules.fee_ratio
        assert rules.min_funds <= funds <= rules.max_funds
        assert funds + fee <= now.quote.available
        assert funds <= now.capital * limits.position_size_max_pct / 100
        after = now.base.total * now.price + funds
        assert after <= now.capital * limits.max_position_pct / 100
    else:
        assert intent.volume is not None
        assert intent.volume <= min(now.position.volume, now.base.available)
        assert rules.min_funds <= intent.volume * now.price + now.price * Decimal("1E-8")


@given(a=confidences, b=confidences)
def test_more_confidence_never_buys_less(a: Decimal, b: Decimal) -> None:
    limits = some_limits()

    small, large = sorted((a, b))

    assert size_ratio(small, limits) <= size_ratio(large, limits)
    assert Decimal("0.01") <= size_ratio(a, limits) <= Decimal("0.03")


# --- orders by hand ------------------------------------------------------------------------------

HAND = {"source": OrderSource.HAND}


def a_sale_by_hand(volume: str, price: str | None = None) -> Intent:
    return an_intent(
        side=Side.SELL,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        price=None if price is None else Decimal(price),
        volume=Decimal(volume),
        funds=None,
    )


def a_limit_purchase(price: str, volume: str) -> Intent:
    return an_intent(type=OrderType.LIMIT, price=Decimal(price), volume=Decimal(volume), funds=None)


def test_an_order_by_hand_is_sent_as_asked_for_without_confidence_and_age() -> None:
    now = a_situation(signal_age_s=1e9, **HAND)
    intent = an_intent(funds=Decimal("123456.5"))

    verdict = decide_by_hand(intent, now, some_limits(min_confidence=Decimal(1)))

    assert isinstance(verdict, Allowed)
    assert verdict.intent is intent
    assert [check.rule for check in verdict.checks] == [
        "trading_enabled",
        "delisting",
        "market_warning",
        "daily_loss_limit",
        "volatility",
        "price",
        "open_order",
        "order_rate",
        "position_size",
        "max_position",
        "max_exposure",
        "max_order",
        "max_daily_order",
        "balance",
        "min_order",
        "sellable_at_stop",
        "tick",
    ]


@pytest.mark.parametrize(
    ("intent", "now", "limits", "rule", "bound"),
    [
        (an_intent(), {}, {"trading_enabled": False}, "trading_enabled", ("ACTIVE", "DISABLED")),
        (an_intent(), {"status": TradingStatus.REDUCING}, {}, "trading_enabled",
         ("ACTIVE", "REDUCING")),
        (a_sale_by_hand("0.05"), A_SALE | {"status": TradingStatus.HALTED}, {}, "trading_enabled",
         ("ACTIVE", "HALTED")),
        (an_intent(), {"rules": some_rules(active=False)}, {}, "trading_enabled",
         ("ACTIVE", "SUSPENDED")),
        (an_intent(), {"open_orders": 1}, {}, "open_order", ("0", "1")),
        (an_intent(), {"orders_last_hour": 13}, {"max_orders_per_hour": 12}, "order_rate",
         ("12", "13")),
        (a_sale_by_hand("0.06"), A_SALE | {"base": a_balance("BTC", "1")}, {}, "position_size",
         ("0.05", "0.06")),
        (an_intent(funds=Decimal(2_000_001)), {}, {}, "max_position", ("2000000", "2000001")),
        (a_limit_purchase("100000000", "0.0200001"), {}, {}, "max_position",
         ("2000000", "2000010")),
        (
            an_intent(funds=Decimal(1_999_999)),
            {"quote": a_balance("KRW", "2000000")},
            {"max_position_pct": Decimal(100)},
            "balance",
            ("1999000", "1999999"),
        ),
        (an_intent(), {"quote": a_balance("KRW", "0", locked=10_000_000)},
         {"max_position_pct": Decimal(200)}, "balance", ("0", "100000")),
        (a_sale_by_hand("0.05"), A_SALE | {"base": a_balance("BTC", "0.04")}, {}, "balance",
         ("0.04", "0.05")),
        (an_intent(funds=Decimal(4_999)), {}, {}, "min_order", ("5000", "4999")),
        (a_limit_purchase("1000", "4.999"), {}, {}, "min_order", ("5000", "4999")),
        (a_sale_by_hand("0.00004"), A_SALE, {}, "min_order", ("5000", "4000")),
        (a_sale_by_hand("0.05", price="99999"), A_SALE, {}, "min_order", ("5000", "4999.95")),
        (an_intent(funds=Decimal(50_001)), {"rules": some_rules(max_funds=Decimal(50_000))}, {},
         "min_order", ("50000", "50001")),
        (a_sale_by_hand("0.05"), A_SALE | {"rules": some_rules(max_funds=Decimal(50_000))}, {},
         "min_order", ("50000", "5000000")),
    ],
)  # fmt: skip
def test_each_rule_refuses_an_order_by_hand_in_its_own_name(
    intent: Intent,
    now: dict[str, Any],
    limits: dict[str, Any],
    rule: str,
    bound: tuple[str, str],
) -> None:
    verdict = decide_by_hand(intent, a_situation(**HAND | now), some_limits(**limits))

    assert isinstance(verdict, Refused)
    assert verdict.reason == rule
    assert (verdict.limit, verdict.actual) == bound
    assert not any(character.isdigit() for character in verdict.detail) or rule in {
        "open_order", "order_rate", "min_order", "max_position",
    }, "a sentence is shown and logged: no balance stands in it"  # fmt: skip


@pytest.mark.parametrize("status", [TradingStatus.REDUCING, TradingStatus.ACTIVE])
@pytest.mark.parametrize("trading_enabled", [True, False])
def test_a_sale_by_hand_is_allowed_while_purchases_are_not(
    status: TradingStatus, trading_enabled: bool
) -> None:
    now = a_situation(**HAND | A_SALE | {"status": status})

    verdict = decide_by_hand(
        a_sale_by_hand("0.05"), now, some_limits(trading_enabled=trading_enabled)
    )

    assert isinstance(verdict, Allowed)


@given(
    funds=st.decimals("0.01", "3000000", places=2),
    money=st.integers(0, 3_000_000),
    most_pct=st.integers(1, 100),
)
def test_a_purchase_by_hand_is_whole_or_not_at_all(
    funds: Decimal, money: int, most_pct: int
) -> None:
    now = a_situation(quote=a_balance("KRW", str(money)), **HAND)

    verdict = decide_by_hand(
        an_intent(funds=funds), now, some_limits(max_position_pct=Decimal(most_pct))
    )

    if isinstance(verdict, Allowed):
        assert verdict.intent.funds == funds
        assert funds * (1 + now.rules.fee_ratio) <= money
        assert funds <= now.capital * most_pct / 100
