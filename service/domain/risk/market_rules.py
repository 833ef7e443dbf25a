"""What a market, and the newest word on its price, must be for an entry.

An exit passes: to keep what is held in a troubled market is no protection.
"""

from dataclasses import replace
from datetime import date
from typing import Final

from service.domain.decimals import decimal_text
from service.domain.prices import PriceDoubt
from service.domain.risk.drafts import HUNDRED, Draft, Judged, passes, refuses
from service.domain.risk.facts import Limits, Situation

_BELIEVED: Final = "believed"


def delisting(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    ends: date | None = now.rules.delisted_at
    if ends is None:
        return passes(draft, "no end of trading is announced")
    if not draft.is_buy:
        return passes(draft, "a sale is made before trading ends", actual=ends.isoformat())
    sentence = f"the exchange ends trading in this market on {ends.isoformat()}"
    return refuses(draft, sentence, actual=ends.isoformat())


def market_warning(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    names = ", ".join(now.rules.warnings)
    if not names or not draft.is_buy:
        return passes(draft, "no warning stops the order", actual=names or None)
    return refuses(draft, f"the exchange warns of this market: {names}", actual=names)


def entry_price(draft: Draft, _p: object, now: Situation, limits: Limits) -> Judged:
    """Give a signal's purchase its limit: the best price and max_slippage_pct, on the tick."""
    found = price(draft, _p, now, limits)
    if not found.passed or not draft.is_buy:
        return found
    if now.best is None:
        return refuses(draft, "the order book shows no price to buy at")
    most_apart = now.price * limits.max_price_jump_pct / HUNDRED
    if abs(now.best.ask - now.price) > most_apart:
        sentence = "the best price of the order book is too far from the last price"
        limit, actual = decimal_text(most_apart), decimal_text(abs(now.best.ask - now.price))
        return refuses(draft, sentence, limit=limit, actual=actual)
    highest = now.best.ask * (1 + limits.max_slippage_pct / HUNDRED)
    limited = replace(draft, price=now.rules.floor_to_tick(highest, now=now.price))
    return replace(found, draft=limited)


def price(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    limit, actual = _bounds(now)
    if now.price_doubt is None:
        return passes(draft, "the price is believed", limit=limit, actual=actual)
    if not draft.is_buy:
        sentence = f"a sale needs no price; this one is in doubt ({now.price_doubt})"
        return passes(draft, sentence, limit=limit, actual=actual)
    return refuses(draft, f"the price is in doubt: {now.price_doubt}", limit=limit, actual=actual)


def _bounds(now: Situation) -> tuple[str | None, str | None]:
    """Return the ages, in seconds, where the doubt is about them."""
    if now.price_doubt not in {None, PriceDoubt.STALE}:
        return _BELIEVED, str(now.price_doubt)
    return _seconds(now.price_max_age_s), _seconds(now.price_age_s)


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.3f}"
