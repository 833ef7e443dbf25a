"""The halts that stand, their sum, and the mode that the database is bound to."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from service.crashpoints import crashpoint
from service.domain.alerts import Notice
from service.domain.markets import Market
from service.domain.trading_states import HALT_KINDS, Ends, HaltKind, TradingStatus
from service.ports.store import JSON, Halt, ReleasedHalt, RiskEvent, TradingState
from service.ports.store import TRADING_STATE as STATE_NAME
from service.store.database.json_rows import json_text
from service.store.database.pool import Cursor, Pool
from service.store.tables.alerts import put
from service.store.tables.settings import CHANNEL

TRADING_STATE: Final = """
    SELECT state, reason, since, halted_by, reducing_markets, halted_markets
      FROM trading_state
"""

# The row lock serializes two concurrent first starts: the second one sees the mode of the first.
CLAIM_MODE: Final = """
    UPDATE trading_state
       SET mode = coalesce(mode, %(mode)s)
    RETURNING mode
"""

# Taken first by every change, so that changes at once come one after the other. Each statement
# that follows sees what the changes before it have committed.
LOCK: Final = """
    SELECT FROM trading_state
       FOR UPDATE
"""

HALT: Final = """
    INSERT INTO trading_halts (kind, market, reason, actor, since, detail, ends)
    VALUES (%(kind)s, %(market)s, %(reason)s, %(actor)s, %(at)s, %(detail)s::jsonb, %(ends)s)
        ON CONFLICT (reason, actor, kind, coalesce(market, '')) WHERE ended_at IS NULL
        DO NOTHING
"""

STANDING: Final = """
    SELECT kind, market, reason, actor, since, detail, ends
      FROM trading_halts
     WHERE ended_at IS NULL
     ORDER BY kind <> 'HALTED', market NULLS FIRST, since, id
"""

RESUME: Final = """
    UPDATE trading_halts
       SET ended_at = %(at)s, ended_by = %(actor)s
     WHERE ended_at IS NULL
       AND reason = %(reason)s
       AND actor = %(actor)s
       AND market IS NOT DISTINCT FROM %(market)s::text
    RETURNING kind, market, reason, actor, since, detail, ends
"""

RELEASED: Final = """
    SELECT market, ended_at
      FROM trading_halts
     WHERE ended_at >= %(since)s
       AND reason = %(reason)s
       AND actor = %(actor)s
       AND ended_by <> actor
     ORDER BY ended_at, id
"""

RELEASE: Final = """
    UPDATE trading_halts
       SET ended_at = %(at)s, ended_by = %(actor)s
     WHERE ended_at IS NULL
       AND CASE WHEN %(reasons)s::text[] IS NULL THEN ends = 'operator'
                ELSE reason = ANY (%(reasons)s::text[])
           END
    RETURNING kind, market, reason, actor, since, detail, ends
"""

# An order's insert reads this row alone, under a shared lock: PostgreSQL then shows it the newest
# version, also after a wait. Rows of another table it would show as they were before the wait.
SUM_UP: Final = """
    UPDATE trading_state
       SET state = coalesce(worst.kind, 'ACTIVE'),
           reason = worst.reason,
           halted_by = worst.actor,
           since = CASE WHEN worst.kind IS NULL AND state = 'ACTIVE' THEN trading_state.since
                        ELSE coalesce(worst.since, %(at)s)
                   END,
           reducing_markets = ARRAY(
               SELECT market
                 FROM trading_halts
                WHERE ended_at IS NULL
                  AND market IS NOT NULL
                GROUP BY market
               HAVING bool_and(kind = 'REDUCING')
                ORDER BY market),
           halted_markets = ARRAY(
               SELECT DISTINCT market
                 FROM trading_halts
                WHERE ended_at IS NULL
                  AND market IS NOT NULL
                  AND kind = 'HALTED'
                ORDER BY market)
      FROM (SELECT) AS always
      LEFT JOIN (
           SELECT kind, reason, actor, since
             FROM trading_halts
            WHERE ended_at IS NULL
              AND market IS NULL
            ORDER BY kind <> 'HALTED', since, id
            LIMIT 1) AS worst
        ON true
"""

RECORD: Final = """
    INSERT INTO risk_events (at, event, kind, market, reason, actor, detail)
    VALUES (%(at)s, %(event)s, %(kind)s, %(market)s, %(reason)s, %(actor)s, %(detail)s::jsonb)
