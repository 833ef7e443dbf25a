"""Alerts as the API shows them, with how far each has come."""

from typing import Final

from service.ports.queries import Page, PageKey
from service.store.queries.page import JsonReader, item_of, page_of

_ITEM: Final = """
     CROSS JOIN LATERAL (
            SELECT found.id,
                   kind,
                   key,
                   severity,
                   title,
                   body,
                   state,
                   reason,
                   occurrences,
                   to_char(created_at AT TIME ZONE 'UTC', %(instant)s) AS created_at,
                   to_char(last_at AT TIME ZONE 'UTC', %(instant)s) AS last_at,
                   to_char(recovered_at AT TIME ZONE 'UTC', %(instant)s) AS recovered_at,
                   about,
                   summary,
                   attempts,
                   to_char(next_attempt_at AT TIME ZONE 'UTC', %(instant)s) AS next_attempt_at,
                   to_json(delivered_to) AS delivered_to,
                   to_char(sent_at AT TIME ZONE 'UTC', %(instant)s) AS sent_at,
                   last_error,
                   told_again,
                   to_char(tell_again_at AT TIME ZONE 'UTC', %(instant)s) AS tell_again_at,
                   to_char(acknowledged_at AT TIME ZONE 'UTC', %(instant)s) AS acknowledged_at,
                   acknowledged_by) AS item
"""

ALERTS: Final = page_of(
    """
      FROM (SELECT id AS row_id, created_at AS at, alerts.*,
                   row_number() OVER (ORDER BY created_at DESC, id DESC) AS n
              FROM alerts
             WHERE (%(state)s::text IS NULL OR state = %(state)s)
               AND (%(severity)s::text IS NULL OR severity = %(severity)s)
               AND (%(before_at)s::timestamptz IS NULL
                    OR (created_at, id) < (%(before_at)s, %(before_id)s))
             ORDER BY created_at DESC, id DESC
             LIMIT %(limit)s + 1) AS found"""
    + _ITEM
)

ALERT: Final = item_of(
    """
      FROM (SELECT * FROM alerts WHERE id = %(alert_id)s) AS found"""
    + _ITEM
)


class AlertLists(JsonReader):
    async def alerts(
        self,
        *,
        limit: int,
        before: PageKey | None = None,
        state: str | None = None,
        severity: str | None = None,
    ) -> Page:
        return await self._page(ALERTS, limit=limit, before=before, state=state, severity=severity)

    async def alert(self, alert_id: int) -> bytes | None:
        return await self._one(ALERT, {"alert_id": alert_id})
