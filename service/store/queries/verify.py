"""Derives positions, orders, days and hours from fills and snapshots, and compares.

All of one instant, in one transaction that only reads. Blocking: for a thread or the command line.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Final

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so

from service.domain.errors import StoreDown
from service.domain.markets import Market
from service.domain.orders import Fill, Side
from service.domain.positions import Position
from service.domain.verification import BookDifference, BookedFill, DerivedPositions
from service.store.database.dsn import connect, named, parameters
from service.store.database.interruption import Interruption

FILLS: Final = """
    SELECT id, market, side, trade_uuid, price, volume, funds, fee, traded_at, realised_pnl
      FROM fills
     ORDER BY market, id
"""

POSITIONS: Final = """
    SELECT market, volume, cost, realised_pnl, fees_paid, opened_at
      FROM positions
"""

ORDERS: Final = """
    SELECT 'orders', orders.id::text, column_name, stored::text, derived::text
      FROM orders
      LEFT JOIN (SELECT order_id, sum(volume) AS volume, sum(funds) AS funds, sum(fee) AS fee
                   FROM fills
                  GROUP BY order_id) AS booked ON booked.order_id = orders.id
     CROSS JOIN LATERAL (VALUES
           ('executed_volume', executed_volume, coalesce(booked.volume, 0)),
           ('executed_funds', executed_funds, coalesce(booked.funds, 0)),
           ('paid_fee', paid_fee, coalesce(booked.fee, 0))
           ) AS compared (column_name, stored, derived)
     WHERE stored <> derived
     ORDER BY orders.id, column_name
"""

# A sale counts as one order, won or lost, on the Korean day of its first fill.
DAYS: Final = """
    WITH derived AS (
        SELECT market, day, sum(fills) AS fills, sum(bought_volume) AS bought_volume,
               sum(bought_funds) AS bought_funds, sum(sold_volume) AS sold_volume,
               sum(sold_funds) AS sold_funds, sum(fees) AS fees,
               sum(realised_pnl) AS realised_pnl, sum(wins) AS wins, sum(losses) AS losses
          FROM (SELECT market, (traded_at AT TIME ZONE 'Asia/Seoul')::date AS day, 1 AS fills,
                       CASE side WHEN 'BUY' THEN volume ELSE 0 END AS bought_volume,
                       CASE side WHEN 'BUY' THEN funds ELSE 0 END AS bought_funds,
                       CASE side WHEN 'SELL' THEN volume ELSE 0 END AS sold_volume,
                       CASE side WHEN 'SELL' THEN funds ELSE 0 END AS sold_funds,
                       fee AS fees, realised_pnl, 0 AS wins, 0 AS losses
                  FROM fills
                 UNION ALL
                SELECT market,
                       ((array_agg(traded_at ORDER BY id))[1] AT TIME ZONE 'Asia/Seoul')::date,
                       0, 0, 0, 0, 0, 0, 0,
                       (sum(realised_pnl) > 0)::integer,
                       (sum(realised_pnl) < 0)::integer
                  FROM fills
                 WHERE side = 'SELL'
                 GROUP BY order_id, market) AS counted
         GROUP BY market, day
    )
    SELECT 'daily_stats', market || ' ' || day, column_name, stored::text, again::text
      FROM daily_stats AS daily
      FULL JOIN derived USING (market, day)
     CROSS JOIN LATERAL (VALUES
           ('fills', daily.fills, derived.fills),
           ('bought_volume', daily.bought_volume, derived.bought_volume),
           ('bought_funds', daily.bought_funds, derived.bought_funds),
           ('sold_volume', daily.sold_volume, derived.sold_volume),
           ('sold_funds', daily.sold_funds, derived.sold_funds),
           ('fees', daily.fees, derived.fees),
           ('realised_pnl', daily.realised_pnl, derived.realised_pnl),
           ('wins', daily.wins, derived.wins),
           ('losses', daily.losses, derived.losses)
           ) AS compared (column_name, stored, again)
     WHERE stored IS DISTINCT FROM again
     ORDER BY market, day, column_name
