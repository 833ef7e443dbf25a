"""How large an order, a position and all positions together may be."""

from datetime import datetime
from decimal import Decimal
from typing import Final

from service.domain.decimals import decimal_text
from service.domain.orders import ZERO
from service.domain.risk.drafts import HUNDRED, Draft, Judged, passes, refuses, whole_money
from service.domain.risk.facts import Limits, Situation
from service.domain.signals import Proposal

_LEAST_CONFIDENT: Final = Decimal("0.5")  #: gets the smallest size
_MOST_CONFIDENT: Final = Decimal("0.9")  #: gets the largest size


def size_ratio(confidence: Decimal, limits: Limits) -> Decimal:
    """Return the share of the size base to buy for, 0..1.

    Linear from position_size_min_pct at confidence 0.5 to position_size_max_pct at 0.9.
    """
    span = _MOST_CONFIDENT - _LEAST_CONFIDENT
    scale = min(max((confidence - _LEAST_CONFIDENT) / span, ZERO), Decimal(1))
    low, high = limits.position_size_min_pct, limits.position_size_max_pct
    return (low + (high - low) * scale) / HUNDRED


def position_size(draft: Draft, proposal: Proposal, now: Situation, limits: Limits) -> Judged:
    """Size the order: the only rule that may make it larger than before."""
    if not draft.is_buy:
        if not now.position.volume:
            return refuses(draft, "there is no position to sell", limit="0", actual="0")
        whole = Draft(draft.side, now.position.volume)
        held = decimal_text(now.position.volume)
        return passes(whole, "all of it", limit=held, actual=held)
    ratio = size_ratio(proposal.confidence, limits)
    amount = whole_money(now.size_base * ratio, now.rules.market.quote)
    sentence = f"{ratio * HUNDRED:.2f} % of free money and our positions"
    text = decimal_text(amount)
    return passes(Draft(draft.side, amount, draft.price), sentence, limit=text, actual=text)


def held(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    """Bound a sale by hand: coins that this service did not buy are the operator's."""
    limit, actual = decimal_text(now.position.volume), decimal_text(draft.amount)
    if draft.is_buy:
        return passes(draft, "as asked for")
    if draft.amount > now.position.volume:
        return refuses(draft, "this service holds less than that", limit=limit, actual=actual)
    return passes(draft, "as asked for", limit=limit, actual=actual)


def max_position(draft: Draft, _p: object, now: Situation, limits: Limits) -> Judged:
    if not draft.is_buy:
        return passes(draft, "a sale makes the position smaller")
    # All coins of the account count, also those that this service did not buy: the risk is equal.
    room = now.capital * limits.max_position_pct / HUNDRED - now.coins * now.price
    share = f"{limits.max_position_pct} % of capital"
    return _within(
        draft,
        now,
        room=room,
        below=f"below {share}",
        reached=f"the position has reached {share}",
    )


def max_exposure(draft: Draft, _p: object, now: Situation, limits: Limits) -> Judged:
    if not draft.is_buy:
        return passes(draft, "a sale makes the exposure smaller")
    room = now.exposure_base * limits.max_exposure_pct / HUNDRED - now.exposure
    share = f"{limits.max_exposure_pct} % of money and positions"
    return _within(
        draft,
        now,
        room=room,
        below=f"all positions are below {share}",
        reached=f"all positions together have reached {share}",
    )


def max_order(draft: Draft, _p: object, now: Situation, limits: Limits) -> Judged:
    return _capped("max_order_krw", limits.max_order_krw, draft, now, used=ZERO)


def max_daily_order(draft: Draft, _p: object, now: Situation, limits: Limits) -> Judged:
    return _capped(
        "max_daily_order_krw",
        limits.max_daily_order_krw,
        draft,
        now,
        used=now.bought_today_krw,
        until=now.day_ends_at,
    )


def _within(draft: Draft, now: Situation, *, room: Decimal, below: str, reached: str) -> Judged:
    """Cut the purchase to the money for which more may be bought."""
    most = max(whole_money(room, now.rules.market.quote), ZERO)
    limit, actual = decimal_text(most), decimal_text(draft.amount)
    if room < now.rules.min_funds:
        return refuses(draft, reached, limit=limit, actual=actual)
    return passes(draft.cut_to(most), below, limit=limit, actual=actual)


def _capped(
    key: str,
    cap: Decimal | None,
    draft: Draft,
    now: Situation,
    *,
    used: Decimal | None,
    until: datetime | None = None,
) -> Judged:
    """Cut the purchase to a cap in KRW. A sale has none: it must never keep an exit from it."""
    if cap is None or not draft.is_buy:
        return passes(draft, f"{key} sets no cap here")
    rate = now.krw_per_quote
    if rate is None or used is None:
        sentence = f"what a purchase is worth in KRW is not known ({key})"
        return refuses(draft, sentence, limit=decimal_text(cap))
    most = whole_money((cap - used) / rate, now.rules.market.quote)
    limit, actual = decimal_text(cap), decimal_text(used + draft.amount * rate)
    if most < now.rules.min_funds:
        return refuses(draft, f"{key} is reached", limit=limit, actual=actual, until=until)
    return passes(draft.cut_to(most), f"within {key}", limit=limit, actual=actual, until=until)
