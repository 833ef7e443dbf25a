"""The recent activity that the health report is made from."""

from service.domain.orders import OrderStatus
from service.ports.queries import Activity
from service.store.database.pool import Pool

ACTIVITY = """
    SELECT (SELECT max(created_at) FROM trading_signals),
           newest.created_at,
           newest.status,
           unknown.count,
           unknown.oldest
      FROM (SELECT count(*) AS count, min(sent_at) AS oldest
              FROM orders
             WHERE status = 'UNKNOWN') AS unknown
      LEFT JOIN (SELECT created_at, status
                   FROM orders
                  ORDER BY created_at DESC, id DESC
                  LIMIT 1) AS newest ON true
"""


class PgActivity:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def activity(self) -> Activity:
        async with self._pool.cursor() as cur:
            await cur.execute(ACTIVITY)
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - an aggregate always answers
        signal_at, order_at, order_status, unknown, oldest_unknown = row
        return Activity(
            last_signal_at=signal_at,
            last_order_at=order_at,
            last_order_status=None if order_status is None else OrderStatus(order_status),
            unknown_orders=unknown,
            oldest_unknown_at=oldest_unknown,
        )
