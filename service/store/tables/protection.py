"""What protection keeps of each position: its highest price, its exit, and that it is dust."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from service.domain.markets import Market
from service.domain.orders import Breach, ExitRule
from service.ports.protection import StoredProtection
from service.store.database.json_rows import recordset
from service.store.database.pool import Pool

ALL = """
    SELECT market, opened_at, highest, rule, exit_price, exit_limit, is_dust
      FROM protected_positions
     ORDER BY market
"""

# The row that was there is read as before the statement. A position that is dust for the first time
# gets its risk event in the same one.
SAVE = """
    WITH given AS (
        SELECT *
          FROM json_to_recordset(%(rows)s::json) AS given (
               market text, opened_at timestamptz, highest numeric, rule text, exit_price numeric,
               exit_limit numeric, is_dust boolean)
    ), told AS (
        INSERT INTO risk_events (at, event, market, reason, actor, detail)
        SELECT %(at)s, 'DUST', given.market, 'below_minimum', 'system:protection',
               jsonb_build_object('opened_at', given.opened_at)
          FROM given
          LEFT JOIN protected_positions AS known
            ON known.market = given.market AND known.opened_at = given.opened_at
         WHERE given.is_dust
           AND NOT coalesce(known.is_dust, false)
    )
    INSERT INTO protected_positions AS known (
           market, opened_at, highest, rule, exit_price, exit_limit, is_dust, updated_at)
    SELECT market, opened_at, highest, rule, exit_price, exit_limit, is_dust, %(at)s
      FROM given
     ORDER BY market
        ON CONFLICT (market) DO UPDATE
       SET opened_at = excluded.opened_at,
           highest = CASE WHEN known.opened_at = excluded.opened_at
                          THEN greatest(known.highest, excluded.highest)
                          ELSE excluded.highest
                     END,
           rule = excluded.rule,
           exit_price = excluded.exit_price,
           exit_limit = excluded.exit_limit,
           is_dust = excluded.is_dust,
           updated_at = excluded.updated_at
"""

# The minute in which a position was opened began before it: its high may be from before, too.
HIGHEST = """
    SELECT max(high)
      FROM candles
     WHERE market = %(market)s
       AND timeframe = '1m'
       AND opened_at >= %(since)s
       AND high <= greatest(open, close) * (1 + %(max_jump_pct)s / 100.0)
"""


class PgProtections:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def all(self) -> Sequence[StoredProtection]:
        async with self._pool.cursor() as cur:
            await cur.execute(ALL)
            return tuple(
                StoredProtection(
                    market=Market.parse(market),
                    opened_at=opened_at,
                    highest=highest,
                    exit=None
                    if rule is None
                    else Breach(rule=ExitRule(rule), price=price, limit=limit),
                    is_dust=is_dust,
                )
                for market, opened_at, highest, rule, price, limit, is_dust in await cur.fetchall()
            )

    async def save(self, rows: Sequence[StoredProtection], *, at: datetime) -> None:
        if not rows:
            return
        args = {"rows": recordset(map(_row, rows)), "at": at}
        async with self._pool.cursor() as cur:
            await cur.execute(SAVE, args)

    async def highest(
        self, market: Market, *, since: datetime, max_jump_pct: Decimal
    ) -> Decimal | None:
        args = {"market": str(market), "since": since, "max_jump_pct": max_jump_pct}
        async with self._pool.cursor() as cur:
            await cur.execute(HIGHEST, args)
            row = await cur.fetchone()
        return row[0] if row else None


def _row(one: StoredProtection) -> Mapping[str, object]:
    breach = one.exit
    return {
        "market": str(one.market),
        "opened_at": one.opened_at,
        "highest": one.highest,
        "rule": None if breach is None else breach.rule.value,
        "exit_price": None if breach is None else breach.price,
        "exit_limit": None if breach is None else breach.limit,
        "is_dust": one.is_dust,
    }
