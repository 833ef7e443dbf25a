"""How far each market of the last flattening is."""

from collections.abc import Sequence
from datetime import datetime

from service.domain.flattening import FlattenedMarket, FlattenStatus
from service.domain.markets import Market
from service.store.database.pool import Pool

# Two callers at once come one after the other: the second one sees what the first has begun.
LOCK = """
    LOCK TABLE flattened_markets IN SHARE ROW EXCLUSIVE MODE
"""

FORGET = """
    DELETE FROM flattened_markets
     WHERE NOT EXISTS (SELECT FROM flattened_markets WHERE ended_at IS NULL)
"""

BEGIN = """
    INSERT INTO flattened_markets (market, status, requested_by, requested_at, updated_at)
    VALUES (%(market)s, 'WAITING', %(by)s, %(at)s, %(at)s)
        ON CONFLICT (market) DO UPDATE
       SET status = 'WAITING',
           detail = NULL,
           failures = 0,
           requested_by = excluded.requested_by,
           requested_at = excluded.requested_at,
           updated_at = excluded.updated_at,
           ended_at = NULL
     WHERE flattened_markets.ended_at IS NOT NULL
"""

LAST = """
    SELECT market, requested_by, status, detail, failures
      FROM flattened_markets
     ORDER BY market
"""

SAVE = """
    UPDATE flattened_markets
       SET status = %(status)s,
           detail = %(detail)s,
           failures = %(failures)s,
           updated_at = %(at)s,
           ended_at = CASE WHEN %(is_finished)s THEN %(at)s::timestamptz END
     WHERE market = %(market)s
       AND ended_at IS NULL
"""


class PgFlattenings:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, markets: Sequence[Market], *, by: str, at: datetime) -> None:
        async with self._pool.transaction() as cur:
            await cur.execute(LOCK)
            await cur.execute(FORGET)
            for market in markets:
                await cur.execute(BEGIN, {"market": str(market), "by": by, "at": at})

    async def last(self) -> Sequence[FlattenedMarket]:
        async with self._pool.cursor() as cur:
            await cur.execute(LAST)
            return tuple(
                FlattenedMarket(
                    market=Market.parse(market),
                    requested_by=requested_by,
                    status=FlattenStatus(status),
                    detail=detail,
                    failures=failures,
                )
                for market, requested_by, status, detail, failures in await cur.fetchall()
            )

    async def save(self, one: FlattenedMarket, *, at: datetime) -> None:
        args = {
            "market": str(one.market),
            "status": one.status.value,
            "detail": one.detail,
            "failures": one.failures,
            "is_finished": one.is_finished,
            "at": at,
        }
        async with self._pool.cursor() as cur:
            await cur.execute(SAVE, args)
