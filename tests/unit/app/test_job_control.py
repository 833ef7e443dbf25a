"""Jobs switched off by a setting, and run by hand on the runner itself."""

import asyncio
from typing import Any

import pytest

from service.app.job_control import reconcile_now, run_job, switchable
from service.domain.errors import InvalidSetting, NotFound, NotLeader, TooSoon
from service.domain.orders import OrderStatus
from service.flows.leadership import Leadership
from service.loops.runner import Runner
from service.settings.settings import Settings
from tests.builders import an_order
from tests.fakes.clock import FakeClock
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.state import FakeLease
from tests.unit.app.house import House
from tests.unit.app.running import Running

SAFETY_S = 10  #: a safety net for a wait that should not be, never a measurement


async def leading(*, may_trade: bool) -> Leadership:
    async def nothing_is_open() -> None:
        return None

    lease = FakeLease(epoch=1 if may_trade else None)
    leadership = Leadership(lease=lease, real_clock=FakeClock(), on_gain=nothing_is_open)
    await leadership.renew()
    await leadership.settle()
    return leadership


async def test_calls_during_a_pass_are_one_pass_right_after_it() -> None:
    async with Running() as job:
        first = await run_job(job.runner, await leading(may_trade=True), "job")
        await run_job(job.runner, await leading(may_trade=True), "job")
        await job.another()

    assert first.running
    assert (job.passes, job.most) == (2, 1)


async def test_a_call_between_passes_is_a_pass_now() -> None:
    async with Running() as job:
        job.go_on.release()
        await job.planned()
        planned = job.runner.state("job").next_run_at

        state = await run_job(job.runner, await leading(may_trade=True), "job")
        async with asyncio.timeout(30):
            await job.begun.get()
            job.go_on.release()
        await job.planned()

        assert not state.running
        assert job.runner.state("job").next_run_at == planned


async def test_a_job_that_needs_the_lease_is_not_run_without_it() -> None:
    async with Running(needs_lease=True) as job:
        with pytest.raises(NotLeader, match="trading lease"):
            await run_job(job.runner, await leading(may_trade=False), "job")


async def test_a_job_that_needs_no_lease_runs_anywhere() -> None:
    async with Running() as job:
        state = await run_job(job.runner, await leading(may_trade=False), "job")

    assert state.name == "job"


async def test_a_job_that_refuses_a_run_by_hand_makes_none() -> None:
    async def refuse() -> None:
        raise TooSoon("a moment ago", retry_after_s=240)

    async with Running(check_call=refuse) as job:
        with pytest.raises(TooSoon):
            await run_job(job.runner, await leading(may_trade=True), "job")
        job.go_on.release()
        await job.planned()

    assert job.passes == 1


async def test_there_is_no_job_before_it_runs() -> None:
    runner = Runner(clock=FakeClock(), real_clock=FakeClock(), new_id=lambda: "run-1")

    with pytest.raises(NotFound):
        await run_job(runner, await leading(may_trade=True), "job")


async def test_each_loop_asks_for_its_own_name() -> None:
    settings = Settings(FakeSettingRows(), FakeClock())
    names = ("collect_market_data", "generate_trading_signal", "sync_pending_orders")
    loops = tuple(switchable([Running(name=name).loop for name in names], settings))

    await settings.change({"disabled_jobs": ["generate_trading_signal"]}, by="test")

    assert [await loop.enabled() for loop in loops if loop.enabled] == [True, False, True]


@pytest.mark.parametrize("name", ["sync_pending_orders", "leader.renew", "no_such_job", "", 3])
async def test_what_must_not_rest_cannot_be_switched_off(name: Any) -> None:
    settings = Settings(FakeSettingRows(), FakeClock())

    with pytest.raises(InvalidSetting, match="collect_market_data, generate_trading_signal"):
        await settings.change({"disabled_jobs": ["collect_market_data", name]}, by="test")


async def test_it_is_said_why_orders_are_always_followed() -> None:
    settings = Settings(FakeSettingRows(), FakeClock())

    with pytest.raises(InvalidSetting, match="orders must be followed"):
        await settings.change({"disabled_jobs": ["sync_pending_orders"]}, by="test")


async def test_a_list_written_past_the_checks_switches_nothing_off() -> None:
    settings = Settings(FakeSettingRows({"disabled_jobs": ["sync_pending_orders"]}), FakeClock())
    loops = tuple(switchable([Running(name="sync_pending_orders").loop], settings))

    assert [await loop.enabled() for loop in loops if loop.enabled] == [True]


async def test_a_standby_looks_no_order_up_by_hand() -> None:
    house = House(epoch=None)
    house.orders.hold(an_order(status=OrderStatus.SUBMITTED))
    services = house.services()
    await services.leadership.renew()
    await services.leadership.settle()

    with pytest.raises(NotLeader):
        await reconcile_now(services.leadership, services.reconciler, asyncio.Lock())

    assert house.exchange.calls == []


async def test_one_pass_by_hand_looks_orders_up_at_a_time() -> None:
    """Each of eight at once looked every open order up, within the limits of orders."""
    house = House()
    house.orders.hold(an_order(status=OrderStatus.SUBMITTED))
    services, passing = house.services(), asyncio.Lock()
    await services.leadership.renew()
    await services.leadership.settle()

    async with asyncio.timeout(SAFETY_S), passing:
        with pytest.raises(TooSoon):
            await reconcile_now(services.leadership, services.reconciler, passing)
    looked_before = house.exchange.calls.count("find")
    await reconcile_now(services.leadership, services.reconciler, passing)

    assert house.exchange.calls.count("find") == looked_before + 1
