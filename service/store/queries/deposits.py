"""SQL that values deposits in one quote currency, and that takes them out of the equity curve."""

from typing import Final

# A coin counts at its price when it came. The account's equity holds the coins of collected
# markets only, and each of these has candles. Any other coin is in neither. The account shows a
# deposit between `begins` and `ends`: it is detected a look or two after it came, and a snapshot
# of a minute may read the balances up to a minute later.
DEPOSIT_VALUES: Final = """
    deposit_values AS MATERIALIZED (
        SELECT deposits.at,
               least(deposits.at, deposits.seen_at) - interval '5 minutes' AS begins,
               greatest(deposits.at, deposits.seen_at) AS ends,
               deposits.amount * priced.price AS value
          FROM deposits
         CROSS JOIN LATERAL (
                SELECT 1::numeric AS price
                 WHERE deposits.currency = %(quote)s
                 UNION ALL
                (SELECT close
                   FROM candles
                  WHERE deposits.currency <> %(quote)s
                    AND market = %(quote)s || '-' || deposits.currency
                    AND timeframe = '1m'
                    AND opened_at <= deposits.at
                  ORDER BY opened_at DESC
                  LIMIT 1)) AS priced
    )
"""

# Between deposits the equity moves by profit and loss alone. Each piece of the curve is scaled so
# that it begins where the one before it ended: what a fund does with units. A drawdown is a ratio,
# so within a piece it stays as it was stored. The minutes in which a deposit came count by their
# end only. A deposit into nothing, or a withdrawal of 99 per cent or more, begins a new curve.
PIECES: Final = (
    DEPOSIT_VALUES
    + """
  , numbered AS (
        SELECT begins, ends, value,
               sum(is_apart) OVER (ORDER BY begins, ends) AS n
          FROM (SELECT begins, ends, value,
                       CASE WHEN begins <= max(ends) OVER (
                                     ORDER BY begins, ends
                                      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                            THEN 0 ELSE 1
                       END AS is_apart
                  FROM deposit_values
                 WHERE ends >= %(since)s) AS parted
    ), jumps AS (
        SELECT min(begins) AS begins, max(ends) AS ends, sum(value) AS value
          FROM numbered
         GROUP BY n
    ), scaled AS (
        SELECT begins, ends,
               CASE WHEN before.equity > 0 AND before.equity + value >= before.equity / 100
                    THEN ln(before.equity / (before.equity + value))
               END AS scale
          FROM jumps
          LEFT JOIN LATERAL (
                SELECT equity
                  FROM equity_snapshots
                 WHERE quote = %(quote)s
                   AND at < jumps.begins
                 ORDER BY at DESC
                 LIMIT 1) AS before ON true
    ), pieces AS MATERIALIZED (
        SELECT %(since)s AS begins,
               coalesce(min(begins), 'infinity') AS ends,
               0 AS curve,
               1::numeric AS factor
          FROM scaled
         UNION ALL
        SELECT greatest(ends, %(since)s),
               coalesce(lead(begins) OVER (ORDER BY begins), 'infinity'),
               count(*) FILTER (WHERE scale IS NULL) OVER (ORDER BY begins),
               exp(coalesce(sum(scale) OVER (ORDER BY begins), 0))
          FROM scaled
    )
"""
)
