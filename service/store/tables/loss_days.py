"""What each Korean day began with, and what its loss has led to."""

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from loguru import logger

from service.domain.alerts import Notice
from service.domain.days import korean_midnight
from service.domain.limits.daily_loss import DayStart
from service.ports.loss_days import LossDay, LossDays
from service.store.database.pool import Pool
from service.store.tables.alerts import put

#: A last value before midnight that is younger is what the day began with.
FRESH: Final = timedelta(hours=1)
LONGEST_AGO: Final = timedelta(hours=24)
_DAY: Final = timedelta(days=1)

# A day whose start lies outside the hour before midnight, though that hour has a value, was begun
# before its midnight: by a clock that ran ahead. Its start was a value of the day before.
FORGET_AHEAD: Final = """
    DELETE FROM loss_days
     WHERE day = %(day)s
       AND (start_at < %(fresh)s OR start_at >= %(midnight)s)
       AND EXISTS (
           SELECT FROM equity_hours
            WHERE quote = loss_days.quote
              AND hour >= %(fresh)s
              AND hour < %(midnight)s)
    RETURNING quote
"""

# Korean days begin with an hour of UTC, so hours alone tell. The day's first hour is needed only
# where the last value before it is old; then its first minute never changes again.
BEGIN: Final = """
    INSERT INTO loss_days (quote, day, start_at, start_equity, start_pnl)
    SELECT known.quote, %(day)s, start.at, start.equity, start.pnl
      FROM unnest(%(quotes)s::text[]) AS known (quote)
      LEFT JOIN LATERAL (
            SELECT newest_at AS at, equity, realised_pnl + unrealised_pnl AS pnl
              FROM equity_hours
             WHERE quote = known.quote
               AND hour >= %(since)s
               AND hour < %(midnight)s
             ORDER BY hour DESC
             LIMIT 1) AS before ON true
      LEFT JOIN LATERAL (
            SELECT first_at AS at, first_equity AS equity, first_pnl AS pnl
              FROM equity_hours
             WHERE quote = known.quote
               AND hour >= %(midnight)s
               AND hour < %(ends)s
             ORDER BY hour
             LIMIT 1) AS first ON true
     CROSS JOIN LATERAL (
            SELECT before.at, before.equity, before.pnl
             WHERE before.at >= %(fresh)s
                OR (first.at IS NOT NULL AND before.pnl >= first.pnl)
             UNION ALL
            SELECT first.at, first.equity, first.pnl
             WHERE first.at IS NOT NULL
               AND (before.at IS NULL OR (before.at < %(fresh)s AND before.pnl < first.pnl))
           ) AS start
        ON CONFLICT (quote, day) DO NOTHING
"""

# Coins that came are no money: what they are worth is no part of a limit in this currency.
OF_DAY: Final = """
    SELECT quote, start_equity, start_pnl, warned_at IS NOT NULL, excused_at, excused_loss,
           (SELECT coalesce(sum(amount), 0)
              FROM deposits
             WHERE currency = quote
               AND at >= start_at
               AND at < %(ends)s)
      FROM loss_days
     WHERE day = %(day)s
     ORDER BY quote
"""

TRADED: Final = """
    SELECT DISTINCT split_part(market, '-', 1)
      FROM daily_stats
     WHERE day = %(day)s
"""

WARN: Final = """
    UPDATE loss_days
       SET warned_at = %(at)s
     WHERE quote = %(quote)s
       AND day = %(day)s
       AND warned_at IS NULL
"""

EXCUSE: Final = """
    UPDATE loss_days
       SET excused_at = %(at)s, excused_loss = %(loss)s
     WHERE quote = %(quote)s
       AND day = %(day)s
"""

LossNotice = Callable[[str, date, datetime], Notice]


class PgLossDays:
    """Satisfies ports.LossDayRows. Args: notice: the alert of a loss near its limit."""

    def __init__(self, pool: Pool, *, notice: LossNotice) -> None:
        self._pool = pool
        self._notice = notice

    async def of(self, day: date, *, quotes: Collection[str]) -> LossDays:
        midnight = korean_midnight(day)
        args = {
            "quotes": sorted(quotes),
            "day": day,
            "midnight": midnight,
            "ends": midnight + _DAY,
            "since": midnight - LONGEST_AGO,
            "fresh": midnight - FRESH,
        }
        async with self._pool.transaction() as cur:
            await cur.execute(FORGET_AHEAD, args)
            forgotten = [quote for (quote,) in await cur.fetchall()]
            await cur.execute(BEGIN, args)
            await cur.execute(OF_DAY, args)
            days = tuple(_loss_day(day, row) for row in await cur.fetchall())
            await cur.execute(TRADED, args)
            traded = frozenset(quote for (quote,) in await cur.fetchall())
        for quote in forgotten:
            logger.bind(event="risk", quote=quote, day=day.isoformat()).warning(
                "the day was begun by a clock that ran ahead, it begins anew"
            )
        return LossDays(days=days, traded=traded)

    async def warn(self, quote: str, day: date, *, at: datetime) -> bool:
        async with self._pool.transaction() as cur:
            await cur.execute(WARN, {"quote": quote, "day": day, "at": at})
            if not cur.rowcount:
                return False
            await put(cur, self._notice(quote, day, at))
        return True

    async def excuse(self, quote: str, day: date, *, loss: Decimal, at: datetime) -> None:
        async with self._pool.cursor() as cur:
            await cur.execute(EXCUSE, {"quote": quote, "day": day, "loss": loss, "at": at})


def _loss_day(day: date, row: Sequence[Any]) -> LossDay:
    quote, equity, pnl, is_warned, excused_at, excused, deposited = row
    return LossDay(
        start=DayStart(quote=quote, day=day, equity=equity, pnl=pnl, deposited=deposited),
        is_warned=is_warned,
        excused_at=excused_at,
        excused=excused,
    )
