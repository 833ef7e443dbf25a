"""Orders and fills as the API shows them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from service.domain.markets import Market
from service.domain.orders import OrderStatus
from service.domain.stuck_orders import ADVICE, ADVICE_ASIDE, ON_THE_BOOK_S, UNCERTAIN_S
from service.ports.queries import Page, PageKey
from service.store.queries.page import JsonReader, code, item_of, page_of

ORDERS: Final = page_of("""
      FROM (SELECT id AS row_id, created_at AS at, identifier, exchange_uuid, market, side, type,
                   price, volume, funds, status, reason, executed_volume, executed_funds, paid_fee,
                   decision_id, sent_at, updated_at, origin, rule, quarantined_at,
                   quarantine_reason,
                   row_number() OVER (ORDER BY created_at DESC, id DESC) AS n
              FROM orders
             WHERE (%(market)s::text IS NULL OR market = %(market)s)
               AND (%(status)s::text IS NULL OR status = %(status)s)
               AND (%(before_at)s::timestamptz IS NULL
                    OR (created_at, id) < (%(before_at)s, %(before_id)s))
             ORDER BY created_at DESC, id DESC
             LIMIT %(limit)s + 1) AS found
     CROSS JOIN LATERAL (
            SELECT CASE
                       WHEN quarantined_at IS NOT NULL AND %(now)s::timestamptz IS NOT NULL
                       THEN %(aside)s
                       WHEN status IN ('PENDING', 'UNKNOWN')
                        AND %(now)s::timestamptz - sent_at >= %(uncertain_for)s
                       THEN %(uncertain)s
                       WHEN status IN ('SUBMITTED', 'PARTIALLY_FILLED') AND type = 'MARKET'
                        AND %(now)s::timestamptz - sent_at >= %(on_the_book_for)s
                       THEN %(on_the_book)s
                   END AS what_to_do) AS advice
     CROSS JOIN LATERAL (
            SELECT row_id AS id,
                   identifier,
                   exchange_uuid,
                   market,
                   side,
                   type,
                   trim_scale(price)::text AS price,
                   trim_scale(volume)::text AS volume,
                   trim_scale(funds)::text AS funds,
                   status,
                   reason,
                   trim_scale(executed_volume)::text AS executed_volume,
                   trim_scale(executed_funds)::text AS executed_funds,
                   trim_scale(round(executed_funds / nullif(executed_volume, 0), 8))::text
                       AS average_price,
                   trim_scale(paid_fee)::text AS paid_fee,
                   decision_id,
                   to_char(at AT TIME ZONE 'UTC', %(instant)s) AS created_at,
                   to_char(sent_at AT TIME ZONE 'UTC', %(instant)s) AS sent_at,
                   to_char(updated_at AT TIME ZONE 'UTC', %(instant)s) AS updated_at,
                   what_to_do IS NOT NULL AS stuck,
                   what_to_do,
                   origin,
                   rule,
                   to_char(quarantined_at AT TIME ZONE 'UTC', %(instant)s) AS quarantined_at,
                   quarantine_reason) AS item
