"""Trading state and the mode a database belongs to."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import psycopg2.errors
import pytest

from service.domain.markets import Market
from service.domain.trading_states import TradingStatus
from service.flows.alerts.rules import risk_notices
from service.ports.store import Halt, TradingState
from service.store.database.pool import Pool
from service.store.tables.trading_state import PgTradingState
from tests.builders import KRW_BTC, T0
from tests.integration.store.seeds import rows

_T: Final = TradingStatus
ADMIN: Final = "admin@127.0.0.1"
KRW_ETH: Final = Market("KRW", "ETH")


async def test_a_fresh_database_may_trade(pool: Pool) -> None:
    state = await PgTradingState(pool).trading_state()

    assert (state.state, state.reason) == ("ACTIVE", None)
    assert state.since.utcoffset() == timedelta()


async def halted(state: PgTradingState, **values: Any) -> bool:
    asked: dict[str, Any] = {
        "kind": _T.REDUCING,
        "reason": "clock_skew",
        "actor": "system:clock",
        "at": T0,
        "detail": {"skew_s": 41.5},
        "ends": "condition",
    }
    return await state.halt(**asked | values)


async def halted_by_hand(state: PgTradingState, **values: Any) -> bool:
    asked: dict[str, Any] = {"kind": _T.HALTED, "reason": "by hand", "actor": ADMIN}
    return await halted(state, **asked | {"ends": "operator", "detail": {}} | values)


async def resumed(
    state: PgTradingState,
    *,
    reason: str = "clock_skew",
    actor: str = "system:clock",
    market: Market | None = None,
) -> bool:
    return await state.resume(reason=reason, actor=actor, at=T0, detail={}, market=market)


async def told(pool: Pool) -> list[tuple[str, str, str]]:
    return [
        (kind, key, severity)
        for kind, key, severity in await rows(
            pool, "SELECT kind, key, severity FROM alerts ORDER BY id"
        )
    ]


async def test_a_halt_and_its_end_are_on_record_with_one_alert_and_one_recovery(pool: Pool) -> None:
    state = PgTradingState(pool, notices=risk_notices)

    assert await halted(state)
    during, standing = await state.trading_state(), await state.standing()
    assert await resumed(state)
    after = await state.trading_state()

    assert during == TradingState(
        state=_T.REDUCING, reason="clock_skew", since=T0, halted_by="system:clock"
    )
    assert standing == (
        Halt(
            kind=_T.REDUCING,
            reason="clock_skew",
            actor="system:clock",
            since=T0,
            ends="condition",
            detail={"skew_s": 41.5},
        ),
    )
    assert after == TradingState(state=_T.ACTIVE, reason=None, since=T0)
    events = await rows(
        pool, "SELECT event, kind, market, reason, actor, at, detail FROM risk_events ORDER BY id"
    )
    assert events == [
        ("HALTED", "REDUCING", None, "clock_skew", "system:clock", T0, {"skew_s": 41.5}),
        ("RESUMED", "REDUCING", None, "clock_skew", "system:clock", T0, {}),
    ]
    assert await told(pool) == [
        ("PROBLEM", "trading:reducing", "critical"),
        ("RECOVERY", "trading:reducing", "critical"),
    ]


async def test_the_same_halt_again_changes_nothing_and_is_not_told(pool: Pool) -> None:
    state = PgTradingState(pool, notices=risk_notices)
    await halted(state)

    assert not await halted(state, at=T0 + timedelta(seconds=1))

    assert (await state.trading_state()).since == T0
    assert await rows(pool, "SELECT count(*) FROM risk_events") == [(1,)]
    assert await rows(pool, "SELECT sum(occurrences) FROM alerts") == [(1,)]


async def test_of_several_reasons_the_strictest_counts_and_each_ends_alone(pool: Pool) -> None:
    state = PgTradingState(pool, notices=risk_notices)
    story: list[tuple[str, str | None]] = []

    async def look() -> None:
        now = await state.trading_state()
        story.append((now.state.value, now.reason))

    for step in (
        halted(state),
        halted(state, reason="volatility", actor="system:volatility"),
        halted_by_hand(state),
        resumed(state),
        state.release(actor="admin@10.0.0.7", at=T0),
        resumed(state, reason="volatility", actor="system:volatility"),
    ):
        assert await step
        await look()

    assert story == [
        ("REDUCING", "clock_skew"),
        ("REDUCING", "clock_skew"),
        ("HALTED", "by hand"),
        ("HALTED", "by hand"),
        ("REDUCING", "volatility"),
        ("ACTIVE", None),
    ]
    assert await told(pool) == [
        ("PROBLEM", "trading:reducing", "critical"),
        ("PROBLEM", "trading:halted", "critical"),
        ("RECOVERY", "trading:halted", "critical"),
        ("RECOVERY", "trading:reducing", "critical"),
    ]


async def test_the_same_reason_made_stricter_stands_beside_the_milder_halt(pool: Pool) -> None:
    state = PgTradingState(pool)
    await halted_by_hand(state, kind=_T.REDUCING)

    assert await halted_by_hand(state)

    assert [halt.kind for halt in await state.standing()] == [_T.HALTED, _T.REDUCING]
    assert (await state.trading_state()).state == "HALTED"
    assert len(await state.release(actor=ADMIN, at=T0)) == 2
    assert (await state.trading_state()).state == "ACTIVE"


@pytest.mark.parametrize(
    ("reason", "actor"),
    [("by hand", ADMIN), ("clock_skew", ADMIN), ("drawdown", "system:clock")],
)
async def test_a_halt_of_somebody_else_or_for_something_else_is_never_lifted(
    pool: Pool, reason: str, actor: str
) -> None:
    state = PgTradingState(pool)
    await halted_by_hand(state, reason=reason, actor=actor)

    assert not await resumed(state)

    assert (await state.trading_state()).state == "HALTED"


async def test_an_operator_ends_a_condition_only_by_its_name(pool: Pool) -> None:
    state = PgTradingState(pool)
    await halted(state)
    await halted_by_hand(state)

    released = await state.release(actor=ADMIN, at=T0)
    left = await state.trading_state()
    named = await state.release(actor=ADMIN, at=T0, reasons=["clock_skew"])

    assert [halt.reason for halt in released] == ["by hand"]
    assert (left.state, left.reason) == ("REDUCING", "clock_skew")
    assert [halt.reason for halt in named] == ["clock_skew"]
    ends = await rows(pool, "SELECT reason, ended_by FROM trading_halts ORDER BY id")
    assert ends == [("clock_skew", ADMIN), ("by hand", ADMIN)]


async def test_what_an_operator_released_is_told_apart_from_what_its_rule_ended(
    pool: Pool,
) -> None:
    state = PgTradingState(pool)
    rule: dict[str, Any] = {"reason": "volatility", "actor": "system:volatility"}
    for market in (KRW_BTC, None):
        await halted(state, **rule, market=market, kind=TradingStatus.REDUCING, ends="condition")
    await resumed(state, **rule)
    await state.release(actor=ADMIN, at=T0 + timedelta(minutes=9), reasons=["volatility"])

    found = await state.released(**rule, since=T0)

    assert [(one.market, one.released_at) for one in found] == [
        (KRW_BTC, T0 + timedelta(minutes=9))
    ]
    assert not await state.released(**rule, since=T0 + timedelta(minutes=10))


async def test_a_halt_of_one_market_leaves_the_others_alone(pool: Pool) -> None:
    state = PgTradingState(pool, notices=risk_notices)
    before = (await state.trading_state()).since
    await halted(state, reason="books", market=KRW_BTC)
    await halted(state, reason="books", market=KRW_ETH)
    await halted_by_hand(state, market=KRW_ETH)

    now = await state.trading_state()

    assert (now.state, now.reason, now.since) == ("ACTIVE", None, before)
    assert (now.reducing_markets, now.halted_markets) == (
        frozenset({KRW_BTC}),
        frozenset({KRW_ETH}),
    )
    assert [now.of(Market("KRW", name)) for name in ("BTC", "ETH", "XRP")] == [
        _T.REDUCING,
        _T.HALTED,
        _T.ACTIVE,
    ]
    assert not await resumed(state, reason="books")
    assert await resumed(state, reason="books", market=KRW_BTC)
    assert (await state.trading_state()).reducing_markets == frozenset()
    assert await told(pool) == [
        ("PROBLEM", "trading:reducing:KRW-BTC", "critical"),
        ("PROBLEM", "trading:reducing:KRW-ETH", "critical"),
        ("PROBLEM", "trading:halted:KRW-ETH", "critical"),
        ("RECOVERY", "trading:reducing:KRW-BTC", "critical"),
    ]


async def test_the_halt_of_all_markets_counts_in_each(pool: Pool) -> None:
    state = PgTradingState(pool)
    await halted(state, reason="books", market=KRW_BTC)
    await halted_by_hand(state)

    now = await state.trading_state()

    assert (now.of(KRW_BTC), now.of(KRW_ETH)) == (_T.HALTED, _T.HALTED)


async def test_a_full_halt_that_ends_by_itself_cannot_be_stored(pool: Pool) -> None:
    state = PgTradingState(pool)

    with pytest.raises(psycopg2.errors.CheckViolation):
        await halted(state, kind=_T.HALTED, ends="condition")

    assert (await state.trading_state()).state == "ACTIVE"


async def test_where_nothing_is_halted_nothing_is_resumed(pool: Pool) -> None:
    assert not await resumed(PgTradingState(pool))
    assert await PgTradingState(pool).release(actor=ADMIN, at=T0) == ()

    assert await rows(pool, "SELECT count(*) FROM risk_events") == [(0,)]


async def test_of_two_halts_at_once_one_is_on_record(pool: Pool) -> None:
    state = PgTradingState(pool, notices=risk_notices)

    done = await asyncio.gather(*(halted(state) for _ in range(4)))

    assert sorted(done) == [False, False, False, True]
    assert await rows(pool, "SELECT count(*) FROM risk_events") == [(1,)]


async def test_halts_of_different_reasons_at_once_are_all_in_the_sum(pool: Pool) -> None:
    state = PgTradingState(pool)
    markets = [Market("KRW", name) for name in ("BTC", "ETH", "XRP", "SOL")]

    await asyncio.gather(*(halted(state, market=market) for market in markets))

    assert (await state.trading_state()).reducing_markets == frozenset(markets)


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
