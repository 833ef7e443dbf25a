"""Each limit on its own: what it refuses, what it shows, and that tightening it allows no more."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.markets import Market, whole_steps
from service.domain.orders import ZERO, OrderType, Side
from service.domain.prices import PriceDoubt
from service.domain.risk.decide import RULES, decide, decide_by_hand
from service.domain.risk.drafts import whole_money
from service.domain.risk.facts import Limits, Situation, StandingHalt
from service.domain.risk.verdicts import Allowed, Check, Refused, Verdict
from service.domain.signals import Action
from service.domain.trading_states import DAILY_LOSS, VOLATILITY, OrderSource, TradingStatus
from tests.builders import (
    a_balance,
    a_position,
    a_proposal,
    a_situation,
    an_intent,
    some_limits,
    some_rules,
)

MILLION: Final = Decimal(1_000_000)
UNTIL: Final = datetime(2026, 1, 24, 15, tzinfo=UTC)
USDT_BTC: Final = Market("USDT", "BTC")
BTC_ETH: Final = Market("BTC", "ETH")


def verdict_on(
    situation: Mapping[str, Any], limits: Mapping[str, Any] | None = None, **proposal: Any
) -> Verdict:
    return decide(
        a_proposal(**{"confidence": Decimal(1)} | proposal),
        a_situation(**situation),
        some_limits(**limits or {}),
    )


def spent(verdict: Verdict) -> Decimal:
    """Return the money of an allowed purchase, and 0 for a refused one."""
    return verdict.intent.most_funds if isinstance(verdict, Allowed) else ZERO


def check_of(verdict: Verdict, rule: str) -> Check:
    return next(check for check in verdict.checks if check.rule == rule)


@pytest.mark.parametrize(
    ("rule", "situation", "limits", "limit", "actual"),
    [
        ("trading_enabled", {}, {"trading_enabled": False}, "ACTIVE", "DISABLED"),
        ("signal_age", {"signal_age_s": 301.5}, {}, "300", "301.500"),
        ("confidence", {}, {"min_confidence": Decimal("1.01")}, "1.01", "1"),
        ("open_order", {"open_orders": 2}, {}, "0", "2"),
        ("order_rate", {"orders_last_hour": 13}, {}, "12", "13"),
        ("max_position", {"base": a_balance("BTC", "0.05")}, {}, "0", "300000"),
        (
            "max_exposure",
            {"elsewhere": 16 * MILLION},
            {"max_exposure_pct": Decimal(60)},
            "0",
            "780000",
        ),
        (
            "max_daily_order",
            {"bought_today_krw": Decimal(999_000), "day_ends_at": UNTIL},
            {"max_daily_order_krw": MILLION},
            "1000000",
            "1299000",
        ),
        ("min_order", {"quote": a_balance("KRW", 100_000)}, {}, "5000", "3000"),
        (
            "sellable_at_stop",
            {"quote": a_balance("KRW", 5_100)},
            {
                "position_size_max_pct": Decimal(100),
                "max_position_pct": Decimal(100),
                "stop_loss_pct": Decimal(5),
            },
            "5000",
            "4842.15",
        ),
    ],
)
def test_a_refusal_shows_what_the_rule_allows_and_what_it_found(
    rule: str,
    situation: dict[str, Any],
    limits: dict[str, Any],
    limit: str,
    actual: str,
) -> None:
    verdict = verdict_on(situation, limits)

    assert isinstance(verdict, Refused)
    assert verdict.reason == rule
    last = verdict.checks[-1]
    assert (last.limit, last.actual) == (verdict.limit, verdict.actual) == (limit, actual)


def test_the_cap_of_a_day_shows_until_when_it_holds() -> None:
    spent_today = {"bought_today_krw": MILLION, "day_ends_at": UNTIL}

    verdict = verdict_on(spent_today, {"max_daily_order_krw": MILLION})

    assert isinstance(verdict, Refused)
    assert verdict.until == UNTIL


# --- halts by a limit ------------------------------------------------------------------------


def halted_by(reason: str, **overrides: Any) -> dict[str, Any]:
    halt = StandingHalt(
        kind=TradingStatus.REDUCING, reason=reason, limit="500000", actual="512000", until=UNTIL
    )
    reducing = {"status": TradingStatus.REDUCING, "halted": reason, "halts": (halt,)}
    return reducing | overrides


@pytest.mark.parametrize("reason", [DAILY_LOSS, VOLATILITY])
def test_a_limit_that_cannot_be_judged_refuses_a_purchase_and_no_sale(reason: str) -> None:
    doubts = {reason: "no_price"}

    bought = verdict_on({"doubts": doubts})
    held = {"position": a_position(volume=Decimal(1)), "base": a_balance("BTC", 1)}
    sold = verdict_on({"doubts": doubts} | held, action=Action.SELL)

    assert isinstance(bought, Refused)
    assert (bought.reason, bought.checks[-1].passed) == (reason, False)
    assert "no_price" in bought.detail
    assert isinstance(sold, Allowed)


@pytest.mark.parametrize("reason", [DAILY_LOSS, VOLATILITY])
def test_a_halt_by_a_limit_refuses_purchases_in_its_own_name(reason: str) -> None:
    verdict = verdict_on(halted_by(reason))

    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.limit, verdict.actual) == (reason, "500000", "512000")
    assert verdict.until == UNTIL
    assert check_of(verdict, "trading_enabled").passed


@pytest.mark.parametrize("reason", [DAILY_LOSS, VOLATILITY])
def test_a_halt_by_a_limit_keeps_no_position_from_being_sold(reason: str) -> None:
    held = {"position": a_position(volume=Decimal(1)), "base": a_balance("BTC", 1)}

    assert isinstance(verdict_on(halted_by(reason, **held), action=Action.SELL), Allowed)


@pytest.mark.parametrize("reason", [DAILY_LOSS, VOLATILITY])
def test_a_halt_by_a_limit_hides_no_other_halt(reason: str) -> None:
    stricter = StandingHalt(kind=TradingStatus.HALTED, reason="by hand")
    limit = StandingHalt(kind=TradingStatus.REDUCING, reason=reason)

    verdict = verdict_on(
        {"status": TradingStatus.HALTED, "halted": "by hand", "halts": (stricter, limit)}
    )

    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.actual) == ("trading_enabled", "HALTED")


@pytest.mark.parametrize("status", [TradingStatus.REDUCING, TradingStatus.HALTED])
def test_a_state_that_the_halts_do_not_explain_is_in_force(status: TradingStatus) -> None:
    """Both are read one after the other: a halt may be made, or end, between."""
    for halts in ((), (StandingHalt(kind=TradingStatus.REDUCING, reason="gone by then"),)):
        verdict = verdict_on({"status": status, "halted": "a newer one", "halts": halts})

        assert isinstance(verdict, Refused)
        assert verdict.reason == "trading_enabled"


# --- what counts -----------------------------------------------------------------------------


def test_the_operators_own_coins_make_no_order_larger() -> None:
    """They count for the largest position, and not for the size of an order."""
    rich = {"base": a_balance("BTC", 10)}

    assert check_of(verdict_on(rich), "position_size").actual == "300000"
    assert spent(verdict_on(rich)) == ZERO


def test_free_money_and_our_positions_are_what_an_order_is_a_share_of() -> None:
    ours = {
        "quote": a_balance("KRW", 4_000_000, locked=1_000_000),
        "position": a_position(volume=Decimal("0.01")),
        "base": a_balance("BTC", "0.01"),
        "elsewhere": 5 * MILLION,
    }

    assert spent(verdict_on(ours, {"max_position_pct": Decimal(100)})) == 300_000


def test_coins_that_the_account_does_not_show_count_by_our_own_position() -> None:
    """An answer without the coins' row made room for the same purchase again and again."""
    held = {"position": a_position(volume=Decimal("0.025")), "base": a_balance("BTC", 0)}

    verdict = verdict_on(held)

    assert isinstance(verdict, Refused)
    assert verdict.reason == "max_position"


