"""The alert outbox: an alert is written in the transaction of its event, and claimed to be sent.

A claim is a lease on a row. When a sender dies, its row stays SENDING and is due again after
CLAIMED_S. Each target's receipt is stored at once, so a crash repeats at most one message.
"""

from collections.abc import Sequence
from typing import Any, Final

from service.domain.alerts import (
    LIMITED_S,
    LONGEST_BODY,
    LONGEST_KEY,
    LONGEST_TITLE,
    MAX_ATTEMPTS,
    SAME_WITHIN_S,
    TELL_AGAIN_S,
    Due,
    Notice,
    Recovery,
    Severity,
    bounded,
    least,
    plan_messages,
    summary_of,
    wait_s,
)
from service.domain.errors import DomainError, NotFound
from service.ports.alerts import Outgoing
from service.store.database.json_rows import storable
from service.store.database.pool import Cursor, Pool
from service.store.tables import alert_statements as sql

#: Real seconds until a claim runs out; longer than any pass of a sender (flows/deliver.py).
CLAIMED_S: Final = 60.0
_BATCH: Final = 200
_SUMMARY_KEY: Final = "alerts:summary"
_TELL_AGAIN_S: Final = list(TELL_AGAIN_S)


async def put(cur: Cursor, notice: Notice, *, told: bool = False) -> None:
    """Queue `notice` in the transaction of `cur`, which is that of the event where there is one."""
    if isinstance(notice, Recovery):
        await cur.execute(sql.RECOVER, _texts(notice.key, notice.title) | {"at": notice.at})
        return
    args = _texts(notice.key, notice.title) | {
        "severity": notice.severity,
        "body": bounded(storable(notice.body), LONGEST_BODY),
        "at": notice.at,
        "same_within_s": SAME_WITHIN_S,
    }
    if not notice.lasts:
        await cur.execute(sql.ALONE, args)
        await cur.execute(sql.NOTE, args)
    else:
        await cur.execute(sql.RAISE, args | {"tell_again_s": _TELL_AGAIN_S})
    if told:
        await cur.execute(sql.TOLD, args)


