"""Equity of the account: a snapshot a minute, and a summary row an hour."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal

from service.domain.portfolio import Equity
from service.store.database.json_rows import recordset
from service.store.database.pool import Pool
from service.store.tables.partitions import insert

# The hour's row lock admits one writer at a time. A minute that is stored already, or older than
# the newest one, is stored in neither table. So the minutes of an hour are added oldest first, and
# the hour's drawdown is exact.
ADD = """
    WITH given AS (
        SELECT quote, cash, coins, cash + coins AS equity, realised_pnl, unrealised_pnl, fees_paid
          FROM json_to_recordset(%(equities)s::json) AS given (
               quote text, cash numeric, coins numeric, realised_pnl numeric,
               unrealised_pnl numeric, fees_paid numeric)
    ), rolled AS (
        INSERT INTO equity_hours AS stored (
               quote, hour, first_at, first_equity, first_pnl, low, high, drawdown_ratio,
               newest_at, cash, coins, equity, realised_pnl, unrealised_pnl, fees_paid)
        SELECT quote, date_trunc('hour', %(at)s, 'UTC'), %(at)s, equity,
               realised_pnl + unrealised_pnl, equity, equity, 0,
               %(at)s, cash, coins, equity, realised_pnl, unrealised_pnl, fees_paid
          FROM given
         ORDER BY quote
            ON CONFLICT (quote, hour) DO UPDATE
           SET low = least(stored.low, excluded.equity),
               high = greatest(stored.high, excluded.equity),
               drawdown_ratio = greatest(
                   stored.drawdown_ratio,
                   round(1 - excluded.equity / nullif(stored.high, 0), 8)),
               newest_at = excluded.newest_at,
               cash = excluded.cash,
               coins = excluded.coins,
               equity = excluded.equity,
               realised_pnl = excluded.realised_pnl,
               unrealised_pnl = excluded.unrealised_pnl,
               fees_paid = excluded.fees_paid
         WHERE stored.newest_at < excluded.newest_at
        RETURNING quote
    )
    INSERT INTO equity_snapshots (
           quote, at, cash, coins, equity, realised_pnl, unrealised_pnl, fees_paid)
    SELECT quote, %(at)s, cash, coins, equity, realised_pnl, unrealised_pnl, fees_paid
      FROM given
      JOIN rolled USING (quote)
"""


LOWEST_SINCE = """
    SELECT quote, min(equity)
      FROM equity_snapshots
     WHERE at >= %(at)s
     GROUP BY quote
"""


class PgEquities:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, equities: Sequence[Equity], *, at: datetime) -> None:
        args = {"equities": recordset(map(asdict, equities)), "at": at}
        await insert(self._pool, ADD, args, tables=("equity_snapshots",), at=(at,))

    async def lowest_since(self, at: datetime) -> Mapping[str, Decimal]:
        async with self._pool.cursor() as cur:
            await cur.execute(LOWEST_SINCE, {"at": at})
            return dict(await cur.fetchall())