@pytest.mark.parametrize("money", [10**15, 10**27])
def test_no_balance_makes_an_order_larger_than_the_last_known_equity_allows(money: int) -> None:
    known = {"quote": a_balance("KRW", money), "known_equity": 10 * MILLION}

    assert spent(verdict_on(known)) == 300_000
    by_hand = decide_by_hand(
        an_intent(funds=2 * MILLION + 1),
        a_situation(source=OrderSource.HAND, **known),
        some_limits(),
    )
    assert isinstance(by_hand, Refused)
    assert (by_hand.reason, by_hand.limit) == ("max_position", "2000000")


def test_open_purchases_count_for_the_exposure_as_if_they_were_filled() -> None:
    now = {"quote": a_balance("KRW", 4_000_000, locked=6_000_000), "on_order": 6 * MILLION}

    verdict = verdict_on(now, {"max_exposure_pct": Decimal(60)})

    assert isinstance(verdict, Refused)
    assert verdict.reason == "max_exposure"


@pytest.mark.parametrize(
    ("market", "price", "tick", "money", "amount"),
    [
        (USDT_BTC, "68000", "1", "999.123456789", "29.9737037"),
        (BTC_ETH, "0.03", "0.00000001", "0.0123456789", "0.00037037"),
    ],
)
def test_other_money_than_krw_is_not_rounded_to_whole_units(
    market: Market, price: str, tick: str, money: str, amount: str
) -> None:
    now = {
        "price": Decimal(price),
        "position": a_position(market=market),
        "quote": a_balance(market.quote, money),
        "base": a_balance(market.base, 0),
        "rules": some_rules(market=market, min_funds=Decimal("0.00005"), tick_size=Decimal(tick)),
    }

    verdict = verdict_on(now)

    assert check_of(verdict, "position_size").actual == amount
    step = Decimal(price) * Decimal("1E-8")
    assert Decimal(amount) - step < spent(verdict) <= Decimal(amount)


