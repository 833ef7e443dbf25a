"""Trading state and the mode a database belongs to."""

import asyncio
from datetime import timedelta

import pytest

from service.flows.alerts.rules import risk_notices
from service.ports.store import TradingState
from service.store.database.pool import Pool
from service.store.tables.trading_state import PgTradingState
from tests.builders import T0
from tests.integration.store.seeds import execute, rows


async def test_a_fresh_database_may_trade(pool: Pool) -> None:
    state = await PgTradingState(pool).trading_state()

    assert (state.state, state.reason) == ("ACTIVE", None)
    assert state.since.utcoffset() == timedelta()


async def test_a_halt_is_read_with_its_reason(pool: Pool) -> None:
    await execute(
        pool,
        "UPDATE trading_state SET state = 'HALTED', reason = 'volatility', since = %(at)s",
        {"at": T0},
    )

    state = await PgTradingState(pool).trading_state()

    assert state == TradingState(state="HALTED", reason="volatility", since=T0)


async def halted(
    state: PgTradingState, *, reason: str = "clock_skew", actor: str = "system:clock"
) -> bool:
    return await state.halt(reason=reason, actor=actor, at=T0, detail={"skew_s": 41.5})


async def resumed(
    state: PgTradingState, *, reason: str = "clock_skew", actor: str = "system:clock"
) -> bool:
    return await state.resume(reason=reason, actor=actor, at=T0, detail={})


async def test_a_halt_and_its_end_are_on_record_with_one_alert_and_one_recovery(pool: Pool) -> None:
    state = PgTradingState(pool, notices=risk_notices)

    assert await halted(state)
    during = await state.trading_state()
    assert await resumed(state)
    after = await state.trading_state()

    assert during == TradingState(
        state="HALTED", reason="clock_skew", since=T0, halted_by="system:clock"
    )
    assert after == TradingState(state="ACTIVE", reason=None, since=T0)
    events = await rows(
        pool, "SELECT event, reason, actor, at, detail FROM risk_events ORDER BY id"
    )
    assert events == [
        ("HALTED", "clock_skew", "system:clock", T0, {"skew_s": 41.5}),
        ("RESUMED", "clock_skew", "system:clock", T0, {}),
    ]
    told = await rows(pool, "SELECT kind, key, severity, body FROM alerts ORDER BY id")
    assert [(kind, key, severity) for kind, key, severity, _ in told] == [
        ("PROBLEM", "trading:halted", "critical"),
        ("RECOVERY", "trading:halted", "critical"),
    ]
    assert "clock_skew" in told[0][3]


async def test_a_second_halt_changes_nothing_and_is_not_told(pool: Pool) -> None:
    state = PgTradingState(pool, notices=risk_notices)
    await halted(state, reason="by hand", actor="admin@127.0.0.1")

    assert not await halted(state)

    assert (await state.trading_state()).reason == "by hand"
    assert await rows(pool, "SELECT count(*) FROM risk_events") == [(1,)]
    assert await rows(pool, "SELECT sum(occurrences) FROM alerts") == [(1,)]


@pytest.mark.parametrize(
    ("reason", "actor"),
    [
        ("by hand", "admin@127.0.0.1"),
        ("clock_skew", "admin@127.0.0.1"),
        ("drawdown", "system:clock"),
    ],
)
async def test_a_halt_of_somebody_else_or_for_something_else_is_never_lifted(
    pool: Pool, reason: str, actor: str
) -> None:
    state = PgTradingState(pool)
    await halted(state, reason=reason, actor=actor)

    assert not await resumed(state)

    assert (await state.trading_state()).state == "HALTED"


async def test_where_nothing_is_halted_nothing_is_resumed(pool: Pool) -> None:
    assert not await resumed(PgTradingState(pool))

    assert await rows(pool, "SELECT count(*) FROM risk_events") == [(0,)]


async def test_of_two_halts_at_once_one_is_on_record(pool: Pool) -> None:
    state = PgTradingState(pool, notices=risk_notices)

    done = await asyncio.gather(*(halted(state) for _ in range(4)))

    assert sorted(done) == [False, False, False, True]
    assert await rows(pool, "SELECT count(*) FROM risk_events") == [(1,)]


async def test_the_first_mode_binds_the_database_for_ever(pool: Pool) -> None:
    state = PgTradingState(pool)

    assert await state.claim_mode("paper") == "paper"
    assert await state.claim_mode("live") == "paper"
    assert await state.claim_mode("paper") == "paper"


async def test_of_two_first_starts_at_once_both_learn_the_same_mode(pool: Pool) -> None:
    state = PgTradingState(pool)

    bound = await asyncio.gather(*(state.claim_mode(mode) for mode in ("live", "sandbox") * 4))

    assert len(set(bound)) == 1
    assert await rows(pool, "SELECT mode FROM trading_state") == [(bound[0],)]
