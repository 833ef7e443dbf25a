"""Trading state and the mode a database belongs to."""

import asyncio
from datetime import timedelta

from service.ports import TradingState
from service.store.gate import Gate
from service.store.state import PgState
from tests.builders import T0
from tests.integration.store.seeds import execute, rows


async def test_a_fresh_database_may_trade(gate: Gate) -> None:
    state = await PgState(gate).trading_state()

    assert (state.state, state.reason) == ("ACTIVE", None)
    assert state.since.utcoffset() == timedelta()


async def test_a_halt_is_read_with_its_reason(gate: Gate) -> None:
    await execute(
        gate,
        "UPDATE trading_state SET state = 'HALTED', reason = 'volatility', since = %(at)s",
        {"at": T0},
    )

    state = await PgState(gate).trading_state()

    assert state == TradingState(state="HALTED", reason="volatility", since=T0)


async def test_the_first_mode_binds_the_database_for_ever(gate: Gate) -> None:
    state = PgState(gate)

    assert await state.claim_mode("paper") == "paper"
    assert await state.claim_mode("live") == "paper"
    assert await state.claim_mode("paper") == "paper"


async def test_of_two_first_starts_at_once_both_learn_the_same_mode(gate: Gate) -> None:
    state = PgState(gate)

    bound = await asyncio.gather(*(state.claim_mode(mode) for mode in ("live", "sandbox") * 4))

    assert len(set(bound)) == 1
    assert await rows(gate, "SELECT mode FROM trading_state") == [(bound[0],)]
