"""The audit trail, on real PostgreSQL."""

from datetime import timedelta
from typing import Any

from service.store.database.pool import Pool
from service.store.tables.audit import PgAudit
from tests.builders import T0


async def test_a_row_says_who_asked_for_what_and_in_which_request(pool: Pool) -> None:
    await PgAudit(pool).add(
        actor="admin@127.0.0.1",
        action="signal.generate",
        subject="KRW-BTC",
        detail={"why": ['it\'s 100 % "quoted"']},
        request_id="r-1",
        at=T0,
    )

    async with pool.cursor() as cur:
        await cur.execute("SELECT at, actor, action, subject, detail, request_id FROM audit_log")
        rows = await cur.fetchall()
    assert rows == [
        (
            T0,
            "admin@127.0.0.1",
            "signal.generate",
            "KRW-BTC",
            {"why": ['it\'s 100 % "quoted"']},
            "r-1",
        )
    ]


async def test_a_request_without_a_name_is_recorded_too(pool: Pool) -> None:
    await PgAudit(pool).add(
        actor="trader", action="order.sync", subject="all", detail={}, request_id=None, at=T0
    )

    async with pool.cursor() as cur:
        await cur.execute("SELECT request_id, detail FROM audit_log")
        assert await cur.fetchall() == [(None, {})]


async def test_a_row_that_may_be_there_is_stored_once(pool: Pool) -> None:
    """The outcome of the first write was not known."""
    row: dict[str, Any] = {
        "actor": "admin",
        "action": "risk.halt",
        "subject": "trading",
        "detail": {"kind": "HALTED", "reason": "fire"},
        "request_id": None,
        "at": T0,
    }
    for other in ({}, {}, {"request_id": "r-2"}, {"at": T0 + timedelta(microseconds=1)}):
        await PgAudit(pool).add(**row | other, once=True)
    await PgAudit(pool).add(**row)

    async with pool.cursor() as cur:
        await cur.execute("SELECT count(*) FROM audit_log")
        assert await cur.fetchall() == [(4,)]
