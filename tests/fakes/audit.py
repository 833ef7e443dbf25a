"""The audit trail in memory."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.ports.store import JSON


class FakeAudit:
    """Satisfies ports.Audit."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.details: list[Mapping[str, JSON]] = []
        self.fail: BaseException | None = None

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
        if self.fail is not None:
            raise self.fail
        self.rows.append(
            {"actor": actor, "action": action, "subject": subject, "request_id": request_id}
        )
        self.details.append(detail)
