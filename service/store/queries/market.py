"""Prices and candles as the API shows them; statistics are computed here, in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.domain.markets import Market, Timeframe
from service.ports.queries import Page, PageKey
from service.store.queries.page import JsonReader, item_of, items_of, page_of

HISTORY: Final = page_of("""
      FROM (SELECT id AS row_id, collected_at AS at, price, high, low, volume_24h,
                   change_since_close_ratio, traded_at,
                   row_number() OVER (ORDER BY collected_at DESC, id DESC) AS n
              FROM market_data
             WHERE market = %(market)s
               AND (%(before_at)s::timestamptz IS NULL
                    OR collected_at <= %(before_at)s  -- a pair rules out no later month
                       AND (collected_at, id) < (%(before_at)s, %(before_id)s))
             ORDER BY collected_at DESC, id DESC
             LIMIT %(limit)s + 1) AS found
     CROSS JOIN LATERAL (
            SELECT row_id AS id,
                   %(market)s AS market,
                   trim_scale(price)::text AS price,
                   trim_scale(high)::text AS high,
                   trim_scale(low)::text AS low,
                   trim_scale(volume_24h)::text AS volume_24h,
                   trim_scale(change_since_close_ratio)::text AS change_since_close_ratio,
                   to_char(traded_at AT TIME ZONE 'UTC', %(instant)s) AS traded_at,
                   to_char(at AT TIME ZONE 'UTC', %(instant)s) AS collected_at) AS item
""")

# One index probe a market: DISTINCT ON would read every row there is.
_NEWEST: Final = """
     CROSS JOIN LATERAL (
            SELECT id,
                   market,
                   trim_scale(price)::text AS price,
                   trim_scale(high)::text AS high,
                   trim_scale(low)::text AS low,
                   trim_scale(volume_24h)::text AS volume_24h,
                   trim_scale(change_since_close_ratio)::text AS change_since_close_ratio,
                   to_char(traded_at AT TIME ZONE 'UTC', %(instant)s) AS traded_at,
                   to_char(market_data.collected_at AT TIME ZONE 'UTC', %(instant)s) AS collected_at
              FROM market_data
             WHERE market_data.market = asked.market
             ORDER BY market_data.collected_at DESC, id DESC
             LIMIT 1) AS item
"""

_EACH_ASKED: Final = """
      FROM unnest(%(markets)s::text[]) WITH ORDINALITY AS asked (market, n)
"""

_ONE_ASKED: Final = """
      FROM (SELECT %(market)s::text AS market) AS asked
"""

LATEST: Final = items_of(_EACH_ASKED + _NEWEST)
PRICE: Final = item_of(_ONE_ASKED + _NEWEST)

CANDLES: Final = page_of("""
      FROM (SELECT 0 AS row_id, opened_at AS at, open, high, low, close, volume, funds,
                   row_number() OVER (ORDER BY opened_at DESC) AS n
              FROM candles
             WHERE market = %(market)s
               AND timeframe = %(timeframe)s
               AND (%(before_at)s::timestamptz IS NULL OR opened_at < %(before_at)s)
             ORDER BY opened_at DESC
             LIMIT %(limit)s + 1) AS found
     CROSS JOIN LATERAL (
            SELECT %(market)s AS market,
                   %(timeframe)s AS timeframe,
                   to_char(at AT TIME ZONE 'UTC', %(instant)s) AS opened_at,
                   trim_scale(open)::text AS open,
                   trim_scale(high)::text AS high,
                   trim_scale(low)::text AS low,
                   trim_scale(close)::text AS close,
                   trim_scale(volume)::text AS volume,
                   trim_scale(funds)::text AS funds) AS item
""")

# The rows are read once; the first and the last price are probes of the index.
SUMMARY: Final = item_of("""
      FROM (SELECT count(*) AS count, min(price) AS low, max(price) AS high, avg(price) AS average,
                   min(collected_at) AS first_at, max(collected_at) AS last_at
              FROM market_data
             WHERE market = %(market)s
               AND collected_at >= %(since)s) AS total
      LEFT JOIN (SELECT price
                   FROM market_data
                  WHERE market = %(market)s
                    AND collected_at >= %(since)s
                  ORDER BY collected_at, id
                  LIMIT 1) AS oldest ON true
      LEFT JOIN (SELECT price
                   FROM market_data
                  WHERE market = %(market)s
                    AND collected_at >= %(since)s
                  ORDER BY collected_at DESC, id DESC
                  LIMIT 1) AS newest ON true
     CROSS JOIN LATERAL (
            SELECT %(market)s AS market,
                   to_char(%(since)s AT TIME ZONE 'UTC', %(instant)s) AS since,
                   count,
                   trim_scale(oldest.price)::text AS first,
                   trim_scale(newest.price)::text AS last,
                   trim_scale(low)::text AS low,
                   trim_scale(high)::text AS high,
                   trim_scale(round(average, 8))::text AS average,
                   trim_scale(newest.price - oldest.price)::text AS change,
                   trim_scale(round(newest.price / oldest.price - 1, 8))::text AS change_ratio,
                   to_char(first_at AT TIME ZONE 'UTC', %(instant)s) AS first_at,
                   to_char(last_at AT TIME ZONE 'UTC', %(instant)s) AS last_at) AS item
""")

# The newest row is looked for at any age: a collector that stopped has none since `since`.
COLLECTOR: Final = items_of("""
      FROM unnest(%(markets)s::text[]) WITH ORDINALITY AS asked (market, n)
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, max(gap) AS longest
              FROM (SELECT collected_at - lag(collected_at) OVER (ORDER BY collected_at) AS gap
                      FROM market_data
                     WHERE market_data.market = asked.market
                       AND collected_at >= %(since)s) AS gaps) AS recent
      LEFT JOIN LATERAL (
            SELECT collected_at
              FROM market_data
             WHERE market_data.market = asked.market
             ORDER BY collected_at DESC, id DESC
             LIMIT 1) AS newest ON true
     CROSS JOIN LATERAL (
            SELECT asked.market AS market,
                   rows,
                   to_char(newest.collected_at AT TIME ZONE 'UTC', %(instant)s) AS newest_at,
                   extract(epoch FROM longest)::float8 AS longest_gap_seconds) AS item
""")


class MarketLists(JsonReader):
    async def market_history(
        self, market: Market, *, limit: int, before: PageKey | None = None
    ) -> Page:
        return await self._page(HISTORY, limit=limit, before=before, market=str(market))

    async def market_latest(self, markets: Sequence[Market]) -> bytes:
        return await self._all(LATEST, {"markets": [str(market) for market in markets]})

    async def market_price(self, market: Market) -> bytes | None:
        return await self._one(PRICE, {"market": str(market)})

    async def market_candles(
        self, market: Market, timeframe: Timeframe, *, limit: int, before: PageKey | None = None
    ) -> Page:
        return await self._page(
            CANDLES, limit=limit, before=before, market=str(market), timeframe=timeframe.value
        )

    async def market_summary(self, market: Market, *, since: datetime) -> bytes:
        return await self._all(SUMMARY, {"market": str(market), "since": since})

    async def collector_stats(self, markets: Sequence[Market], *, since: datetime) -> bytes:
        args = {"markets": [str(market) for market in markets], "since": since}
        return await self._all(COLLECTOR, args)