# --- caps in KRW -----------------------------------------------------------------------------


def test_one_purchase_is_cut_to_its_cap() -> None:
    assert spent(verdict_on({}, {"max_order_krw": Decimal(123_456)})) == 123_456


def test_the_purchases_of_a_day_are_cut_to_their_cap() -> None:
    used = {"bought_today_krw": Decimal(900_000)}

    assert spent(verdict_on(used, {"max_daily_order_krw": MILLION})) == 100_000


@pytest.mark.parametrize("key", ["max_order_krw", "max_daily_order_krw"])
def test_a_purchase_by_hand_above_a_cap_is_refused_with_both_numbers(key: str) -> None:
    verdict = decide_by_hand(
        an_intent(funds=Decimal(100_001)),
        a_situation(source=OrderSource.HAND),
        some_limits(**{key: Decimal(100_000)}),
    )

    assert isinstance(verdict, Refused)
    assert (verdict.limit, verdict.actual) == ("100000", "100001")
    assert key in verdict.detail


@pytest.mark.parametrize("key", ["max_order_krw", "max_daily_order_krw"])
def test_a_cap_keeps_no_position_from_being_sold(key: str) -> None:
    held = {"position": a_position(volume=Decimal(1)), "base": a_balance("BTC", 1)}
    used_up = {"bought_today_krw": 10 * MILLION}

    verdict = verdict_on(held | used_up, {key: Decimal(5_000)}, action=Action.SELL)

    assert isinstance(verdict, Allowed)


@pytest.mark.parametrize(
    ("rate", "used", "is_allowed"),
    [(Decimal(1_400), ZERO, True), (None, ZERO, False), (Decimal(1_400), None, False)],
)
def test_a_cap_in_krw_needs_the_price_of_other_money(
    rate: Decimal | None, used: Decimal | None, is_allowed: bool
) -> None:
    now = {
        "price": Decimal(68_000),
        "position": a_position(market=USDT_BTC),
        "quote": a_balance("USDT", 10_000),
        "rules": some_rules(market=USDT_BTC, min_funds=Decimal("0.5"), tick_size=Decimal(1)),
        "krw_per_quote": rate,
        "bought_today_krw": used,
    }

    verdict = verdict_on(now, {"max_daily_order_krw": Decimal(140_000)})

    assert round(spent(verdict), 2) == (100 if is_allowed else 0)
    assert isinstance(verdict_on(now), Allowed), "without a cap no price is needed"


# --- the market and its price ------------------------------------------------------------------

HELD: Final = {"position": a_position(volume=Decimal(1)), "base": a_balance("BTC", 1)}


@pytest.mark.parametrize(
    ("rule", "facts", "actual"),
    [
        ("delisting", {"rules": some_rules(delisted_at=date(2026, 2, 1))}, "2026-02-01"),
        (
            "market_warning",
            {"rules": some_rules(warnings=("PRICE_FLUCTUATIONS", "SMALL_ACCOUNTS"))},
            "PRICE_FLUCTUATIONS, SMALL_ACCOUNTS",
        ),
        *(("price", {"price_doubt": doubt}, str(doubt)) for doubt in PriceDoubt
          if doubt is not PriceDoubt.STALE),
        (
            "price",
            {
                "price_doubt": PriceDoubt.STALE,
                "price_age_s": 259_200.0,
                "price_max_age_s": 30.0,
            },
            "259200.000",
        ),
    ],
)  # fmt: skip
def test_a_troubled_market_refuses_entries_by_name_and_lets_exits_pass(
    rule: str, facts: dict[str, Any], actual: str
) -> None:
    verdict = verdict_on(facts)
    by_hand = decide_by_hand(
        an_intent(), a_situation(source=OrderSource.HAND, **facts), some_limits()
    )

    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.actual) == (rule, actual)
    assert isinstance(by_hand, Refused)
    assert (by_hand.reason, by_hand.actual) == (rule, actual)
    assert isinstance(verdict_on(facts | HELD, action=Action.SELL), Allowed)


