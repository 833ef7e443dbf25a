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
            await cur.execute(ADD, args)
