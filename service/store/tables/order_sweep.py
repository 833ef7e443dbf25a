"""Stored orders in short, for the comparison with the exchange's lists."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from service.domain.orders import OrderStatus
from service.ports.order_sweep import OrderSummary
from service.store.database.pool import Pool

SUMMARIES = """
    SELECT identifier, status, executed_volume, executed_funds, paid_fee,
           (SELECT count(*) FROM fills WHERE order_id = orders.id)
      FROM orders
     WHERE identifier = ANY (%(identifiers)s::text[])
"""

SWEPT_UNTIL = """
    SELECT swept_until
      FROM order_sweeps
"""

MARK_SWEPT = """
    INSERT INTO order_sweeps AS stored (swept_until)
    VALUES (%(until)s)
        ON CONFLICT ("only") DO UPDATE
       SET swept_until = greatest(stored.swept_until, excluded.swept_until)
"""


class PgSweptOrders:
    """Satisfies ports.SweptOrders."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def summaries(self, identifiers: Sequence[str]) -> Mapping[str, OrderSummary]:
        async with self._pool.cursor() as cur:
            await cur.execute(SUMMARIES, {"identifiers": list(identifiers)})
            found = await cur.fetchall()
        return {
            identifier: OrderSummary(
                status=OrderStatus(status),
                executed_volume=volume,
                executed_funds=funds,
                paid_fee=fee,
                fills=fills,
            )
            for identifier, status, volume, funds, fee, fills in found
        }

    async def swept_until(self) -> datetime | None:
        async with self._pool.cursor() as cur:
            await cur.execute(SWEPT_UNTIL)
            row = await cur.fetchone()
        return None if row is None else row[0]

    async def mark_swept(self, until: datetime) -> None:
        async with self._pool.cursor() as cur:
            await cur.execute(MARK_SWEPT, {"until": until})
