"""The account's Korean days: what each began and ended with, what it earned, what stopped it."""

from typing import Final

from service.store.queries.deposits import DEPOSIT_VALUES
from service.store.queries.page import page_of

# Each calendar day from the first snapshot or fill on, so no day is left out because nothing
# traded. Its equity is that of whole hours: Korean days begin with an hour of UTC. A cursor holds
# an instant: that of the day's beginning, in UTC.
DAYS: Final = (
    "WITH"
    + DEPOSIT_VALUES
    + """
  , listed AS MATERIALIZED (
        SELECT n, day,
               day::timestamp AT TIME ZONE 'Asia/Seoul' AS begins,
               (day + 1)::timestamp AT TIME ZONE 'Asia/Seoul' AS ends
          FROM (SELECT least((SELECT (first_at AT TIME ZONE 'Asia/Seoul')::date
                                FROM equity_hours
                               WHERE quote = %(quote)s
                               ORDER BY hour
                               LIMIT 1),
                             (SELECT day
                                FROM daily_stats
                               WHERE split_part(market, '-', 1) = %(quote)s
                               ORDER BY day, id
                               LIMIT 1)) AS first_day,
                       least((%(now)s AT TIME ZONE 'Asia/Seoul')::date,
                             (%(before_at)s::timestamptz AT TIME ZONE 'UTC')::date - 1)
                           AS last_day) AS span
         CROSS JOIN generate_series(1, %(limit)s + 1) AS n
         CROSS JOIN LATERAL (SELECT last_day - (n - 1) AS day) AS counted
         WHERE day >= first_day
    ), measured AS (
        SELECT (hour AT TIME ZONE 'Asia/Seoul')::date AS day,
               (array_agg(first_equity ORDER BY hour))[1] AS first_equity,
               (array_agg(equity ORDER BY hour DESC))[1] AS end_equity
          FROM equity_hours
         WHERE quote = %(quote)s
           AND hour >= (SELECT min(begins) FROM listed)
           AND hour < (SELECT max(ends) FROM listed)
         GROUP BY 1
    ), carried AS (
        SELECT n, day, begins, ends, first_equity, end_equity,
               first_value(end_equity) OVER (PARTITION BY measured_days ORDER BY day) AS newest
          FROM (SELECT n, day, begins, ends, first_equity, end_equity,
                       count(end_equity) OVER (ORDER BY day) AS measured_days
                  FROM listed
                  LEFT JOIN measured USING (day)) AS counted
    ), balances AS (
        SELECT n, day, begins, ends, end_equity,
               coalesce(lag(newest) OVER (ORDER BY day),
                        (SELECT equity
                           FROM equity_hours
                          WHERE quote = %(quote)s
                            AND hour < (SELECT min(begins) FROM listed)
                          ORDER BY hour DESC
                          LIMIT 1),
                        first_equity) AS start_equity
          FROM carried
    ), stops AS MATERIALIZED (
        SELECT kind, market, reason, since, coalesce(ended_at, 'infinity') AS ended_at
          FROM trading_halts
         WHERE since < (SELECT max(ends) FROM listed)
           AND (ended_at IS NULL OR ended_at >= (SELECT min(begins) FROM listed))
           AND (market IS NULL OR split_part(market, '-', 1) = %(quote)s)
    )
"""
    + page_of("""
      FROM (SELECT n, day, begins, ends, start_equity, end_equity,
                   day::timestamp AT TIME ZONE 'UTC' AS at, 0 AS row_id
              FROM balances) AS found
     CROSS JOIN LATERAL (
            SELECT coalesce(sum(value), 0) AS deposits
              FROM deposit_values
             WHERE deposit_values.at >= found.begins
               AND deposit_values.at < found.ends) AS moved
     CROSS JOIN LATERAL (
            SELECT coalesce(sum(fills), 0) AS fills,
                   coalesce(sum(bought_funds), 0) AS bought_funds,
                   coalesce(sum(sold_funds), 0) AS sold_funds,
                   coalesce(sum(fees), 0) AS fees,
                   coalesce(sum(realised_pnl), 0) AS realised_pnl,
                   coalesce(sum(wins), 0) AS wins,
                   coalesce(sum(losses), 0) AS losses
              FROM daily_stats
             WHERE day = found.day
               AND split_part(market, '-', 1) = %(quote)s) AS traded
     CROSS JOIN LATERAL (
            SELECT coalesce(bool_or(kind = 'HALTED'), false) AS halted,
                   coalesce(json_agg(json_build_object('kind', kind, 'market', market,
                                                       'reason', reason)
                                     ORDER BY since, kind, market, reason), '[]') AS halts
              FROM (SELECT kind, market, reason, min(since) AS since
                      FROM stops
                     WHERE since < found.ends
                       AND ended_at >= found.begins
                     GROUP BY kind, market, reason) AS stood) AS stopped
     CROSS JOIN LATERAL (
            SELECT found.day,
                   trim_scale(found.start_equity)::text AS start_equity,
                   trim_scale(found.end_equity)::text AS end_equity,
                   trim_scale(moved.deposits)::text AS deposits,
                   trim_scale(traded.realised_pnl)::text AS realised_pnl,
                   trim_scale(round(traded.realised_pnl / nullif(found.start_equity, 0), 8))::text
                       AS return_ratio,
                   trim_scale(traded.fees)::text AS fees,
                   traded.fills,
                   trim_scale(traded.bought_funds)::text AS bought_funds,
                   trim_scale(traded.sold_funds)::text AS sold_funds,
                   traded.wins,
                   traded.losses,
                   trim_scale(round(traded.wins / nullif(traded.wins + traded.losses, 0), 8))::text
                       AS win_rate,
                   stopped.halted,
                   stopped.halts) AS item
""")
)