""")

ORDER: Final = item_of("""
      FROM orders AS o
      LEFT JOIN decisions ON decisions.id = o.decision_id
     CROSS JOIN LATERAL (
            SELECT coalesce(json_agg(fill ORDER BY fill.id), '[]') AS fills
              FROM fills AS f
             CROSS JOIN LATERAL (
                    SELECT f.id,
                           f.trade_uuid,
                           f.order_id,
                           f.market,
                           f.side,
                           trim_scale(f.price)::text AS price,
                           trim_scale(f.volume)::text AS volume,
                           trim_scale(f.funds)::text AS funds,
                           trim_scale(f.fee)::text AS fee,
                           trim_scale(f.realised_pnl)::text AS realised_pnl,
                           to_char(f.traded_at AT TIME ZONE 'UTC', %(instant)s) AS traded_at,
                           to_char(f.recorded_at AT TIME ZONE 'UTC', %(instant)s) AS recorded_at
                   ) AS fill
             WHERE f.order_id = o.id) AS booked
     CROSS JOIN LATERAL (
            SELECT CASE
                       WHEN o.quarantined_at IS NOT NULL AND %(now)s::timestamptz IS NOT NULL
                       THEN %(aside)s
                       WHEN o.status IN ('PENDING', 'UNKNOWN')
                        AND %(now)s::timestamptz - o.sent_at >= %(uncertain_for)s
                       THEN %(uncertain)s
                       WHEN o.status IN ('SUBMITTED', 'PARTIALLY_FILLED') AND o.type = 'MARKET'
                        AND %(now)s::timestamptz - o.sent_at >= %(on_the_book_for)s
                       THEN %(on_the_book)s
                   END AS what_to_do) AS advice
     CROSS JOIN LATERAL (
            SELECT o.id,
                   o.identifier,
                   o.exchange_uuid,
                   o.market,
                   o.side,
                   o.type,
                   trim_scale(o.price)::text AS price,
                   trim_scale(o.volume)::text AS volume,
                   trim_scale(o.funds)::text AS funds,
                   o.status,
                   o.reason,
                   trim_scale(o.executed_volume)::text AS executed_volume,
                   trim_scale(o.executed_funds)::text AS executed_funds,
                   trim_scale(round(o.executed_funds / nullif(o.executed_volume, 0), 8))::text
                       AS average_price,
                   trim_scale(o.paid_fee)::text AS paid_fee,
                   o.decision_id,
                   to_char(o.created_at AT TIME ZONE 'UTC', %(instant)s) AS created_at,
                   to_char(o.sent_at AT TIME ZONE 'UTC', %(instant)s) AS sent_at,
                   to_char(o.updated_at AT TIME ZONE 'UTC', %(instant)s) AS updated_at,
                   what_to_do IS NOT NULL AS stuck,
                   what_to_do,
                   o.origin,
                   o.rule,
                   to_char(o.quarantined_at AT TIME ZONE 'UTC', %(instant)s) AS quarantined_at,
                   o.quarantine_reason,
                   o.quarantine_detail,
                   decisions.signal_id,
                   coalesce(decisions.checks, '[]') AS checks,
                   booked.fills) AS item
     WHERE o.id = %(order_id)s
""")

FILLS: Final = page_of("""
      FROM (SELECT id AS row_id, traded_at AS at, trade_uuid, order_id, market, side, price,
                   volume, funds, fee, realised_pnl, recorded_at,
                   row_number() OVER (ORDER BY traded_at DESC, id DESC) AS n
              FROM fills
             WHERE (%(market)s::text IS NULL OR market = %(market)s)
               AND (%(before_at)s::timestamptz IS NULL
                    OR (traded_at, id) < (%(before_at)s, %(before_id)s))
             ORDER BY traded_at DESC, id DESC
             LIMIT %(limit)s + 1) AS found
     CROSS JOIN LATERAL (
            SELECT row_id AS id,
                   trade_uuid,
                   order_id,
                   market,
                   side,
                   trim_scale(price)::text AS price,
                   trim_scale(volume)::text AS volume,
                   trim_scale(funds)::text AS funds,
                   trim_scale(fee)::text AS fee,
                   trim_scale(realised_pnl)::text AS realised_pnl,
                   to_char(at AT TIME ZONE 'UTC', %(instant)s) AS traded_at,
                   to_char(recorded_at AT TIME ZONE 'UTC', %(instant)s) AS recorded_at) AS item
""")


#: With `now`, what both statements say about stuck orders.
STUCK_ARGS: Final[Mapping[str, object]] = {
    "aside": ADVICE_ASIDE,
    "uncertain_for": timedelta(seconds=UNCERTAIN_S),
    "uncertain": ADVICE[OrderStatus.UNKNOWN],
    "on_the_book_for": timedelta(seconds=ON_THE_BOOK_S),
    "on_the_book": ADVICE[OrderStatus.SUBMITTED],
}


class OrderLists(JsonReader):
    async def orders(
        self,
        *,
        limit: int,
        before: PageKey | None = None,
        market: Market | None = None,
        status: OrderStatus | None = None,
        now: datetime | None = None,
    ) -> Page:
        return await self._page(
            ORDERS,
            limit=limit,
            before=before,
            market=code(market),
            status=code(status),
            now=now,
            **STUCK_ARGS,
        )

    async def order(self, order_id: int, *, now: datetime | None = None) -> bytes | None:
        return await self._one(ORDER, {"order_id": order_id, "now": now, **STUCK_ARGS})

    async def fills(
        self, *, limit: int, before: PageKey | None = None, market: Market | None = None
    ) -> Page:
        return await self._page(FILLS, limit=limit, before=before, market=code(market))
