"""What an operator asked of orders. The rows are written by `PgOrders`.

Here are keys, cancellations and refusals.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from service.domain.decimals import decimal_text
from service.domain.instants import rfc3339
from service.domain.markets import Market
from service.domain.orders import Intent, OrderStatus, OrderType, Side
from service.domain.risk.verdicts import Check, Refused
from service.domain.trading_states import OrderSource
from service.ports.order_requests import KeyedOrder
from service.ports.store import JSON
from service.store.database.json_rows import json_text
from service.store.database.pool import Pool

BY_KEY = """
    SELECT id, market, side, type, price, volume, funds
      FROM orders
     WHERE idempotency_key = %(idempotency_key)s
"""

# The order's status is read as before the update, which does not change it.
REQUEST_CANCEL = """
    WITH requested AS (
        UPDATE orders
           SET cancel_requested_at = %(at)s,
               cancel_requested_by = %(by)s
         WHERE id = %(order_id)s
           AND cancel_requested_at IS NULL
           AND status IN ('PENDING', 'SUBMITTED', 'PARTIALLY_FILLED', 'UNKNOWN')
    )
    SELECT status
      FROM orders
     WHERE id = %(order_id)s
"""

TO_CANCEL = """
    SELECT id
      FROM orders
     WHERE status IN ('PENDING', 'SUBMITTED', 'PARTIALLY_FILLED', 'UNKNOWN')
       AND cancel_requested_at IS NOT NULL
"""


# As the insert of an order writes it for its own refusals.
ADD_REFUSAL = """
    INSERT INTO risk_events (at, event, market, reason, actor, detail)
    VALUES (%(at)s, 'REFUSED', %(market)s, %(rule)s, %(actor)s, %(detail)s::jsonb)
"""


class PgOrderRequests:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def by_key(self, idempotency_key: str) -> KeyedOrder | None:
        async with self._pool.cursor() as cur:
            await cur.execute(BY_KEY, {"idempotency_key": idempotency_key})
            row = await cur.fetchone()
        if row is None:
            return None
        order_id, market, side, kind, price, volume, funds = row
        intent = Intent(
            market=Market.parse(market),
            side=Side(side),
            type=OrderType(kind),
            price=price,
            volume=volume,
            funds=funds,
        )
        return KeyedOrder(id=order_id, intent=intent)

    async def request_cancel(self, order_id: int, *, by: str, at: datetime) -> OrderStatus | None:
        async with self._pool.cursor() as cur:
            await cur.execute(REQUEST_CANCEL, {"order_id": order_id, "by": by, "at": at})
            row = await cur.fetchone()
        return None if row is None else OrderStatus(row[0])

    async def to_cancel(self) -> Collection[int]:
        async with self._pool.cursor() as cur:
            await cur.execute(TO_CANCEL)
            return [order_id for (order_id,) in await cur.fetchall()]

    async def add_refusal(
        self, intent: Intent, *, refused: Refused, actor: str, at: datetime
    ) -> None:
        args = {
            "at": at,
            "market": str(intent.market),
            "rule": refused.reason,
            "actor": actor,
            "detail": json_text(_detail(intent, refused)),
        }
        async with self._pool.cursor() as cur:
            await cur.execute(ADD_REFUSAL, args)


def _detail(intent: Intent, refused: Refused) -> Mapping[str, JSON]:
    amounts = {"price": intent.price, "volume": intent.volume, "funds": intent.funds}
    return {
        "source": OrderSource.HAND.value,
        "side": intent.side.value,
        "type": intent.type.value,
        **{name: decimal_text(given) for name, given in amounts.items() if given is not None},
        "sentence": refused.detail,
        **bounds_of(refused),
    }


def bounds_of(judged: Check | Refused) -> Mapping[str, JSON]:
    """Return what the rule allows, what it found, and until when, as the API shows them."""
    until = judged.until
    return {
        "limit": judged.limit,
        "actual": judged.actual,
        "until": None if until is None else rfc3339(until),
    }
