"""The recent activity that the health report is made from."""

from typing import Any, Final

from service.domain.markets import Market
from service.domain.orders import OrderStatus, OrderType, Side
from service.domain.stuck_orders import ON_THE_BOOK_S, UNCERTAIN_S, OpenOrder
from service.ports.queries import Activity
from service.store.database.pool import Pool

ACTIVITY: Final = """
    SELECT (SELECT max(created_at) FROM trading_signals),
           newest.created_at,
           newest.status,
           (SELECT coalesce(json_object_agg(status, number), '{}')
              FROM (SELECT status, count(*) AS number
                      FROM orders
                     WHERE status IN ('PENDING', 'SUBMITTED', 'PARTIALLY_FILLED', 'UNKNOWN')
                     GROUP BY status) AS counted)
      FROM (SELECT) AS always
      LEFT JOIN (SELECT created_at, status
                   FROM orders
                  ORDER BY created_at DESC, id DESC
                  LIMIT 1) AS newest ON true
"""

# Those that have passed their bound stand first, and those that pass it next.
BOUNDED: Final = """
    SELECT id, identifier, market, side, type, status, sent_at, quarantined_at IS NOT NULL,
           count(*) OVER () AS number
      FROM orders
     WHERE status IN ('PENDING', 'SUBMITTED', 'PARTIALLY_FILLED', 'UNKNOWN')
       AND (status IN ('PENDING', 'UNKNOWN') OR type = 'MARKET')
     ORDER BY quarantined_at IS NULL,
              sent_at + make_interval(secs => CASE WHEN status IN ('PENDING', 'UNKNOWN')
                                                   THEN %(uncertain_s)s
                                                   ELSE %(on_the_book_s)s END),
              id
     LIMIT %(most)s
"""

MOST: Final = 100
_ARGS: Final = {"uncertain_s": UNCERTAIN_S, "on_the_book_s": ON_THE_BOOK_S, "most": MOST}


class PgActivity:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def activity(self) -> Activity:
        async with self._pool.cursor() as cur:
            await cur.execute(ACTIVITY)
            row = await cur.fetchone()
            await cur.execute(BOUNDED, _ARGS)
            bounded = await cur.fetchall()
        assert row is not None  # noqa: S101 - one row always
        signal_at, order_at, order_status, counts = row
        return Activity(
            last_signal_at=signal_at,
            last_order_at=order_at,
            last_order_status=None if order_status is None else OrderStatus(order_status),
            open_orders={OrderStatus(status): number for status, number in counts.items()},
            bounded=tuple(_open_order(found) for found in bounded),
            bounded_total=bounded[0][-1] if bounded else 0,
        )


def _open_order(row: tuple[Any, ...]) -> OpenOrder:
    order_id, identifier, market, side, kind, status, sent_at, is_aside, _ = row
    return OpenOrder(
        id=order_id,
        identifier=identifier,
        market=Market.parse(market),
        side=Side(side),
        type=OrderType(kind),
        status=OrderStatus(status),
        since=sent_at,
        is_aside=is_aside,
    )
