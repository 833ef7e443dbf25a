"""Fills: each trade is stored once, with the change of its position and of its day's statistics."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from loguru import logger

from service.domain.errors import DomainError
from service.domain.markets import Market
from service.domain.orders import Fill, Side
from service.domain.positions import Position
from service.store.database.json_rows import recordset
from service.store.database.pool import Cursor

STORED = """
    SELECT trade_uuid, order_id
      FROM fills
     WHERE trade_uuid = ANY (%(trade_uuids)s::text[])
"""

# Reads and locks the row in one statement; the first fill of a market inserts it.
HOLD_POSITION = """
    INSERT INTO positions (market, volume, cost, realised_pnl, fees_paid, updated_at)
    VALUES (%(market)s, 0, 0, 0, 0, %(at)s)
        ON CONFLICT (market) DO UPDATE
       SET updated_at = excluded.updated_at
    RETURNING volume, cost, realised_pnl, fees_paid, opened_at
"""

ADD_FILLS = """
    INSERT INTO fills (
           trade_uuid, order_id, market, side, price, volume, funds, fee, realised_pnl, traded_at,
           recorded_at)
    SELECT trade_uuid, %(order_id)s, %(market)s, %(side)s, price, volume, funds, fee, realised_pnl,
           traded_at, %(at)s
      FROM json_to_recordset(%(fills)s::json) AS given (
           n integer, trade_uuid text, price numeric, volume numeric, funds numeric, fee numeric,
           realised_pnl numeric, traded_at timestamptz)
     ORDER BY n
"""

MOVE_POSITION = """
    UPDATE positions
       SET volume = %(volume)s, cost = %(cost)s, realised_pnl = %(realised_pnl)s,
           fees_paid = %(fees_paid)s, opened_at = %(opened_at)s
     WHERE market = %(market)s
"""

# Runs after HOLD_POSITION. Only the transaction with the position's lock writes its market's days,
# so this statement never waits for a lock. A sale counts as one order, won or lost, on the day of
# its first fill. A later fill may change the outcome.
COUNT_DAYS = """
    WITH mine AS (
        SELECT id, (traded_at AT TIME ZONE 'Asia/Seoul')::date AS day, volume, funds, fee,
               realised_pnl, trade_uuid = ANY (%(trade_uuids)s::text[]) AS is_new
          FROM fills
         WHERE order_id = %(order_id)s
    ), outcome AS (
        SELECT (array_agg(day ORDER BY id))[1] AS day,
               sum(realised_pnl) AS earned,
               coalesce(sum(realised_pnl) FILTER (WHERE NOT is_new), 0) AS earned_before
          FROM mine
    )
    INSERT INTO daily_stats AS daily (
           market, day, fills, bought_volume, bought_funds, sold_volume, sold_funds, fees,
           realised_pnl, wins, losses)
    SELECT %(market)s, day, sum(fills),
           sum(CASE %(side)s WHEN 'BUY' THEN volume ELSE 0 END),
           sum(CASE %(side)s WHEN 'BUY' THEN funds ELSE 0 END),
           sum(CASE %(side)s WHEN 'SELL' THEN volume ELSE 0 END),
           sum(CASE %(side)s WHEN 'SELL' THEN funds ELSE 0 END),
           sum(fee), sum(realised_pnl), sum(wins), sum(losses)
      FROM (SELECT day, 1 AS fills, volume, funds, fee, realised_pnl, 0 AS wins, 0 AS losses
              FROM mine
             WHERE is_new
             UNION ALL
            SELECT day, 0, 0, 0, 0, 0,
                   (earned > 0)::integer - (earned_before > 0)::integer,
                   (earned < 0)::integer - (earned_before < 0)::integer
              FROM outcome
             WHERE %(side)s = 'SELL') AS counted
     GROUP BY day
     ORDER BY day
        ON CONFLICT (market, day) DO UPDATE
       SET fills = daily.fills + excluded.fills,
           bought_volume = daily.bought_volume + excluded.bought_volume,
           bought_funds = daily.bought_funds + excluded.bought_funds,
           sold_volume = daily.sold_volume + excluded.sold_volume,
           sold_funds = daily.sold_funds + excluded.sold_funds,
           fees = daily.fees + excluded.fees,
           realised_pnl = daily.realised_pnl + excluded.realised_pnl,
           wins = daily.wins + excluded.wins,
           losses = daily.losses + excluded.losses
"""


# The order's row is locked: no other transaction adds fills to it. Of an order without fills, or
# one whose fees add up, no row comes back.
CORRECT_FEE = """
    WITH booked AS (
        SELECT sum(fee) AS fee, max(id) AS last_id, sum(realised_pnl) AS earned,
               (array_agg(traded_at ORDER BY id))[1] AS first_at
          FROM fills
         WHERE order_id = %(order_id)s
    )
    UPDATE fills
       SET fee = fills.fee + %(paid_fee)s - booked.fee,
           realised_pnl = fills.realised_pnl - (%(paid_fee)s - booked.fee)
      FROM booked
     WHERE fills.id = booked.last_id
       AND booked.fee <> %(paid_fee)s
    RETURNING %(paid_fee)s - booked.fee AS missing,
              (fills.traded_at AT TIME ZONE 'Asia/Seoul')::date AS day,
              (booked.first_at AT TIME ZONE 'Asia/Seoul')::date AS first_day,
              booked.earned
