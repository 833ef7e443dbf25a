"""The market's clock: never early, never backwards, and from event to event at speed 0."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from service.sandbox.clock import DiscreteMarketClock, PacedMarketClock, make_clock, real_pause

T0 = datetime(2026, 1, 24, 9, 0, tzinfo=UTC)
SAFETY_S = 10


class Hands:
    """A monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.seconds = 5.0

    def __call__(self) -> float:
        return self.seconds


def test_a_market_minute_passes_in_a_real_second_at_speed_sixty() -> None:
    hands = Hands()
    clock = PacedMarketClock(origin=T0, speed=Decimal(60), monotonic=hands)

    hands.seconds += 1

    assert clock.now() == T0 + timedelta(minutes=1)


def test_every_instant_shown_was_reported_first() -> None:
    seen: list[datetime] = []
    clock = make_clock(origin=T0, speed=Decimal(1), seen=seen.append)

    shown = clock.now()

    assert seen == [shown]


async def test_a_sleep_is_never_shorter_than_asked() -> None:
    clock = PacedMarketClock(origin=T0, speed=Decimal(10_000))
    due = clock.now() + timedelta(seconds=50)

    await clock.sleep_market(50)

    assert clock.now() >= due


async def test_a_sleeper_wakes_when_told_to() -> None:
    clock, wake = PacedMarketClock(origin=T0), asyncio.Event()
    asyncio.get_running_loop().call_soon(wake.set)

    async with asyncio.timeout(SAFETY_S):
        await clock.sleep_market(3600, wake=wake)
        await real_pause(3600, wake=wake)


async def test_time_at_speed_zero_jumps_from_due_to_due() -> None:
    clock = DiscreteMarketClock(origin=T0)
    woken: list[tuple[str, datetime]] = []

    async def repeat(name: str, every: float, times: int) -> None:
        async with clock.participant():
            for _ in range(times):
                await clock.sleep_market(every)
                woken.append((name, clock.now()))

    async with asyncio.timeout(SAFETY_S):
        await asyncio.gather(repeat("hour", 3600, 1), repeat("half", 1800, 3))

    minutes = [(name, (at - T0) // timedelta(minutes=1)) for name, at in woken]
    assert minutes == [("half", 30), ("hour", 60), ("half", 60), ("half", 90)]


async def test_time_stands_still_while_a_participant_works() -> None:
    clock, done = DiscreteMarketClock(origin=T0), asyncio.Event()

    async def work() -> datetime:
        async with clock.participant():
            await done.wait()
            return clock.now()

    async def sleep() -> None:
        async with clock.participant():
            await clock.sleep_market(60)

    working, sleeping = asyncio.create_task(work()), asyncio.create_task(sleep())
    for _ in range(20):
        await asyncio.sleep(0)
    stood = clock.now()
    done.set()

    assert stood == T0
    assert await working == T0
    async with asyncio.timeout(SAFETY_S):
        await sleeping
    assert clock.now() == T0 + timedelta(seconds=60)


async def test_a_task_of_a_participant_sleeps_for_it() -> None:
    # asyncio.wait_for runs its coroutine in a new task; time must not wait for the parent.
    clock = DiscreteMarketClock(origin=T0)

    async with asyncio.timeout(SAFETY_S), clock.participant():
        await asyncio.wait_for(asyncio.create_task(clock.sleep_market(30)), timeout=SAFETY_S)

    assert clock.now() == T0 + timedelta(seconds=30)


async def test_a_cancelled_sleeper_leaves_time_to_the_others() -> None:
    clock = DiscreteMarketClock(origin=T0)

    async def sleep(seconds: float) -> None:
        async with clock.participant():
            await clock.sleep_market(seconds)

    async with clock.participant():  # holds time back until both sleep
        short = asyncio.create_task(sleep(10))
        long = asyncio.create_task(sleep(1000))
        await asyncio.sleep(0)
        short.cancel()
        with pytest.raises(asyncio.CancelledError):
            await short
    async with asyncio.timeout(SAFETY_S):
        await long

    assert clock.now() == T0 + timedelta(seconds=1000)


async def test_a_wake_ends_a_discrete_sleep_without_moving_time() -> None:
    clock, wake = DiscreteMarketClock(origin=T0), asyncio.Event()

    async with asyncio.timeout(SAFETY_S), clock.participant():
        holding = asyncio.create_task(real_pause(SAFETY_S, wake=wake))
        other = asyncio.create_task(asyncio.sleep(0))
        wake.set()
        await clock.sleep_market(3600, wake=wake)
        await asyncio.gather(holding, other)

    assert clock.now() == T0


async def test_time_can_be_moved_by_hand_for_another_process() -> None:
    clock = DiscreteMarketClock(origin=T0)

    clock.advance(90)

    assert clock.now() == T0 + timedelta(seconds=90)