"""

# Sent with the commit, on the connection that hears of changed settings.
NOTIFY: Final = """
    SELECT pg_notify(%(channel)s, %(name)s)
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
        state, reason, since, halted_by, reducing, halted = row
        return TradingState(
            state=TradingStatus(state),
            reason=reason,
            since=since,
            halted_by=halted_by,
            reducing_markets=frozenset(map(Market.parse, reducing)),
            halted_markets=frozenset(map(Market.parse, halted)),
        )

    async def standing(self) -> Sequence[Halt]:
        async with self._pool.cursor() as cur:
            await cur.execute(STANDING)
            return tuple(_halt(row) for row in await cur.fetchall())

    async def halt(
        self,
        *,
        kind: HaltKind,
        reason: str,
        actor: str,
        at: datetime,
        detail: Mapping[str, JSON],
        market: Market | None = None,
        ends: Ends = "operator",
    ) -> bool:
        event = RiskEvent(
            event="HALTED",
            kind=kind,
            reason=reason,
            actor=actor,
            at=at,
            detail=detail,
            market=market,
        )
        args = _args(event) | {"ends": ends}
        async with self._pool.transaction() as cur:
            await cur.execute(LOCK)
            await cur.execute(HALT, args)
            if not cur.rowcount:
                return False
            await self._record(cur, event)
            crashpoint("halt.before_commit")
        crashpoint("halt.after_commit")
        return True

    async def resume(
        self,
        *,
        reason: str,
        actor: str,
        at: datetime,
        detail: Mapping[str, JSON],
        market: Market | None = None,
    ) -> bool:
        args = {"reason": reason, "actor": actor, "at": at, "market": _text(market)}
        return bool(await self._end(RESUME, args, actor=actor, at=at, detail=detail))

    async def released(self, *, reason: str, actor: str, since: datetime) -> Sequence[ReleasedHalt]:
        args = {"reason": reason, "actor": actor, "since": since}
        async with self._pool.cursor() as cur:
            await cur.execute(RELEASED, args)
            return tuple(
                ReleasedHalt(
                    market=None if market is None else Market.parse(market), released_at=ended_at
                )
                for market, ended_at in await cur.fetchall()
            )

    async def release(
        self, *, actor: str, at: datetime, reasons: Collection[str] | None = None
    ) -> Sequence[Halt]:
        args = {"actor": actor, "at": at, "reasons": None if reasons is None else list(reasons)}
        return await self._end(RELEASE, args, actor=actor, at=at, detail={})

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

    async def _end(
        self,
        statement: str,
        args: Mapping[str, object],
        *,
        actor: str,
        at: datetime,
        detail: Mapping[str, JSON],
    ) -> Sequence[Halt]:
        async with self._pool.transaction() as cur:
            await cur.execute(LOCK)
            await cur.execute(statement, args)
            ended = tuple(_halt(row) for row in await cur.fetchall())
            if not ended:
                return ()
            await cur.execute(STANDING)
            left = {(halt.kind, halt.market) for halt in map(_halt, await cur.fetchall())}
            for halt in ended:
                event = RiskEvent(
                    event="RESUMED",
                    kind=halt.kind,
                    reason=halt.reason,
                    actor=actor,
                    at=at,
                    detail=detail,
                    market=halt.market,
                    is_last=(halt.kind, halt.market) not in left,
                )
                await self._record(cur, event)
        return ended

    async def _record(self, cur: Cursor, event: RiskEvent) -> None:
        """Sum up the halts, store the risk event and queue the alerts, in the same transaction."""
        args = _args(event)
        await cur.execute(SUM_UP, args)
        await cur.execute(RECORD, args)
        await cur.execute(NOTIFY, {"channel": CHANNEL, "name": STATE_NAME})
        for notice in self._notices(event):
            await put(cur, notice)


def _args(event: RiskEvent) -> dict[str, object]:
    return {
        "event": event.event,
        "kind": event.kind.value,
        "market": _text(event.market),
        "reason": event.reason,
        "actor": event.actor,
        "at": event.at,
        "detail": json_text(event.detail),
    }


def _text(market: Market | None) -> str | None:
    return None if market is None else str(market)


def _halt(row: Sequence[Any]) -> Halt:
    kind, market, reason, actor, since, detail, ends = row
    return Halt(
        kind=HALT_KINDS[kind],
        market=None if market is None else Market.parse(market),
        reason=reason,
        actor=actor,
        since=since,
        detail=detail,
        ends=ends,
    )
