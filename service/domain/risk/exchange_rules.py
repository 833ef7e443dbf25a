"""What the account and the exchange allow of an order."""

from decimal import Decimal

from service.domain.decimals import decimal_text
from service.domain.markets import whole_steps
from service.domain.orders import ZERO
from service.domain.risk.drafts import HUNDRED, Draft, Judged, passes, refuses, whole_money
from service.domain.risk.facts import Limits, Situation
from service.domain.trading_states import OrderSource


def balance(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    have = _available(draft, now)
    limit, actual = decimal_text(max(have, ZERO)), decimal_text(draft.amount)
    what = "money" if draft.is_buy else "coins"
    if min(draft.amount, have) <= 0:
        return refuses(draft, f"no {what} available for this order", limit=limit, actual=actual)
    return passes(draft.cut_to(have), f"{what} available", limit=limit, actual=actual)


def _available(draft: Draft, now: Situation) -> Decimal:
    """Return the coins that may be sold, or the money that may be spent before the fee."""
    if not draft.is_buy:
        return whole_steps(now.base.available)
    before_fee = now.quote.available / (1 + now.rules.fee_ratio)
    return whole_money(before_fee, now.rules.market.quote)


def min_order(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    if not draft.is_buy and draft.price is None and now.price_doubt is not None:
        # A price that is none must not keep an exit from the exchange, which knows better.
        return passes(draft, "the price is in doubt, the exchange decides")
    funds, rules = draft.funds_at(now.price), now.rules
    if funds < rules.min_funds:
        sentence = f"the order is below the exchange's minimum of {rules.min_funds:f}"
        limit, actual = decimal_text(rules.min_funds), decimal_text(funds)
        return refuses(draft, sentence, limit=limit, actual=actual)
    if draft.is_buy:
        draft = draft.cut_to(whole_money(rules.max_funds, rules.market.quote))
    elif funds > rules.max_funds:
        draft = draft.cut_to(whole_steps(rules.max_funds / (draft.price or now.price)))
    limit, actual = decimal_text(rules.max_funds), decimal_text(funds)
    return passes(draft, "within the exchange's order sizes", limit=limit, actual=actual)


def sellable_at_stop(draft: Draft, _p: object, now: Situation, limits: Limits) -> Judged:
    """Refuse a purchase that a fall to the stop would leave below the exchange's minimum."""
    if not draft.is_buy:
        return passes(draft, "a sale needs no stop")
    price = draft.price or now.price
    volume = now.position.volume + whole_steps(draft.amount / price)
    worth = volume * min(price, now.price) * (1 - limits.stop_loss_pct / HUNDRED)
    limit, actual = decimal_text(now.rules.min_funds), decimal_text(worth)
    if worth < now.rules.min_funds:
        sentence = "after a fall to the stop the exchange would not take the sale"
        return refuses(draft, sentence, limit=limit, actual=actual)
    return passes(draft, "the position can be sold at the stop", limit=limit, actual=actual)


def tick(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    """Refuse what the exchange would: a price off the tick, or coins of less than one step."""
    if draft.price is None:
        return passes(draft, "the order names no price")
    step = now.rules.tick_at(draft.price, now=now.price)
    limit, actual = decimal_text(step), decimal_text(draft.price)
    if draft.price <= 0 or draft.price % step:
        return refuses(draft, "the price is not on the tick", limit=limit, actual=actual)
    if now.source is OrderSource.SIGNAL and now.best is not None and draft.price < now.best.ask:
        sentence = "no price on the tick reaches the best one"
        return refuses(draft, sentence, limit=decimal_text(now.best.ask), actual=actual)
    return passes(draft, "the price is on the tick", limit=limit, actual=actual)
