"""The read side of the API, gathered: ready JSON, one statement each."""

from typing import Final

from service.ports.queries import Page, PageKey
from service.store.queries.alerts import AlertLists
from service.store.queries.market import MarketLists
from service.store.queries.orders import OrderLists
from service.store.queries.page import page_of
from service.store.queries.risk import RiskLists
from service.store.queries.signals import SignalLists

CONFIG_CHANGES: Final = page_of("""
      FROM (SELECT id AS row_id, changed_at AS at, key, old_value, new_value, changed_by,
                   request_id,
                   row_number() OVER (ORDER BY changed_at DESC, id DESC) AS n
              FROM config_changes
             WHERE (%(key)s::text IS NULL OR key = %(key)s)
               AND (%(before_at)s::timestamptz IS NULL
                    OR (changed_at, id) < (%(before_at)s, %(before_id)s))
             ORDER BY changed_at DESC, id DESC
             LIMIT %(limit)s + 1) AS found
     CROSS JOIN LATERAL (
            SELECT row_id AS id,
                   key,
                   old_value,
                   new_value,
                   changed_by,
                   to_char(at AT TIME ZONE 'UTC', %(instant)s) AS changed_at,
                   request_id) AS item
""")

AUDIT: Final = page_of("""
      FROM (SELECT id AS row_id, at, actor, action, subject, detail, request_id,
                   row_number() OVER (ORDER BY at DESC, id DESC) AS n
              FROM audit_log
             WHERE (%(action)s::text IS NULL OR action = %(action)s)
               AND (%(before_at)s::timestamptz IS NULL
                    OR (at, id) < (%(before_at)s, %(before_id)s))
             ORDER BY at DESC, id DESC
             LIMIT %(limit)s + 1) AS found
     CROSS JOIN LATERAL (
            SELECT row_id AS id,
                   to_char(found.at AT TIME ZONE 'UTC', %(instant)s) AS occurred_at,
                   actor,
                   action,
                   subject,
                   detail,
                   request_id) AS item
""")


class PgLists(MarketLists, SignalLists, OrderLists, AlertLists, RiskLists):
    async def config_changes(
        self, *, limit: int, before: PageKey | None = None, key: str | None = None
    ) -> Page:
        return await self._page(CONFIG_CHANGES, limit=limit, before=before, key=key)

    async def audit(
        self, *, limit: int, before: PageKey | None = None, action: str | None = None
    ) -> Page:
        return await self._page(AUDIT, limit=limit, before=before, action=action)
