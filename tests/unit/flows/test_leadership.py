"""The lease is renewed while the past is settled, and no trade comes before that."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from service.domain.errors import NotLeader
from service.flows.leadership import RENEW_EVERY_S, Leadership
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.fakes.state import FakeLease


class Past:
    """Open orders whose look-ups end when the test says so."""

    def __init__(self) -> None:
        self.looks = 0
        self.over = asyncio.Event()

    async def look_up(self) -> None:
        self.looks += 1
        await self.over.wait()


async def at_once(step: Coroutine[Any, Any, None]) -> None:
    """Await `step`, which must not wait for anything."""
    task = asyncio.create_task(step)
    for _ in range(10):
        await asyncio.sleep(0)
    assert task.done() or not task.cancel(), "it waits"
    await task


async def test_the_lease_is_kept_while_thousands_of_orders_are_looked_up() -> None:
    """Regression: `renew` waited for them, and the lease ran out after ten seconds."""
    clock, past = FakeClock(), Past()
    leadership = Leadership(lease=FakeLease(), real_clock=clock, on_gain=past.look_up)
    await at_once(leadership.renew())
    settling = asyncio.create_task(leadership.settle())

    for _ in range(100):
        clock.pass_time(RENEW_EVERY_S)
        await at_once(leadership.renew())
        assert leadership.is_leader
        assert not leadership.may_trade
    past.over.set()
    await settling

    assert leadership.may_trade
    assert past.looks == 1


async def test_orders_settled_under_a_lost_lease_are_settled_again() -> None:
    lease, past = FakeLease(), Past()
    leadership = Leadership(lease=lease, real_clock=FakeClock(), on_gain=past.look_up)
    await leadership.renew()
    settling = asyncio.create_task(leadership.settle())
    await asyncio.sleep(0)

    lease.epoch = 3  # meanwhile another process traded, under epoch 2
    await leadership.renew()
    past.over.set()
    await settling

    with pytest.raises(NotLeader):
        leadership.check()
    await leadership.settle()
    assert leadership.may_trade
    assert past.looks == 2


async def test_a_process_without_the_lease_settles_nothing() -> None:
    past = Past()
    leadership = Leadership(
        lease=FakeLease(epoch=None), real_clock=FakeClock(), on_gain=past.look_up
    )

    await leadership.renew()
    await leadership.settle()

    assert past.looks == 0


async def test_a_fault_of_ours_while_the_past_is_settled_is_told_without_its_text() -> None:
    """Regression: it ended each start, with a row of the account in the traceback."""
    outcomes = iter([ValueError("Failing row contains (KRW, 777000777)"), None])

    async def settle_past() -> None:
        if error := next(outcomes):
            raise error

    leadership = Leadership(lease=FakeLease(), real_clock=FakeClock(), on_gain=settle_past)
    await leadership.renew()

    with Logs.captured() as logs:
        await leadership.settle()
        may_trade, raw, lines = leadership.may_trade, logs.raw, logs.lines
    await leadership.settle()

    assert not may_trade
    assert leadership.may_trade
    assert b"777000777" not in raw
    [(level, error, cause)] = [(x["level"], x["error"], x["cause"]) for x in lines]
    assert (level, error, cause.partition(":")[0]) == ("ERROR", "ValueError", "settle_past")
