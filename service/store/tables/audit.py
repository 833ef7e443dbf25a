"""The audit trail: one row for each thing a caller asked for."""

from collections.abc import Mapping
from datetime import datetime

from service.ports.store import JSON
from service.store.database.json_rows import json_text
from service.store.database.pool import Pool

ADD = """
    INSERT INTO audit_log (at, actor, action, subject, detail, request_id)
    VALUES (%(at)s, %(actor)s, %(action)s, %(subject)s, %(detail)s::jsonb, %(request_id)s)
"""

# Its answer may be lost, or the process may end before it is noted: then it is asked for again.
ADD_ONCE = """
    INSERT INTO audit_log (at, actor, action, subject, detail, request_id)
    SELECT %(at)s, %(actor)s, %(action)s, %(subject)s, %(detail)s::jsonb, %(request_id)s
     WHERE NOT EXISTS (
               SELECT
                 FROM audit_log
                WHERE at = %(at)s
                  AND actor = %(actor)s
                  AND action = %(action)s
                  AND subject = %(subject)s
                  AND detail = %(detail)s::jsonb
                  AND request_id IS NOT DISTINCT FROM %(request_id)s
           )
"""


class PgAudit:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(
        self,
        *,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, JSON],
        request_id: str | None,
        at: datetime,
        once: bool = False,
    ) -> None:
        args = {
            "at": at,
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": json_text(detail),
            "request_id": request_id,
        }
        async with self._pool.cursor() as cur:
            await cur.execute(ADD_ONCE if once else ADD, args)
