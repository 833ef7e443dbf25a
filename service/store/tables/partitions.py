"""Monthly partitions: they are made before their rows come, and dropped when they are old."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from loguru import logger
from psycopg2.errors import CheckViolation

from service.store.database.pool import Pool

ADD_MONTHS: Final = """
    SELECT count(*) FILTER (WHERE add_month(%(table)s::regclass, instant))
      FROM unnest(%(instants)s::timestamptz[]) AS instant
"""
# DROP waits for every statement that uses the table, and later statements queue behind it: so the
# wait is short.
WAIT_FOR_LOCK: Final = "SELECT set_config('lock_timeout', %(wait)s, true)"
DROP_MONTH: Final = "SELECT drop_month(%(table)s::regclass, %(before)s)"

# Deletes settled alerts together with their recoveries; a problem that is not over stays. The time
# must have passed by both clocks. The sandbox's market may run fast, and an alert that is deleted
# after a real minute would be sent again. The index of the alert list serves this query.
DROP_ALERTS: Final = """
    DELETE FROM alerts
     WHERE id IN (
           SELECT old.id
             FROM alerts AS old
            WHERE created_at < %(before)s
              AND queued_at < %(queued_before)s
              AND next_attempt_at IS NULL
              AND tell_again_at IS NULL
              AND (kind <> 'PROBLEM' OR recovered_at < %(before)s)
              AND NOT EXISTS (
                  SELECT
                    FROM alerts AS recovery
                   WHERE recovery.about = old.id
                     AND (recovery.next_attempt_at IS NOT NULL
                          OR recovery.queued_at >= %(queued_before)s))
            ORDER BY created_at, id
            LIMIT %(limit)s)
"""

_WAIT_FOR_LOCK: Final = "250ms"


async def insert(
    pool: Pool,
    sql: str,
    args: Mapping[str, object],
    *,
    tables: Sequence[str],
    at: Iterable[datetime],
) -> None:
    """Run one INSERT into `tables`; where a month's partition is missing, make it and run it again.

    Partitions are made long before their month (flows/retention.py). They are missing after a clock
    jump, in a replayed year, and for rows that waited for the database.
    """
    async with pool.cursor() as cur:
        try:
            await cur.execute(sql, args)
        except CheckViolation as exc:
            # A CHECK constraint has a name in the error; a missing partition has none.
            if exc.diag.constraint_name is not None:
                raise
            instants = sorted(set(at))
            for table in tables:
                await cur.execute(ADD_MONTHS, {"table": table, "instants": instants})
            await cur.execute(sql, args)
            # Unusual, but the operator need not act: the rows are stored.
            logger.bind(event="app", table=tables[0]).info("rows came before their month's table")


class PgHistory:
    """Satisfies ports.History."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add_months(self, table: str, *, at: Iterable[datetime]) -> int:
        async with self._pool.cursor() as cur:
            await cur.execute(ADD_MONTHS, {"table": table, "instants": sorted(at)})
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - an aggregate always answers
        return int(row[0])

    async def drop_month(self, table: str, *, before: datetime) -> str | None:
        async with self._pool.transaction() as cur:
            await cur.execute(WAIT_FOR_LOCK, {"wait": _WAIT_FOR_LOCK})
            await cur.execute(DROP_MONTH, {"table": table, "before": before})
            row = await cur.fetchone()
        return row[0] if row else None

    async def drop_alerts(self, *, before: datetime, queued_before: datetime, limit: int) -> int:
        args = {"before": before, "queued_before": queued_before, "limit": limit}
        async with self._pool.cursor() as cur:
            await cur.execute(DROP_ALERTS, args)
            return cur.rowcount
