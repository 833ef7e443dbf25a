"""Signals as the API shows them, with what became of each: an order, or why it has none."""

from collections.abc import Sequence
from typing import Final

from service.domain.markets import Market
from service.ports.queries import Page, PageKey
from service.store.queries.page import JsonReader, code, item_of, items_of, page_of

# What became of a signal `found`. A decision has many orders only when the earlier ones failed: the
# one that counts is shown.
_OUTCOME: Final = """
      LEFT JOIN decisions ON decisions.signal_id = row_id
      LEFT JOIN LATERAL (
            SELECT id
              FROM orders
             WHERE decision_id = decisions.id
             ORDER BY status = 'FAILED', id DESC
             LIMIT 1) AS placed ON true
      LEFT JOIN LATERAL (
            SELECT reason AS lapsed
              FROM risk_events
             WHERE decision_id = decisions.id) AS lapse
             ON placed.id IS NULL AND verdict = 'ALLOWED'
"""

_SHOWN: Final = """
                   row_id AS id,
                   market,
                   action,
                   trim_scale(confidence)::text AS confidence,
                   reasoning,
                   model,
                   trim_scale(price)::text AS price,
                   market_data_id,
                   trigger,
                   to_char(at AT TIME ZONE 'UTC', %(instant)s) AS created_at,
                   CASE WHEN verdict IS NOT NULL THEN json_build_object(
                        'verdict', verdict, 'reason', reason, 'detail', detail,
                        'lapsed', lapsed)
                   END AS decision,
                   placed.id AS order_id
"""

_EVIDENCE: Final = "facts, coalesce(checks, '[]') AS checks"
_ITEM: Final = f"{_OUTCOME} CROSS JOIN LATERAL (SELECT {_SHOWN}) AS item"
_WHOLE_ITEM: Final = f"{_OUTCOME} CROSS JOIN LATERAL (SELECT {_SHOWN}, {_EVIDENCE}) AS item"

SIGNALS: Final = page_of(
    """
      FROM (SELECT id AS row_id, created_at AS at, market, action, confidence, reasoning, model,
                   price, market_data_id, trigger,
                   row_number() OVER (ORDER BY created_at DESC, id DESC) AS n
              FROM trading_signals
             WHERE (%(market)s::text IS NULL OR market = %(market)s)
               AND (%(action)s::text IS NULL OR action = %(action)s)
               AND (%(market_data_id)s::bigint IS NULL OR market_data_id = %(market_data_id)s)
               AND (%(before_at)s::timestamptz IS NULL
                    OR (created_at, id) < (%(before_at)s, %(before_id)s))
             ORDER BY created_at DESC, id DESC
             LIMIT %(limit)s + 1) AS found
"""
    + _ITEM
)

SIGNAL: Final = item_of(
    """
      FROM (SELECT id AS row_id, created_at AS at, market, action, confidence, reasoning, model,
                   price, market_data_id, trigger, facts
              FROM trading_signals
             WHERE id = %(signal_id)s) AS found
"""
    + _WHOLE_ITEM
)

LATEST: Final = items_of(
    """
      FROM unnest(%(markets)s::text[]) WITH ORDINALITY AS asked (code, n)
     CROSS JOIN LATERAL (
            SELECT id AS row_id, created_at AS at, market, action, confidence, reasoning, model,
                   price, market_data_id, trigger
              FROM trading_signals
             WHERE market = asked.code
             ORDER BY created_at DESC, id DESC
             LIMIT 1) AS found
"""
    + _ITEM
)


class SignalLists(JsonReader):
    async def signals(
        self,
        *,
        limit: int,
        before: PageKey | None = None,
        market: Market | None = None,
        action: str | None = None,
        market_data_id: int | None = None,
    ) -> Page:
        return await self._page(
            SIGNALS,
            limit=limit,
            before=before,
            market=code(market),
            action=action,
            market_data_id=market_data_id,
        )

    async def signal(self, signal_id: int) -> bytes | None:
        return await self._one(SIGNAL, {"signal_id": signal_id})

    async def signals_latest(self, markets: Sequence[Market]) -> bytes:
        return await self._all(LATEST, {"markets": [str(market) for market in markets]})