def test_a_price_that_is_none_keeps_no_position_from_being_sold() -> None:
    """At a price of 0.01 every position looks too small for the exchange."""
    absurd = {"price": Decimal("0.01"), "price_doubt": PriceDoubt.JUMP}

    verdict = verdict_on(absurd | HELD, action=Action.SELL)

    assert isinstance(verdict, Allowed)
    assert verdict.intent.volume == 1


# --- a stop that could not be carried out ------------------------------------------------------


def test_a_purchase_on_top_of_a_position_is_sold_with_it() -> None:
    whole = {"position_size_max_pct": Decimal(100), "max_position_pct": Decimal(100)}
    small = a_balance("KRW", 5_100)
    more = {"position": a_position(volume=Decimal("0.00001")), "base": a_balance("BTC", "0.00001")}

    assert isinstance(verdict_on({"quote": small}, whole), Refused)
    assert isinstance(verdict_on({"quote": small} | more, whole), Allowed)


def test_a_purchase_by_hand_that_could_not_be_sold_at_the_stop_is_refused() -> None:
    now = a_situation(source=OrderSource.HAND)

    assert isinstance(decide_by_hand(an_intent(funds=Decimal(5_264)), now, some_limits()), Allowed)
    small = decide_by_hand(an_intent(funds=Decimal(5_263)), now, some_limits())
    assert isinstance(small, Refused)
    assert (small.reason, small.limit) == ("sellable_at_stop", "5000")


def test_a_limit_above_the_market_makes_a_purchase_worth_no_more_at_the_stop() -> None:
    """It may be filled at the market's price: its coins are worth that, and not the limit."""
    now = a_situation(source=OrderSource.HAND)
    volume = Decimal(5_300) / (now.price * Decimal("1.1"))
    intent = an_intent(
        type=OrderType.LIMIT, price=now.price * Decimal("1.1"), volume=whole_steps(volume),
        funds=None,
    )  # fmt: skip

    verdict = decide_by_hand(intent, now, some_limits())

    assert isinstance(verdict, Refused)
    assert verdict.reason == "sellable_at_stop"


# --- a check that fails --------------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
def test_an_error_in_a_check_refuses_in_its_name(side: Side) -> None:
    """NaN compares with nothing: each comparison with it raises."""
    held = {"position": a_position(volume=Decimal(1)), "base": a_balance("BTC", 1)}
    odd = some_limits(min_confidence=Decimal("NaN"))

    verdict = decide(a_proposal(action=Action(side.value)), a_situation(**held), odd)

    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.fault) == ("confidence", "InvalidOperation")


def test_an_error_in_a_check_of_an_order_by_hand_refuses() -> None:
    now = a_situation(source=OrderSource.HAND, price=Decimal("NaN"))

    verdict = decide_by_hand(an_intent(), now, some_limits())

    assert isinstance(verdict, Refused)
    assert verdict.fault is not None


# --- tighter is never more -----------------------------------------------------------------------

_PERCENT = st.integers(10, 10_000).map(lambda n: Decimal(n) / 100)
_MONEY = st.integers(0, 50_000_000).map(Decimal)
_SHARE = st.integers(0, 3_000).map(lambda n: Decimal(n) / 1_000_000)

situations = st.builds(
    a_situation,
    price=st.integers(1_000, 300_000).map(lambda n: Decimal(n * 1_000)),
    quote=st.builds(
        lambda free, locked: a_balance("KRW", free, locked=locked),
        st.integers(0, 50_000_000),
        st.integers(0, 5_000_000),
    ),
    base=st.integers(0, 3_000).map(lambda n: a_balance("BTC", str(Decimal(n) / 10_000))),
    position=_SHARE.map(lambda share: a_position(volume=share)),
    elsewhere=_MONEY,
    on_order=st.sampled_from([ZERO, MILLION]),
    known_equity=st.none() | _MONEY,
    bought_today_krw=_MONEY,
    orders_last_hour=st.integers(0, 15),
    signal_age_s=st.integers(0, 600).map(float),
)
caps = st.none() | st.integers(5_000, 20_000_000).map(Decimal)
some = st.builds(
    some_limits,
    position_size_min_pct=st.just(Decimal(1)),
    position_size_max_pct=_PERCENT,
    max_position_pct=_PERCENT,
    max_exposure_pct=_PERCENT,
    max_order_krw=caps,
    max_daily_order_krw=caps,
    stop_loss_pct=st.integers(1, 50).map(Decimal),
    max_orders_per_hour=st.integers(1, 20),
    signal_max_age_s=st.integers(10, 600),
    min_confidence=st.integers(0, 100).map(lambda n: Decimal(n) / 100),
)

