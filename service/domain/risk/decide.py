"""The rules in their order, and the verdicts that they add up to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from service.domain.orders import ZERO, Intent, OrderType, Side
from service.domain.risk.count_rules import open_order, order_rate
from service.domain.risk.drafts import CommonRule, Draft, Judged, Rule, refuses
from service.domain.risk.exchange_rules import balance, min_order, sellable_at_stop, tick
from service.domain.risk.facts import Limits, Situation
from service.domain.risk.market_rules import delisting, entry_price, market_warning, price
from service.domain.risk.signal_rules import confidence, signal_age
from service.domain.risk.size_rules import (
    held,
    max_daily_order,
    max_exposure,
    max_order,
    max_position,
    position_size,
)
from service.domain.risk.state_rules import daily_loss, trading_enabled, volatility
from service.domain.risk.verdicts import Allowed, Check, Held, Refused, Verdict, refusal
from service.domain.signals import Action, Proposal

#: In this order the rules are stored as evidence; the rule that sizes precedes those that cut.
RULES: Final[Mapping[str, Rule]] = {
    "trading_enabled": trading_enabled,
    "delisting": delisting,
    "market_warning": market_warning,
    "daily_loss_limit": daily_loss,
    "volatility": volatility,
    "price": entry_price,
    "signal_age": signal_age,
    "confidence": confidence,
    "open_order": open_order,
    "order_rate": order_rate,
    "position_size": position_size,
    "max_position": max_position,
    "max_exposure": max_exposure,
    "max_order": max_order,
    "max_daily_order": max_daily_order,
    "balance": balance,
    "min_order": min_order,
    "sellable_at_stop": sellable_at_stop,
    "tick": tick,
}

#: Without those of a signal: its age, its confidence, the size that follows from it.
RULES_BY_HAND: Final[Mapping[str, CommonRule]] = {
    "trading_enabled": trading_enabled,
    "delisting": delisting,
    "market_warning": market_warning,
    "daily_loss_limit": daily_loss,
    "volatility": volatility,
    "price": price,
    "open_order": open_order,
    "order_rate": order_rate,
    "position_size": held,
    "max_position": max_position,
    "max_exposure": max_exposure,
    "max_order": max_order,
    "max_daily_order": max_daily_order,
    "balance": balance,
    "min_order": min_order,
    "sellable_at_stop": sellable_at_stop,
    "tick": tick,
}

#: What a rule that cuts allows at most, without amounts: the sentence is shown and logged.
_MOST: Final = {
    "max_position": "the position would exceed max_position_pct",
    "max_exposure": "all positions together would exceed max_exposure_pct",
    "max_order": "the order would exceed max_order_krw",
    "max_daily_order": "the day's purchases would exceed max_daily_order_krw",
    "balance": "the account has less available, the fee included",
    "min_order": "the exchange takes no order of that size",
}


def decide(proposal: Proposal, now: Situation, limits: Limits) -> Verdict:
    """Return the verdict on `proposal`: an order within every limit, a refusal, or Held."""
    if proposal.action is Action.HOLD:
        return Held()
    draft = Draft(Side(proposal.action.value), ZERO)
    checks: list[Check] = []
    for name, rule in RULES.items():
        found, fault = _judged(rule, draft, proposal, now, limits)
        checks.append(_check(name, found))
        if not found.passed:
            return refusal(*checks, fault=fault)
        draft = found.draft
    return Allowed(intent=_intent(draft, now), checks=tuple(checks))


def decide_by_hand(intent: Intent, now: Situation, limits: Limits) -> Allowed | Refused:
    """Return the verdict on an order that an operator asks for.

    A rule that would make it smaller refuses it: what is sent is what was asked for.
    """
    amount = intent.volume if intent.side is Side.SELL else intent.most_funds
    # A limit order is worth its own price, whatever the market's is.
    draft = Draft(intent.side, amount or ZERO, intent.price)
    checks: list[Check] = []
    for name, rule in RULES_BY_HAND.items():
        found, fault = _judged(rule, draft, None, now, limits)
        if found.passed and found.draft.amount < draft.amount:
            found = replace(found, passed=False, detail=f"too much: {_MOST[name]}")
        checks.append(_check(name, found))
        if not found.passed:
            return refusal(*checks, fault=fault)
    return Allowed(intent=intent, checks=tuple(checks))


def _judged(
    rule: Rule | CommonRule, draft: Draft, proposal: Proposal | None, now: Situation, limits: Limits
) -> tuple[Judged, str | None]:
    """Return what the rule finds, and the class of the error if one was raised in it.

    A rule that cannot be applied refuses: what it would have stopped is not known.
    """
    try:
        return rule(draft, proposal, now, limits), None  # type: ignore[arg-type]
    except Exception as exc:  # noqa: BLE001 - whatever a rule raises, it must not let an order through
        # Without the error's text, which may hold amounts.
        return refuses(draft, "this check failed, so it refuses"), type(exc).__name__


def _check(name: str, found: Judged) -> Check:
    return Check(
        rule=name,
        passed=found.passed,
        detail=found.detail,
        limit=found.limit,
        actual=found.actual,
        until=found.until,
    )


def _intent(draft: Draft, now: Situation) -> Intent:
    """Return an entry that never rests on the book, or an exit at whatever the book offers."""
    market = now.rules.market
    if draft.is_buy:
        return Intent(
            market=market,
            side=Side.BUY,
            type=OrderType.LIMIT_IOC,
            price=draft.price,
            volume=draft.coins,
        )
    return Intent(market=market, side=Side.SELL, type=OrderType.MARKET, volume=draft.amount)