"""

# The minutes of an hour, where they are kept, say what its row must hold.
HOURS: Final = """
    WITH derived AS (
        SELECT quote, date_trunc('hour', at, 'UTC') AS hour,
               (array_agg(equity ORDER BY at))[1] AS first_equity,
               min(equity) AS low, max(equity) AS high,
               (array_agg(equity ORDER BY at DESC))[1] AS equity,
               (array_agg(realised_pnl ORDER BY at DESC))[1] AS realised_pnl,
               (array_agg(fees_paid ORDER BY at DESC))[1] AS fees_paid
          FROM equity_snapshots
         GROUP BY quote, hour
    )
    SELECT 'equity_hours', quote || ' ' || hour, column_name, stored::text, again::text
      FROM derived
      LEFT JOIN equity_hours AS kept USING (quote, hour)
     CROSS JOIN LATERAL (VALUES
           ('first_equity', kept.first_equity, derived.first_equity),
           ('low', kept.low, derived.low),
           ('high', kept.high, derived.high),
           ('equity', kept.equity, derived.equity),
           ('realised_pnl', kept.realised_pnl, derived.realised_pnl),
           ('fees_paid', kept.fees_paid, derived.fees_paid)
           ) AS compared (column_name, stored, again)
     WHERE stored IS DISTINCT FROM again
     ORDER BY quote, hour, column_name
"""

# The newest snapshot says what the positions said, unless a fill was booked since.
EQUITY: Final = """
    WITH newest AS (
        SELECT DISTINCT ON (quote) quote, newest_at, realised_pnl, fees_paid
          FROM equity_hours
         ORDER BY quote, hour DESC
    ), derived AS (
        SELECT split_part(market, '-', 1) AS quote,
               sum(realised_pnl) AS realised_pnl, sum(fee) AS fees_paid,
               max(recorded_at) AS newest_at
          FROM fills
         GROUP BY split_part(market, '-', 1)
    )
    SELECT 'equity', quote, column_name, stored::text, again::text
      FROM newest
      JOIN derived USING (quote)
      JOIN LATERAL (SELECT max(updated_at) AS at
                      FROM positions
                     WHERE split_part(market, '-', 1) = quote) AS moved ON true
     CROSS JOIN LATERAL (VALUES
           ('realised_pnl', newest.realised_pnl, derived.realised_pnl),
           ('fees_paid', newest.fees_paid, derived.fees_paid)
           ) AS compared (column_name, stored, again)
     WHERE stored <> again
       AND greatest(derived.newest_at, moved.at) < newest.newest_at
     ORDER BY quote, column_name
"""

_BY_STATEMENT: Final = (ORDERS, DAYS, HOURS, EQUITY)
_BATCH: Final = 2_000
#: Years of fills take a minute; it reads only, and nothing waits for its locks.
_SESSION: Final = {"timezone": "UTC", "statement_timeout": "0", "idle_session_timeout": "0"}


def verify(dsn: str) -> Sequence[BookDifference]:
    """Return every stored value that the fills do not add up to, to the last decimal.

    Raises: StartError, when the database cannot be reached; StoreDown, when it goes away.
    """
    return tuple(_differences(dsn, Interruption()))


def count_differences(dsn: str, interruption: Interruption) -> Mapping[str, int]:
    """Return how many stored values of each table the fills do not add up to.

    None is kept: after a restored backup they may be as many as the history has days.

    Raises: as `verify`.
    """
    return Counter(one.table for one in _differences(dsn, interruption))


def _differences(dsn: str, interruption: Interruption) -> Iterator[BookDifference]:
    given = parameters(dsn)
    with closing(connect(given, _SESSION)) as connection, interruption.of(connection):
        connection.set_session(
            isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True, autocommit=False
        )
        try:
            yield from _positions(connection)
            yield from _sums(connection)
        except psycopg2.Error as exc:
            raise StoreDown(
                f"{named(given)} broke off the verification ({type(exc).__name__}): try again"
            ) from exc


def _positions(connection: Connection) -> Iterator[BookDifference]:
    derived = DerivedPositions()
    # A named cursor: the rows stay in the server, a batch at a time comes here.
    with connection.cursor("fills") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(FILLS)
        for fill_id, market, side, uuid, price, volume, funds, fee, at, earned in cursor:
            fill = Fill(
                trade_uuid=uuid, price=price, volume=volume, funds=funds, fee=fee, traded_at=at
            )
            yield from derived.add(
                BookedFill(
                    id=fill_id,
                    market=Market.parse(market),
                    side=Side(side),
                    fill=fill,
                    realised_pnl=earned,
                )
            )
    with connection.cursor() as cursor:
        cursor.execute(POSITIONS)
        stored = [
            Position(
                market=Market.parse(market),
                volume=volume,
                cost=cost,
                realised_pnl=earned,
                fees_paid=fees,
                opened_at=at,
            )
            for market, volume, cost, earned, fees, at in cursor.fetchall()
        ]
    yield from derived.compare(stored)


def _sums(connection: Connection) -> Iterator[BookDifference]:
    for statement in _BY_STATEMENT:
        with connection.cursor("differences") as cursor:
            cursor.itersize = _BATCH
            cursor.execute(statement)
            for table, row, column, stored, derived in cursor:
                yield BookDifference(
                    table=table, row=row, column=column, stored=stored, derived=derived
                )