#: Each limit with what makes it tighter.
_TIGHTER: Final[Mapping[str, str]] = {
    "min_confidence": "more",
    "position_size_max_pct": "less",
    "max_position_pct": "less",
    "max_exposure_pct": "less",
    "max_order_krw": "less",
    "max_daily_order_krw": "less",
    "stop_loss_pct": "more",
    "max_orders_per_hour": "less",
    "signal_max_age_s": "less",
}


def tighter(limits: Limits, name: str, factor: Decimal) -> Limits:
    value = getattr(limits, name)
    if value is None:
        capped: dict[str, Any] = {name: Decimal(5_000)}
        return replace(limits, **capped)
    grown = value * (2 - factor) if _TIGHTER[name] == "more" else value * factor
    if name == "position_size_max_pct":
        grown = max(grown, limits.position_size_min_pct)
    changed: dict[str, Any] = {name: type(value)(grown)}
    return replace(limits, **changed)


@pytest.mark.parametrize("name", _TIGHTER)
@settings(max_examples=150)
@given(now=situations, limits=some, factor=st.integers(0, 99).map(lambda n: Decimal(n) / 100))
def test_a_tighter_limit_never_allows_more(
    name: str, now: Situation, limits: Limits, factor: Decimal
) -> None:
    surest = a_proposal(confidence=Decimal("0.95"))
    # The smallest size is a limit from below: above it a smaller cap may only make it smaller.
    if limits.position_size_max_pct < limits.position_size_min_pct:
        limits = replace(limits, position_size_max_pct=limits.position_size_min_pct)

    wide, tight = decide(surest, now, limits), decide(surest, now, tighter(limits, name, factor))

    assert spent(tight) <= spent(wide)


@settings(max_examples=400)
@given(now=situations, limits=some)
def test_no_purchase_passes_any_limit(now: Situation, limits: Limits) -> None:
    funds = spent(decide(a_proposal(confidence=Decimal("0.95")), now, limits))

    if funds:
        assert_within(funds, now, limits)


@settings(max_examples=400)
@given(now=situations, limits=some, funds=st.integers(1_000, 20_000_000).map(Decimal))
def test_no_purchase_by_hand_passes_any_limit(
    now: Situation, limits: Limits, funds: Decimal
) -> None:
    asked = an_intent(funds=funds)

    verdict = decide_by_hand(asked, replace(now, source=OrderSource.HAND), limits)

    if isinstance(verdict, Allowed):
        assert verdict.intent is asked
        assert_within(funds, now, limits)


def assert_within(funds: Decimal, now: Situation, limits: Limits) -> None:
    equity = now.quote.total + max(now.base.total, now.position.volume) * now.price
    known = equity if now.known_equity is None else min(equity, now.known_equity)
    assert funds <= known
    after = max(now.base.total, now.position.volume) * now.price + funds
    assert after <= known * limits.max_position_pct / 100
    ours = now.position.volume * now.price + now.elsewhere
    assert ours + now.on_order + funds <= (now.quote.total + ours) * limits.max_exposure_pct / 100
    assert funds <= (limits.max_order_krw or funds)
    if limits.max_daily_order_krw is not None:
        assert now.bought_today_krw is not None
        assert now.bought_today_krw + funds <= limits.max_daily_order_krw
    assert funds * (1 + now.rules.fee_ratio) <= now.quote.available
    assert now.orders_last_hour < limits.max_orders_per_hour
    at_stop = (now.position.volume * now.price + funds) * (1 - limits.stop_loss_pct / 100)
    assert at_stop >= now.rules.min_funds


@given(amount=st.decimals(0, 10**15, places=12), currency=st.sampled_from(["KRW", "BTC", "USDT"]))
def test_money_is_rounded_down_and_by_less_than_one_step(amount: Decimal, currency: str) -> None:
    step = Decimal(1) if currency == "KRW" else Decimal("1E-8")

    rounded = whole_money(amount, currency)

    assert ZERO <= amount - rounded < step
    assert rounded % step == 0


def test_every_rule_says_something_of_every_order() -> None:
    verdict = verdict_on({})

    assert [check.rule for check in verdict.checks] == list(RULES)
    assert all(check.detail for check in verdict.checks)
