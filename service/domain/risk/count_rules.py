"""How many orders may be under way, and be written within an hour."""

from service.domain.risk.drafts import Draft, Judged, passes, refuses
from service.domain.risk.facts import Limits, Situation


def open_order(draft: Draft, _p: object, now: Situation, _l: Limits) -> Judged:
    actual = str(now.open_orders)
    if now.open_orders:
        sentence = f"{now.open_orders} earlier order(s) here are not settled yet"
        return refuses(draft, sentence, limit="0", actual=actual)
    return passes(draft, "no order is open here", limit="0", actual=actual)


def order_rate(draft: Draft, _p: object, now: Situation, limits: Limits) -> Judged:
    limit, actual = str(limits.max_orders_per_hour), str(now.orders_last_hour)
    if now.orders_last_hour >= limits.max_orders_per_hour:
        sentence = f"{now.orders_last_hour} orders in the last hour, the most allowed"
        return refuses(draft, sentence, limit=limit, actual=actual)
    sentence = f"{now.orders_last_hour} orders in the last hour"
    return passes(draft, sentence, limit=limit, actual=actual)
