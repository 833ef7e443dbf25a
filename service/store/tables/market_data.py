"""Collected prices and candles."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from service.domain.limits.volatility import MinuteRange
from service.domain.markets import Candle, Market, Ticker, Timeframe
from service.domain.order_checks import PriceRange
from service.store.database.json_rows import recordset
from service.store.database.pool import Pool
from service.store.database.refusals import refusals_about
from service.store.tables.partitions import insert

ADD_TICKERS = """
    INSERT INTO market_data (
           market, price, high, low, volume_24h, change_since_close_ratio, traded_at, collected_at)
    SELECT market, price, high, low, volume_24h, change_since_close_ratio, traded_at, %(at)s
      FROM json_to_recordset(%(tickers)s::json) AS given (
           market text, price numeric, high numeric, low numeric, volume_24h numeric,
           change_since_close_ratio numeric, traded_at timestamptz)
"""

LATEST_ID = """
    SELECT id
      FROM market_data
     WHERE market = %(market)s
     ORDER BY collected_at DESC, id DESC
     LIMIT 1
"""

NEWEST_PRICES = """
    SELECT asked.market, newest.price
      FROM unnest(%(markets)s::text[]) AS asked (market)
     CROSS JOIN LATERAL (
            SELECT price
              FROM market_data
             WHERE market_data.market = asked.market
               AND collected_at >= %(since)s
             ORDER BY collected_at DESC, id DESC
             LIMIT 1) AS newest
"""

PRICE_RANGE = """
    SELECT min(price), max(price)
      FROM market_data
     WHERE market = %(market)s
       AND collected_at BETWEEN %(since)s AND %(until)s
"""

MINUTE_RANGES = """
    SELECT market, extract(epoch FROM minute)::bigint / 60, min(low), max(high)
      FROM (SELECT market, opened_at AS minute, low, high
              FROM candles
             WHERE market = ANY (%(markets)s::text[])
               AND timeframe = '1m'
               AND opened_at >= %(since)s
               AND opened_at < %(before)s
             UNION ALL
            SELECT market, date_trunc('minute', collected_at, 'UTC'), price, price
              FROM market_data
             WHERE market = ANY (%(markets)s::text[])
               AND collected_at >= %(since)s
               AND collected_at < %(before)s) AS known
     GROUP BY market, minute
     ORDER BY market, minute
"""

NEWEST_CANDLE_AT = """
    SELECT max(opened_at)
      FROM candles
     WHERE market = %(market)s
       AND timeframe = %(timeframe)s
       AND opened_at < %(before)s
"""

# Most candles of a pass are stored already: only those that differ are written again.
# Rows are written in key order, so that two concurrent passes cannot deadlock.
PUT_CANDLES = """
    INSERT INTO candles AS stored (
           market, timeframe, opened_at, open, high, low, close, volume, funds)
    SELECT market, timeframe, opened_at, open, high, low, close, volume, funds
      FROM json_to_recordset(%(candles)s::json) AS given (
           market text, timeframe text, opened_at timestamptz, open numeric, high numeric,
           low numeric, close numeric, volume numeric, funds numeric)
     ORDER BY market, timeframe, opened_at
        ON CONFLICT (market, timeframe, opened_at) DO UPDATE
       SET open = excluded.open, high = excluded.high, low = excluded.low,
           close = excluded.close, volume = excluded.volume, funds = excluded.funds
     WHERE (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.funds)
           IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close,
                             excluded.volume, excluded.funds)
"""


class PgMarketData:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add_tickers(self, tickers: Sequence[Ticker], *, at: datetime) -> None:
        if not tickers:
            return
        args = {"tickers": recordset(map(_ticker_row, tickers)), "at": at}
        with refusals_about("prices"):
            await insert(self._pool, ADD_TICKERS, args, tables=("market_data",), at=(at,))

    async def latest_id(self, market: Market) -> int | None:
        async with self._pool.cursor() as cur:
            await cur.execute(LATEST_ID, {"market": str(market)})
            row = await cur.fetchone()
            return None if row is None else int(row[0])

    async def newest_prices(
        self, markets: Sequence[Market], *, since: datetime
    ) -> Mapping[Market, Decimal]:
        args = {"markets": [str(market) for market in markets], "since": since}
        async with self._pool.cursor() as cur:
            await cur.execute(NEWEST_PRICES, args)
            return {Market.parse(market): price for market, price in await cur.fetchall()}

    async def price_range(
        self, market: Market, *, since: datetime, until: datetime
    ) -> PriceRange | None:
        async with self._pool.cursor() as cur:
            await cur.execute(PRICE_RANGE, {"market": str(market), "since": since, "until": until})
            row = await cur.fetchone()
        return None if row is None or row[0] is None else PriceRange(low=row[0], high=row[1])

    async def minute_ranges(
        self, markets: Sequence[Market], *, since: datetime, before: datetime
    ) -> Mapping[Market, Sequence[MinuteRange]]:
        names = [str(market) for market in markets]
        args = {"markets": names, "since": since, "before": before}
        found: dict[Market, list[MinuteRange]] = {}
        async with self._pool.cursor() as cur:
            await cur.execute(MINUTE_RANGES, args)
            for market, minute, low, high in await cur.fetchall():
                one = MinuteRange(minute=minute, low=low, high=high)
                found.setdefault(Market.parse(market), []).append(one)
        return found

    async def newest_candle_at(
        self, market: Market, timeframe: Timeframe, *, before: datetime
    ) -> datetime | None:
        args = {"market": str(market), "timeframe": timeframe.value, "before": before}
        async with self._pool.cursor() as cur:
            await cur.execute(NEWEST_CANDLE_AT, args)
            row = await cur.fetchone()
            return row[0] if row else None

    async def put_candles(self, candles: Sequence[Candle]) -> None:
        # PostgreSQL refuses to upsert one row twice in a statement: of equal keys the later one
        # stays.
        single = {(c.market, c.timeframe, c.opened_at): c for c in candles}
        if not single:
            return
        args = {"candles": recordset(map(_candle_row, single.values()))}
        with refusals_about("candles"):
            async with self._pool.cursor() as cur:
                await cur.execute(PUT_CANDLES, args)


def _ticker_row(ticker: Ticker) -> dict[str, object]:
    return {
        "market": str(ticker.market),
        "price": ticker.price,
        "high": ticker.high,
        "low": ticker.low,
        "volume_24h": ticker.volume_24h,
        "change_since_close_ratio": ticker.change_since_close_ratio,
        "traded_at": ticker.traded_at,
    }


def _candle_row(candle: Candle) -> dict[str, object]:
    return {
        "market": str(candle.market),
        "timeframe": candle.timeframe,
        "opened_at": candle.opened_at,
        "open": candle.open,
        "high": candle.high,
        "low": candle.low,
        "close": candle.close,
        "volume": candle.volume,
        "funds": candle.funds,
    }
