"""What trading came to: summary, equity curve, drawdown and days, computed in the database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from service.domain.days import korean_day, korean_midnight
from service.domain.markets import Market
from service.ports.queries import Page, PageKey
from service.store.queries.days import DAYS
from service.store.queries.deposits import PIECES
from service.store.queries.page import JsonReader, page_of

#: Longer windows are read by the hour.
MINUTES_UPTO: Final = timedelta(days=7)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)

# Korean days begin with an hour of UTC, so hours alone tell what a period began with. It is the
# newest hour before the period, or else the oldest minute of all. What the longest period needs
# is read once, for all of them.
#
# Whole hours of a piece of the curve are read by the hour; a piece that begins or ends within an
# hour is read by the minute there.
SUMMARY: Final = (
    "WITH"
    + PIECES
    + """
  , moments AS MATERIALIZED (
        SELECT hour AS at, curve, low * factor AS low, high * factor AS high, drawdown_ratio
          FROM pieces
          JOIN equity_hours
            ON quote = %(quote)s
           AND hour >= date_trunc('hour', begins + interval '1 hour' - interval '1 microsecond',
                                  'UTC')
           AND hour < date_trunc('hour', ends, 'UTC')
         UNION ALL
        SELECT at, curve, equity * factor, equity * factor, 0
          FROM pieces
         CROSS JOIN LATERAL (
                SELECT date_trunc('hour', begins + interval '1 hour' - interval '1 microsecond',
                                  'UTC') AS first_hour,
                       date_trunc('hour', ends, 'UTC') AS last_hour) AS whole
         CROSS JOIN LATERAL (
                SELECT at, equity
                  FROM equity_snapshots
                 WHERE quote = %(quote)s
                   AND at >= begins
                   AND at < least(first_hour, ends)
                 UNION ALL
                SELECT at, equity
                  FROM equity_snapshots
                 WHERE quote = %(quote)s
                   AND at >= greatest(first_hour, last_hour)
                   AND at < ends) AS minutes
    ), traded_days AS MATERIALIZED (
        SELECT day, sum(fills) AS fills, sum(fees) AS fees, sum(realised_pnl) AS realised_pnl,
               sum(sold_funds) AS sold_funds, sum(wins) AS wins, sum(losses) AS losses
          FROM daily_stats
         WHERE day >= (%(now)s AT TIME ZONE 'Asia/Seoul')::date - (%(longest)s - 1)
           AND split_part(market, '-', 1) = %(quote)s
         GROUP BY day
    )
    SELECT row_to_json(item)::text
      FROM (SELECT) AS always
      LEFT JOIN LATERAL (
            SELECT newest_at, cash, coins, equity, realised_pnl, unrealised_pnl, fees_paid
              FROM equity_hours
             WHERE quote = %(quote)s
             ORDER BY hour DESC
             LIMIT 1) AS newest ON true
      LEFT JOIN LATERAL (
            SELECT first_equity + coalesce((SELECT sum(value)
                                              FROM deposit_values
                                             WHERE ends > first_at), 0) AS total
              FROM equity_hours
             WHERE quote = %(quote)s
             ORDER BY hour
             LIMIT 1) AS deposited ON true
     CROSS JOIN LATERAL (
            SELECT json_agg(period ORDER BY asked.days) AS periods
              FROM unnest(%(days)s::integer[]) AS asked (days)
             CROSS JOIN LATERAL (
                    SELECT date_trunc('day', %(now)s, 'Asia/Seoul')
                               - (asked.days - 1) * interval '24 hours' AS since,
                           (%(now)s AT TIME ZONE 'Asia/Seoul')::date - (asked.days - 1) AS day
                   ) AS begins
              LEFT JOIN LATERAL (
                    (SELECT 1 AS n, newest_at AS at, equity, realised_pnl + unrealised_pnl AS pnl
                       FROM equity_hours
                      WHERE quote = %(quote)s
                        AND hour < begins.since
                      ORDER BY hour DESC
                      LIMIT 1)
                     UNION ALL
                    (SELECT 2, first_at, first_equity, first_pnl
                       FROM equity_hours
                      WHERE quote = %(quote)s
                        AND hour >= begins.since
                      ORDER BY hour
                      LIMIT 1)
                     ORDER BY n
                     LIMIT 1) AS base ON true
             CROSS JOIN LATERAL (
                    SELECT max(greatest(drawdown_ratio, round(1 - low / nullif(peak, 0), 8)))
                               AS deepest
                      FROM (SELECT low, drawdown_ratio,
                                   max(high) OVER (PARTITION BY curve ORDER BY at
                                                    ROWS BETWEEN UNBOUNDED PRECEDING
                                                             AND 1 PRECEDING) AS peak
                              FROM moments
                             WHERE at >= begins.since) AS followed) AS fall
             CROSS JOIN LATERAL (
                    SELECT coalesce(sum(value), 0) AS deposits
                      FROM deposit_values
                     WHERE at >= begins.since) AS moved
             CROSS JOIN LATERAL (
                    SELECT coalesce(sum(fills), 0) AS fills,
                           coalesce(sum(fees), 0) AS fees,
                           coalesce(sum(realised_pnl), 0) AS realised_pnl,
                           coalesce(sum(sold_funds - fees - realised_pnl), 0) AS cost_sold,
                           coalesce(sum(wins), 0) AS wins,
                           coalesce(sum(losses), 0) AS losses
                      FROM traded_days
                     WHERE traded_days.day >= begins.day) AS traded
             CROSS JOIN LATERAL (
                    SELECT asked.days,
                           begins.day AS first_day,
                           to_char(base.at AT TIME ZONE 'UTC', %(instant)s) AS since,
                           trim_scale(base.equity)::text AS start_equity,
                           trim_scale(moved.deposits)::text AS deposits,
                           trim_scale(newest.realised_pnl + newest.unrealised_pnl - base.pnl)::text
                               AS pnl,
                           trim_scale(traded.realised_pnl)::text AS realised_pnl,
                           trim_scale(round(traded.realised_pnl / nullif(base.equity, 0), 8))::text
                               AS return_ratio,
                           trim_scale(traded.cost_sold)::text AS cost_sold,
                           trim_scale(round(traded.realised_pnl / nullif(traded.cost_sold, 0),
                                            8))::text AS average_return_ratio,
                           trim_scale(traded.fees)::text AS fees,
                           traded.fills,
                           traded.wins,
                           traded.losses,
                           trim_scale(round(traded.wins / nullif(traded.wins + traded.losses, 0),
                                            8))::text AS win_rate,
                           trim_scale(fall.deepest)::text AS max_drawdown_ratio) AS period
           ) AS past
     CROSS JOIN LATERAL (
            SELECT %(quote)s AS quote,
                   to_char(newest.newest_at AT TIME ZONE 'UTC', %(instant)s) AS at,
                   trim_scale(newest.equity)::text AS equity,
                   trim_scale(newest.cash)::text AS cash,
                   trim_scale(newest.coins)::text AS coins,
                   trim_scale(newest.realised_pnl)::text AS realised_pnl,
                   trim_scale(newest.unrealised_pnl)::text AS unrealised_pnl,
                   trim_scale(newest.fees_paid)::text AS fees_paid,
                   trim_scale(deposited.total)::text AS total_deposits,
                   CASE WHEN deposited.total > 0
                        THEN trim_scale(round((newest.equity - deposited.total)
                                              / deposited.total, 8))::text
                   END AS cumulative_return_ratio,
                   past.periods) AS item
