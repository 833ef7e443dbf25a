"""Whether trading, and trading in this market, is on at all."""

from service.domain.risk.drafts import Draft, Judged, passes, refuses
from service.domain.risk.facts import Limits, Situation
from service.domain.trading_states import (
    DAILY_LOSS,
    VOLATILITY,
    OrderAct,
    TradingStatus,
    permits,
)

_ACTIVE = TradingStatus.ACTIVE.value


def trading_enabled(draft: Draft, _p: object, now: Situation, limits: Limits) -> Judged:
    act = OrderAct.of(draft.side)
    if not limits.trading_enabled and not permits(TradingStatus.DISABLED, now.source, act):
        sentence = "trading is switched off (trading_enabled)"
        return refuses(draft, sentence, limit=_ACTIVE, actual=TradingStatus.DISABLED.value)
    status = now.status_by_hand
    if not permits(status, now.source, act):
        what = "purchases are" if status is TradingStatus.REDUCING else "trading is"
        sentence = f"{what} halted: {now.halted}"
        return refuses(draft, sentence, limit=_ACTIVE, actual=status.value)
    if not now.rules.active:
        sentence = "the exchange has suspended this market"
        return refuses(draft, sentence, limit=_ACTIVE, actual="SUSPENDED")
    return passes(draft, "trading is on", limit=_ACTIVE, actual=now.status.value)


def daily_loss(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    return _by_limit(DAILY_LOSS, "the day has lost what daily_loss_limit_pct allows", draft, now)


def volatility(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    return _by_limit(VOLATILITY, "the price moves more than volatility_threshold_pct", draft, now)


def _by_limit(reason: str, sentence: str, draft: Draft, now: Situation) -> Judged:
    act = OrderAct.of(draft.side)
    for halt in now.halts_by(reason):
        if not permits(halt.kind, now.source, act):
            return refuses(draft, sentence, limit=halt.limit, actual=halt.actual, until=halt.until)
    if draft.is_buy and (why := now.doubts.get(reason)) is not None:
        return refuses(draft, f"it is not known how near this limit is: {why}")
    return passes(draft, "no halt by this limit stops the order")
