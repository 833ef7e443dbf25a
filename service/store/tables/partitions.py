"""Tables that are one table a month: room for every row, and what is old goes by the month."""

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
# Whoever writes or reads now is waited for, and whoever comes meanwhile waits behind us: not long.
WAIT_FOR_LOCK: Final = "SELECT set_config('lock_timeout', %(wait)s, true)"
DROP_MONTH: Final = "SELECT drop_month(%(table)s::regclass, %(before)s)"

# Settled alerts, and their recoveries with them; a problem that goes on is never old. Both
# clocks must say so: in the sandbox the market's may run fast, and then what was told a minute
# ago would be told again. The index of the list finds them.
DROP_ALERTS: Final = """
    DELETE FROM alerts
     WHERE id IN (
           SELECT old.id
             FROM alerts AS old
            WHERE created_at < %(before)s
              AND queued_at < %(queued_before)s
              AND next_attempt_at IS NULL
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
    """Run one INSERT into `tables`; a month without room gets it first, and then it is run again.

    Months are made long before they come (flows/retention.py). This is for what comes from
    elsewhere: a clock that jumped, a replayed year, passes that waited for the database.
    """
    async with pool.cursor() as cur:
        try:
            await cur.execute(sql, args)
        except CheckViolation as exc:
            # A row that breaks a rule names it; one without room has nothing to name.
            if exc.diag.constraint_name is not None:
                raise
            instants = sorted(set(at))
            for table in tables:
                await cur.execute(ADD_MONTHS, {"table": table, "instants": instants})
            await cur.execute(sql, args)
            # Out of the ordinary, but nothing to act upon: the rows are stored.
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
