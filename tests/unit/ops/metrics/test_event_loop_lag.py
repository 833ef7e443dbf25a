import asyncio

from service.ops.metrics.event_loop_lag import LoopLag
from tests.fakes.clock import FakeClock


class LateClock(FakeClock):
    """Every pause ends later than it should."""

    late_s = 0.0

    async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        await super().sleep_real(seconds + self.late_s)


async def test_the_worst_delay_shows_until_it_is_half_a_minute_old() -> None:
    clock = LateClock()
    lag, never = LoopLag(clock), asyncio.Event()

    clock.late_s = 0.25
    await lag.measure(stopping=never)
    clock.late_s = 0.0
    await lag.measure(stopping=never)
    fresh = lag.worst_s()
    for _ in range(29):
        await lag.measure(stopping=never)

    assert round(fresh, 6) == 0.25
    assert round(lag.worst_s(), 6) == 0


async def test_a_pause_cut_short_by_the_stop_is_no_measurement() -> None:
    clock, stopping = LateClock(), asyncio.Event()
    clock.late_s = 3.0
    stopping.set()
    lag = LoopLag(clock)

    await lag.measure(stopping=stopping)

    assert lag.worst_s() == 0


async def test_a_standstill_between_two_pauses_is_seen_as_well() -> None:
    clock, never = LateClock(), asyncio.Event()
    lag = LoopLag(clock)
    await lag.measure(stopping=never)

    await clock.sleep_real(8.0)  # the whole process, e.g. by SIGSTOP
    await lag.measure(stopping=never)

    assert round(lag.worst_s(), 6) == 7


async def test_the_rest_of_the_second_between_two_pauses_is_no_delay() -> None:
    clock, never = LateClock(), asyncio.Event()
    lag = LoopLag(clock)

    for _ in range(3):
        await lag.measure(stopping=never)
        await clock.sleep_real(0.1)

    assert round(lag.worst_s(), 6) == 0