class PgAlerts:
    """Satisfies ports.AlertOutbox and ports.Acknowledgements."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, notice: Notice, *, told: bool = False) -> None:
        async with self._pool.transaction() as cur:
            await put(cur, notice, told=told)

    async def open_keys(self) -> frozenset[str]:
        async with self._pool.cursor() as cur:
            await cur.execute(sql.OPEN_KEYS)
            return frozenset(key for (key,) in await cur.fetchall())

    async def claim(self, *, least: Severity) -> tuple[Outgoing, ...]:
        async with self._pool.cursor() as cur:
            # Most passes find nothing: one query without a transaction answers them.
            await cur.execute(sql.ANY_DUE)
            if await cur.fetchone() is None:
                return ()
        async with self._pool.transaction() as cur:
            return await _claimed(cur, least)

    async def delivered(self, alert_id: int, *, target: str) -> None:
        async with self._pool.cursor() as cur:
            await cur.execute(sql.DELIVERED, {"id": alert_id, "target": target})

    async def settle(self, message: Outgoing, *, error: str | None) -> bool:
        over = error is None or message.attempts >= MAX_ATTEMPTS
        state = "SENT" if error is None else "FAILED" if over else "PENDING"
        args = {
            "id": message.id,
            "attempts": message.attempts,
            "state": state,
            "wait_s": None if over else wait_s(message.attempts),
            "error": error and error[:100],
            "tell_again_s": _TELL_AGAIN_S,
        }
        async with self._pool.transaction() as cur:
            await cur.execute(sql.SETTLE, args)
            if state == "FAILED":
                await cur.execute(sql.RETURN_NOTICES, args)
        return state != "FAILED"

    async def suppress_all(self) -> tuple[Outgoing, ...]:
        async with self._pool.cursor() as cur:
            await cur.execute(sql.ANY_DUE)
            if await cur.fetchone() is None:
                return ()
        async with self._pool.transaction() as cur:
            await cur.execute(sql.TELL_AGAIN, {"tell_again_s": _TELL_AGAIN_S})
            await cur.execute(sql.SUPPRESS_ALL)
            return _messages(await cur.fetchall())

    async def acknowledge(self, alert_id: int, *, by: str) -> None:
        async with self._pool.transaction() as cur:
            await cur.execute(sql.ACKNOWLEDGE, {"id": alert_id, "by": bounded(storable(by), 200)})
            if cur.rowcount:
                return
            await cur.execute(sql.ACKNOWLEDGED, {"id": alert_id})
            row = await cur.fetchone()
        if row is None:
            raise NotFound(f"there is no alert {alert_id}")
        kind, is_over = row
        if kind not in {"PROBLEM", "NOTICE"}:
            raise DomainError(f"alert {alert_id} is a {kind}: acknowledge what it is about")
        if is_over:
            raise DomainError(f"alert {alert_id} is over already, it is not told again")


async def _claimed(cur: Cursor, threshold: Severity) -> tuple[Outgoing, ...]:
    await cur.execute(sql.LOCK)
    row = await cur.fetchone()
    if row is None or not row[0]:
        return ()  # another process claims now; the message limit is common to both
    mild = list(least(threshold))
    await cur.execute(sql.TELL_AGAIN, {"tell_again_s": _TELL_AGAIN_S})
    await cur.execute(sql.SUPPRESS_MILD, {"mild": mild})
    await cur.execute(
        sql.GIVE_UP_LOST, {"max_attempts": MAX_ATTEMPTS, "tell_again_s": _TELL_AGAIN_S}
    )
    if cur.rowcount:
        await cur.execute(sql.RETURN_NOTICES, {"tell_again_s": _TELL_AGAIN_S})
    await cur.execute(sql.FORGET_NEEDLESS)
    await cur.execute(sql.DUE, {"batch": _BATCH, "max_attempts": MAX_ATTEMPTS, "mild": mild})
    due = [
        Due(
            id=row_id,
            severity=severity,
            title=title,
            attempts=attempts,
            told_again=told_again,
            is_summary=kind == "SUMMARY",
        )
        for row_id, severity, title, attempts, told_again, kind in await cur.fetchall()
    ]
    await cur.execute(sql.LATELY, {"limited_s": LIMITED_S})
    lately = await cur.fetchone()
    plan = plan_messages(due, lately=int(lately[0]) if lately else 0)
    ids = [*plan.send, *[await _summarised(cur, members) for members in plan.summaries]]
    if not ids:
        return ()
    await cur.execute(sql.BEGIN_SENDING, {"ids": ids, "claimed_s": CLAIMED_S})
    return _messages(await cur.fetchall())


async def _summarised(cur: Cursor, members: Sequence[Due]) -> int:
    severity, title, body = summary_of(members)
    args = _texts(_SUMMARY_KEY, title) | {
        "severity": severity,
        "body": body,
        "ids": [one.id for one in members],
    }
    await cur.execute(sql.SUMMARISE, args)
    row = await cur.fetchone()
    assert row is not None  # noqa: S101 - INSERT ... RETURNING
    summary = int(row[0])
    await cur.execute(sql.HOLD_IN_SUMMARY, args | {"summary": summary})
    return summary


def _texts(key: str, title: str) -> dict[str, object]:
    return {
        "key": bounded(storable(key), LONGEST_KEY),
        "title": bounded(storable(title), LONGEST_TITLE),
    }


def _messages(rows: Sequence[tuple[Any, ...]]) -> tuple[Outgoing, ...]:
    messages = (
        Outgoing(
            id=row_id,
            severity=severity,
            is_recovery=kind == "RECOVERY",
            title=title,
            body=body,
            occurrences=occurrences,
            attempts=attempts,
            delivered_to=frozenset(delivered_to),
            told_again=told_again,
            since=since,
        )
        for (
            row_id,
            kind,
            severity,
            title,
            body,
            occurrences,
            attempts,
            delivered_to,
            told_again,
            since,
        ) in rows
    )
    return tuple(sorted(messages, key=lambda message: message.id))
