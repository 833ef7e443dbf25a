"""Whether trading is halted, and the mode that the database is bound to."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from service.domain.alerts import Notice
from service.ports.store import JSON, RiskEvent, TradingState
from service.store.database.json_rows import json_text
from service.store.database.pool import Pool
from service.store.tables.alerts import put

TRADING_STATE: Final = """
    SELECT state, reason, since, halted_by
      FROM trading_state
"""

# The row lock serializes two concurrent first starts: the second one sees the mode of the first.
CLAIM_MODE: Final = """
    UPDATE trading_state
       SET mode = coalesce(mode, %(mode)s)
    RETURNING mode
"""

# An existing halt keeps its reason and its owner: a second halt changes nothing.
HALT: Final = """
    UPDATE trading_state
       SET state = 'HALTED', reason = %(reason)s, halted_by = %(actor)s, since = %(at)s
     WHERE state = 'ACTIVE'
"""

RESUME: Final = """
    UPDATE trading_state
       SET state = 'ACTIVE', reason = NULL, halted_by = NULL, since = %(at)s
     WHERE state = 'HALTED'
       AND reason = %(reason)s
       AND halted_by = %(actor)s
"""

RECORD: Final = """
    INSERT INTO risk_events (at, event, reason, actor, detail)
    VALUES (%(at)s, %(event)s, %(reason)s, %(actor)s, %(detail)s::jsonb)
"""

Notices = Callable[[RiskEvent], Sequence[Notice]]


def _silent(_: RiskEvent) -> Sequence[Notice]:
    return ()


class PgTradingState:
    """Args: notices: the alerts for a halt and its end; queued in its transaction."""

    def __init__(self, pool: Pool, *, notices: Notices = _silent) -> None:
        self._pool = pool
        self._notices = notices

    async def trading_state(self) -> TradingState:
        async with self._pool.cursor() as cur:
            await cur.execute(TRADING_STATE)
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - the migration wrote the only row
        state, reason, since, halted_by = row
        return TradingState(state=state, reason=reason, since=since, halted_by=halted_by)

    async def halt(
        self, *, reason: str, actor: str, at: datetime, detail: Mapping[str, JSON]
    ) -> bool:
        event = RiskEvent(event="HALTED", reason=reason, actor=actor, at=at, detail=detail)
        return await self._changed(HALT, event)

    async def resume(
        self, *, reason: str, actor: str, at: datetime, detail: Mapping[str, JSON]
    ) -> bool:
        event = RiskEvent(event="RESUMED", reason=reason, actor=actor, at=at, detail=detail)
        return await self._changed(RESUME, event)

    async def claim_mode(self, mode: str) -> str:
        """Bind the database to `mode` at its first use; return the mode it is bound to.

        Play money and real money never share a database: the caller refuses to start when they
        differ.
        """
        async with self._pool.cursor() as cur:
            await cur.execute(CLAIM_MODE, {"mode": mode})
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - the migration wrote the only row
        return str(row[0])

    async def _changed(self, statement: str, event: RiskEvent) -> bool:
        """Change the state, store the risk event and queue the alerts, in one transaction."""
        args = {
            "event": event.event,
            "reason": event.reason,
            "actor": event.actor,
            "at": event.at,
            "detail": json_text(event.detail),
        }
        async with self._pool.transaction() as cur:
            await cur.execute(statement, args)
            if not cur.rowcount:
                return False
            await cur.execute(RECORD, args)
            for notice in self._notices(event):
                await put(cur, notice)
        return True