"""

CHARGE_POSITION = """
    UPDATE positions
       SET fees_paid = fees_paid + %(missing)s,
           realised_pnl = realised_pnl - %(missing)s,
           updated_at = %(at)s
     WHERE market = %(market)s
"""

CHARGE_DAY = """
    UPDATE daily_stats
       SET fees = fees + %(missing)s,
           realised_pnl = realised_pnl - %(missing)s
     WHERE market = %(market)s
       AND day = %(day)s
"""

# A sale that earned less than its fee was no win.
RECOUNT_SALE = """
    UPDATE daily_stats
       SET wins = wins + (%(after)s::numeric > 0)::integer - (%(before)s::numeric > 0)::integer,
           losses = losses + (%(after)s::numeric < 0)::integer - (%(before)s::numeric < 0)::integer
     WHERE market = %(market)s
       AND day = %(day)s
"""


async def correct_fee(
    cur: Cursor, order_id: int, *, market: Market, side: Side, paid_fee: Decimal, at: datetime
) -> None:
    """Have the order's fills carry `paid_fee` in sum: the last one takes what is missing.

    The exchange tells one fee for the order, and may tell it after the trades.
    Raises: DomainError, when the fills carry more than that.
    """
    await cur.execute(CORRECT_FEE, {"order_id": order_id, "paid_fee": paid_fee})
    row = await cur.fetchone()
    if row is None:
        return
    missing, day, first_day, earned = row
    if missing < 0:
        raise DomainError(f"order {order_id}: its fee became smaller than what was booked")
    charged = {"market": str(market), "missing": missing, "day": day, "at": at}
    await cur.execute(CHARGE_POSITION, charged)
    await cur.execute(CHARGE_DAY, charged)
    if side is Side.SELL:
        sale = {"market": str(market), "day": first_day, "before": earned}
        await cur.execute(RECOUNT_SALE, sale | {"after": earned - missing})


async def is_stored(cur: Cursor, order_id: int, fills: Sequence[Fill]) -> bool:
    """Return whether one of `fills` is stored already; the caller has locked the order's row.

    Raises: DomainError, when a trade is given twice or belongs to another order.
    """
    trades = [fill.trade_uuid for fill in fills]
    if len(set(trades)) < len(trades):
        raise DomainError(f"order {order_id}: one trade is given twice, its fee would be halved")
    await cur.execute(STORED, {"trade_uuids": trades})
    owners = await cur.fetchall()
    for trade, owner in owners:
        if owner != order_id:
            raise DomainError(f"order {order_id}: trade {trade} belongs to order {owner}")
    return bool(owners)


async def add_fills(
    cur: Cursor,
    order_id: int,
    *,
    market: Market,
    side: Side,
    fills: Sequence[Fill],
    at: datetime,
) -> None:
    """Add the new `fills`, oldest first, to the market's position and to its days."""
    held = {"market": str(market), "at": at}
    # Locked before the fills get their ids: so the order of ids is the order of the position's
    # changes.
    await cur.execute(HOLD_POSITION, held)
    row = await cur.fetchone()
    assert row is not None  # noqa: S101 - INSERT ... RETURNING
    position = position_from(market, row)
    changed = []
    for n, fill in enumerate(fills):
        before, position = position, _after(position, side, fill, order_id=order_id)
        earned = position.realised_pnl - before.realised_pnl
        changed.append(asdict(fill) | {"n": n, "realised_pnl": earned})
    rows = recordset(changed)
    await cur.execute(ADD_FILLS, held | {"order_id": order_id, "side": side.value, "fills": rows})
    await cur.execute(MOVE_POSITION, asdict(position) | {"market": str(market)})
    trades = [fill.trade_uuid for fill in fills]
    counted = {"order_id": order_id, "market": str(market), "side": side.value}
    await cur.execute(COUNT_DAYS, counted | {"trade_uuids": trades})


def _after(position: Position, side: Side, fill: Fill, *, order_id: int) -> Position:
    """Fold one fill, even one that sells coins this service never bought.

    The trade has happened on the exchange. Without its row the money could not be traced, and the
    order would stay open for ever. So the fill is stored whole. The position ends at zero, with the
    proceeds of its own coins only, and an error is logged: the operator must find the purchase.
    """
    if side is Side.SELL and fill.volume > position.volume:
        # No volumes here: what is held never appears in a log.
        logger.bind(
            event="order",
            market=str(position.market),
            order_id=order_id,
            trade_uuid=fill.trade_uuid,
        ).error("a fill sold more coins than our books hold; compare them with the exchange")
        fill = position.part_held(fill)
    return position.after(side, fill)


def fill_from(row: Sequence[Any]) -> Fill:
    trade_uuid, price, volume, funds, fee, traded_at = row
    return Fill(
        trade_uuid=trade_uuid,
        price=price,
        volume=volume,
        funds=funds,
        fee=fee,
        traded_at=traded_at,
    )


def position_from(market: Market, row: Sequence[Any]) -> Position:
    volume, cost, realised_pnl, fees_paid, opened_at = row
    return Position(
        market=market,
        volume=volume,
        cost=cost,
        realised_pnl=realised_pnl,
        fees_paid=fees_paid,
        opened_at=opened_at,
    )
