"""Real time: waits end, and leave nothing behind."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC

import pytest

from service.adapters.clock import RealTimeMarketClock, SystemClock
from tests.fakes.clock import FakeClock

Wait = Callable[..., Awaitable[None]]
WAITS: list[Wait] = [SystemClock().sleep_real, RealTimeMarketClock(SystemClock()).sleep_market]
LONG_S = 3600.0  #: a test that waited it out would run into its own limit


async def test_now_says_its_time_zone() -> None:
    assert SystemClock().utc_now().tzinfo is UTC


async def test_monotonic_does_not_go_back() -> None:
    clock = SystemClock()

    assert clock.monotonic() <= clock.monotonic()


def test_time_in_which_the_machine_slept_counts() -> None:
    read = {time.CLOCK_BOOTTIME: 4000.0, time.CLOCK_MONOTONIC: 400.0}

    assert SystemClock(gettime=read.__getitem__).monotonic() == 4000.0


def test_a_real_exchanges_time_is_the_machines() -> None:
    real_clock = FakeClock()

    assert RealTimeMarketClock(real_clock).now() == real_clock.utc_now()


@pytest.mark.parametrize("wait", WAITS)
async def test_a_short_wait_ends_by_itself_and_leaves_the_event_alone(wait: Wait) -> None:
    wake = asyncio.Event()

    async with asyncio.timeout(10):
        await wait(0.001, wake=wake)
        await wait(0.001)

    assert not wake.is_set()


@pytest.mark.parametrize("wait", WAITS)
async def test_wake_ends_a_wait_at_once(wait: Wait) -> None:
    wake = asyncio.Event()
    waiting = asyncio.ensure_future(wait(LONG_S, wake=wake))
    await asyncio.sleep(0)

    wake.set()

    async with asyncio.timeout(10):
        await waiting


async def test_a_wake_that_is_already_set_needs_no_wait() -> None:
    wake = asyncio.Event()
    wake.set()

    async with asyncio.timeout(10):
        await SystemClock().sleep_real(LONG_S, wake=wake)


@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_wait_of_nothing_lets_the_others_run(seconds: int) -> None:
    ran: list[bool] = []
    other = asyncio.create_task(_append(ran))

    await SystemClock().sleep_real(seconds, wake=asyncio.Event())
    await SystemClock().sleep_real(seconds)

    assert ran
    await other


async def test_a_cancelled_wait_is_cancelled_and_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(SystemClock().sleep_real(LONG_S, wake=asyncio.Event()))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asyncio.all_tasks() == before


async def test_a_timeout_around_a_wait_is_not_swallowed_by_it() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await SystemClock().sleep_real(LONG_S, wake=asyncio.Event())


async def _append(ran: list[bool]) -> None:
    ran.append(True)
