"""Risk events as the API shows them."""

from typing import Final

from service.ports.queries import Page, PageKey
from service.store.queries.page import JsonReader, code, page_of

RISK_EVENTS: Final = page_of("""
      FROM (SELECT id AS row_id, at, event, kind, market, reason, actor, detail,
                   row_number() OVER (ORDER BY at DESC, id DESC) AS n
              FROM risk_events
             WHERE (%(event)s::text IS NULL OR event = %(event)s)
               AND (%(before_at)s::timestamptz IS NULL
                    OR (at, id) < (%(before_at)s, %(before_id)s))
             ORDER BY at DESC, id DESC
             LIMIT %(limit)s + 1) AS found
     CROSS JOIN LATERAL (
            SELECT row_id AS id,
                   event,
                   kind AS state,
                   market,
                   reason,
                   actor,
                   detail,
                   to_char(found.at AT TIME ZONE 'UTC', %(instant)s) AS occurred_at) AS item
""")


class RiskLists(JsonReader):
    async def risk_events(
        self, *, limit: int, before: PageKey | None = None, event: str | None = None
    ) -> Page:
        return await self._page(RISK_EVENTS, limit=limit, before=before, event=code(event))
