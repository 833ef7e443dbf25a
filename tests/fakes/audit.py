"""The audit trail in memory."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.ports.store import JSON


class FakeAudit:
    """Satisfies ports.Audit.

    Attributes:
        fail: raised by every call while it is set.
        lose: raised by the next call, once its row is there.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.details: list[Mapping[str, JSON]] = []
        self.fail: BaseException | None = None
        self.lose: BaseException | None = None
        self._stored: list[tuple[object, ...]] = []

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
        if self.fail is not None:
            raise self.fail
        row = (at, actor, action, subject, detail, request_id)
        if once and row in self._stored:
            return
        self._stored.append(row)
        self.rows.append(
            {"actor": actor, "action": action, "subject": subject, "request_id": request_id}
        )
        self.details.append(detail)
        if self.lose is not None:
            lost, self.lose = self.lose, None
            raise lost