"""
)

# Whole hours of a piece where the window is long, and minutes elsewhere. An hour's drawdown is the
# deeper of two: its own, and the fall from the highest equity before it to its low. In the minutes
# in which a deposit came there is no piece: return and drawdown stand still.
#
# A deposit counts from the first instant at which the account may show it, a withdrawal from the
# last one. So equity less deposits never shows either as a gain.
CURVE: Final = (
    "WITH"
    + PIECES
    + """
  , bounds AS (
        SELECT begins, least(ends, %(until)s) AS ends, curve, factor, first_hour,
               greatest(first_hour,
                        least(date_trunc('hour', ends, 'UTC'), %(last_hour)s)) AS last_hour
          FROM pieces
         CROSS JOIN LATERAL (
                SELECT greatest(date_trunc('hour',
                                           begins + interval '1 hour' - interval '1 microsecond',
                                           'UTC'),
                                %(first_hour)s) AS first_hour) AS whole
    ), stretch AS (
        SELECT newest_at AS at, first_equity, equity, low, high, drawdown_ratio, curve, factor
          FROM bounds
          JOIN equity_hours
            ON quote = %(quote)s
           AND hour >= first_hour
           AND hour < last_hour
           AND hour >= %(first_hour)s
           AND hour < %(last_hour)s
         UNION ALL
        SELECT at, equity, equity, equity, equity, 0, curve, factor
          FROM (SELECT begins, least(ends, first_hour) AS ends, curve, factor
                  FROM bounds
                 UNION ALL
                SELECT last_hour, ends, curve, factor
                  FROM bounds
                 UNION ALL
                SELECT begins, ends, NULL, NULL
                  FROM scaled) AS apart
         CROSS JOIN LATERAL (
                SELECT at, equity
                  FROM equity_snapshots
                 WHERE quote = %(quote)s
                   AND at >= apart.begins
                   AND at < apart.ends
                   AND at >= %(since)s
                   AND at < %(until)s) AS minutes
    ), followed AS (
        SELECT at, equity, low, high,
               round(1 - equity * factor / nullif(max(high * factor) OVER upto, 0), 8)
                   AS fallen,
               greatest(drawdown_ratio,
                        round(1 - low * factor / nullif(max(high * factor) OVER earlier, 0), 8))
                   AS deepest,
               round(equity * factor
                     / nullif(first_value(first_equity * factor) OVER upto, 0) - 1, 8)
                   AS returned,
               count(factor) OVER (ORDER BY at) AS measured,
               floor(extract(epoch FROM at - %(since)s) * %(points)s
                     / extract(epoch FROM %(until)s - %(since)s)) AS bucket
          FROM stretch
        WINDOW upto AS (PARTITION BY curve ORDER BY at),
               earlier AS (PARTITION BY curve ORDER BY at
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), carried AS (
        SELECT at, equity, low, high, bucket,
               coalesce(first_value(fallen) OVER newest, 0) AS drawdown_ratio,
               coalesce(first_value(returned) OVER newest, 0) AS return_ratio
          FROM followed
        WINDOW newest AS (PARTITION BY measured ORDER BY at)
    ), shown AS (
        SELECT DISTINCT ON (bucket)
               at, equity, drawdown_ratio, return_ratio,
               min(low) OVER whole AS low,
               max(high) OVER whole AS high
          FROM carried
        WINDOW whole AS (PARTITION BY bucket)
         ORDER BY bucket, at DESC
    )
    SELECT json_build_object(
               'quote', %(quote)s,
               'since', to_char(%(since)s AT TIME ZONE 'UTC', %(instant)s),
               'until', to_char(%(until)s AT TIME ZONE 'UTC', %(instant)s),
               'max_drawdown_ratio',
               (SELECT trim_scale(max(deepest))::text FROM followed),
               'items', coalesce(json_agg(item ORDER BY shown.at), '[]'))::text
      FROM shown
     CROSS JOIN LATERAL (
            SELECT coalesce(sum(value), 0) AS deposits
              FROM deposit_values
             WHERE ends > %(since)s
               AND CASE WHEN value > 0 THEN begins ELSE ends END <= shown.at) AS moved
     CROSS JOIN LATERAL (
            SELECT to_char(shown.at AT TIME ZONE 'UTC', %(instant)s) AS at,
                   trim_scale(shown.equity)::text AS equity,
                   trim_scale(shown.low)::text AS low,
                   trim_scale(shown.high)::text AS high,
                   trim_scale(moved.deposits)::text AS deposits,
                   trim_scale(shown.return_ratio)::text AS return_ratio,
                   trim_scale(shown.drawdown_ratio)::text AS drawdown_ratio) AS item
"""
)

# A cursor holds an instant: that of the day's beginning, in UTC.
MARKET_DAYS: Final = page_of("""
      FROM (SELECT id AS row_id, day::timestamp AT TIME ZONE 'UTC' AS at, day, market, fills,
                   bought_volume, bought_funds, sold_volume, sold_funds, fees, realised_pnl, wins,
                   losses,
                   row_number() OVER (ORDER BY day DESC, id DESC) AS n
              FROM daily_stats
             WHERE market = %(market)s
               AND (%(before_at)s::timestamptz IS NULL
                    OR (day, id) < ((%(before_at)s::timestamptz AT TIME ZONE 'UTC')::date,
                                    %(before_id)s))
             ORDER BY day DESC, id DESC
             LIMIT %(limit)s + 1) AS found
     CROSS JOIN LATERAL (
            SELECT found.day,
                   found.market,
                   found.fills,
                   trim_scale(found.bought_volume)::text AS bought_volume,
                   trim_scale(found.bought_funds)::text AS bought_funds,
                   trim_scale(found.sold_volume)::text AS sold_volume,
                   trim_scale(found.sold_funds)::text AS sold_funds,
                   trim_scale(found.fees)::text AS fees,
                   trim_scale(found.realised_pnl)::text AS realised_pnl,
                   found.wins,
                   found.losses) AS item
""")


class PgPortfolio(JsonReader):
    """Satisfies ports.Portfolio."""

    async def summary(self, *, quote: str, now: datetime, days: Sequence[int]) -> bytes:
        longest = max(days)
        args = {
            "quote": quote,
            "now": now,
            "days": list(days),
            "longest": longest,
            "since": korean_midnight(korean_day(now) - (longest - 1) * _DAY),
        }
        return await self._all(SUMMARY, args)

    async def equity(self, *, quote: str, since: datetime, until: datetime, points: int) -> bytes:
        first_hour, last_hour = _whole_hours(since, until)
        args = {
            "quote": quote,
            "since": since,
            "until": until,
            "first_hour": first_hour,
            "last_hour": last_hour,
            "points": points,
        }
        return await self._all(CURVE, args)

    async def days(
        self, *, quote: str, now: datetime, limit: int, before: PageKey | None = None
    ) -> Page:
        return await self._page(DAYS, limit=limit, before=before, quote=quote, now=now)

    async def market_days(
        self, *, market: Market, limit: int, before: PageKey | None = None
    ) -> Page:
        return await self._page(MARKET_DAYS, limit=limit, before=before, market=str(market))


def _whole_hours(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Return between which instants hours are read; all of a short window is read by minutes."""
    if until - since <= MINUTES_UPTO:
        return until, until
    first = since.replace(minute=0, second=0, microsecond=0)
    last = until.replace(minute=0, second=0, microsecond=0)
    return first if first == since else first + _HOUR, last
