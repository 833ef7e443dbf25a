"""What dies or hangs is started again, alone, counted and seen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.domain.errors import ExchangeUnavailable
from service.domain.signals import Trigger
from service.loops.loop import Loop, every
from service.loops.runner import Runner
from service.loops.supervisor import Supervisor
from service.ops.health.rules import of_jobs
from tests.builders import T0
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs

Step = Callable[[], Awaitable[None]]


class Torn(BaseException):
    """What no `except Exception` holds."""


class Kept:
    """A loop in the care of a supervisor, on a clock that both share."""

    def __init__(self, step: Step, **overrides: object) -> None:
        self.clock = FakeClock()
        self.runner = Runner(clock=self.clock, real_clock=self.clock, new_id=lambda: "run-1")
        self.supervisor = Supervisor(self.runner, real_clock=self.clock)
        given = {"name": "job", "every": every(seconds=10), "step": step} | overrides
        self.loop = Loop(**given)  # type: ignore[arg-type]

    async def run(self) -> None:
        async with asyncio.timeout(30):
            await self.supervisor.keep(self.loop)

    @property
    def at_s(self) -> float:
        return (self.clock.now() - T0).total_seconds()


@pytest.mark.parametrize("error", [Torn(), asyncio.CancelledError(), GeneratorExit()])
async def test_a_loop_that_something_around_the_step_ends_goes_on_with_the_next_grid_point(
    logs: Logs, error: BaseException
) -> None:
    ends = [error]
    passes = 0

    async def step() -> None:
        nonlocal passes
        passes += 1
        if passes == 2:
            kept.runner.stop()

    def begin(_: Trigger) -> None:
        if ends:
            raise ends.pop()

    kept = Kept(step, begin=begin)
    await kept.run()

    state = kept.runner.state("job")
    assert (state.restarts, state.restarts_in_a_row, state.runs) == (1, 0, 2)
    (line,) = [line for line in logs.lines if "started again" in line["message"]]
    assert (line["job"], line["restarts"], line["wait_s"]) == ("job", 1, 1)


async def test_an_error_no_step_may_raise_is_a_restart_too() -> None:
    passes = 0

    async def step() -> None:
        nonlocal passes
        passes += 1
        if passes == 1:
            raise Torn
        kept.runner.stop()

    kept = Kept(step)
    await kept.run()

    assert (passes, kept.runner.state("job").restarts) == (2, 1)


async def test_a_period_that_ends_the_loop_is_asked_again() -> None:
    leaks = [asyncio.CancelledError()]

    async def period() -> timedelta:
        if leaks:
            raise leaks.pop()
        return timedelta(seconds=10)

    async def step() -> None:
        kept.runner.stop()

    kept = Kept(step, every=period)
    await kept.run()

    assert kept.runner.state("job").runs == 1


async def test_restarts_come_after_longer_and_longer_waits_until_a_pass_ends() -> None:
    waits: list[float] = []
    deaths = 9

    def begin(_: Trigger) -> None:
        nonlocal deaths
        deaths -= 1
        if deaths:
            raise Torn

    async def step() -> None:
        kept.runner.stop()

    kept = Kept(step, begin=begin)
    restarting = kept.runner.restarting

    def noted(loop: Loop, *, error: str, wait_s: float) -> None:
        waits.append(wait_s)
        restarting(loop, error=error, wait_s=wait_s)

    kept.runner.restarting = noted  # type: ignore[method-assign]
    await kept.run()

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_health_warns_of_a_restart_and_despairs_of_the_third_in_a_row() -> None:
    found: list[str] = []

    def begin(_: Trigger) -> None:
        states, now = kept.runner.states(), kept.clock.monotonic()
        found.append(of_jobs(states, monotonic=now).status)
        if len(found) <= 3:
            raise Torn

    async def step() -> None:
        if len(found) == 5:
            kept.runner.stop()

    kept = Kept(step, begin=begin)
    await kept.run()

    assert found == ["healthy", "warning", "warning", "unhealthy", "warning"]


async def test_a_step_that_hangs_and_swallows_its_time_limit_is_ended_and_started_again(
    logs: Logs,
) -> None:
    alive = most = passes = 0

    async def step() -> None:
        nonlocal alive, most, passes
        alive, passes = alive + 1, passes + 1
        most = max(most, alive)
        try:
            if passes == 1:
                while True:
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        if kept.at_s > 60:
                            raise
            kept.runner.stop()
        finally:
            alive -= 1

    kept = Kept(step, deadline_s=0.01)
    await kept.run()

    assert (passes, most) == (2, 1)
    assert kept.runner.state("job").restarts == 1
    messages = [line["message"] for line in logs.lines]
    assert "a job that hangs takes no cancellation; until it does it cannot be started" in messages


async def test_a_period_that_hangs_is_ended_and_started_again() -> None:
    asked = 0

    async def period() -> timedelta:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.Event().wait()
        return timedelta(seconds=10)

    async def step() -> None:
        kept.runner.stop()

    kept = Kept(step, every=period)
    await kept.run()

    assert (asked, kept.runner.state("job").restarts) == (3, 1)


async def test_a_process_that_was_stopped_for_a_while_restarts_nothing() -> None:
    """SIGSTOP, a paused machine: at the first look afterwards every loop seems dead."""
    passes = 0

    async def step() -> None:
        nonlocal passes
        passes += 1
        if passes == 1:
            kept.clock.pass_time(3600)
            await asyncio.sleep(0)
        else:
            kept.runner.stop()

    kept = Kept(step)
    await kept.run()

    assert (passes, kept.runner.state("job").restarts) == (2, 0)


async def test_a_loop_that_waits_in_a_clock_of_another_speed_is_not_taken_for_hung() -> None:
    """At full speed a sleep lasts in real time as long as others work."""
    clock = FakeClock()
    runner = Runner(clock=clock, real_clock=clock, new_id=lambda: "run-1")
    asleep, wake_up = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        return

    async def sleep(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        asleep.set()
        await wake_up.wait()

    clock.sleep_market = sleep  # type: ignore[method-assign]
    task = asyncio.create_task(runner.run(Loop(name="job", every=every(seconds=10), step=step)))
    await asleep.wait()
    clock.pass_time(3600)

    assert not runner.is_hung("job")
    runner.stop()
    wake_up.set()
    await task


async def test_each_run_of_a_loop_is_inside_its_context_and_the_wait_for_a_restart_is_not() -> None:
    inside: list[str] = []

    @asynccontextmanager
    async def loop_context() -> AsyncIterator[None]:
        inside.append("in")
        try:
            yield
        finally:
            inside.append("out")

    async def step() -> None:
        inside.append("pass")
        if inside.count("pass") == 1:
            raise Torn
        kept.runner.stop()

    kept = Kept(step)
    kept.supervisor = Supervisor(kept.runner, real_clock=kept.clock, loop_context=loop_context)
    await kept.run()

    assert inside == ["in", "pass", "out", "in", "pass", "out"]


async def test_stopping_ends_the_wait_for_a_restart() -> None:
    died = asyncio.Event()

    def begin(_: Trigger) -> None:
        died.set()
        raise Torn

    async def step() -> None:
        return

    runner = Runner(
        clock=RealTimeMarketClock(SystemClock()), real_clock=SystemClock(), new_id=lambda: "run-1"
    )
    loop = Loop(name="job", every=every(seconds=10), step=step, begin=begin)
    task = asyncio.create_task(Supervisor(runner, real_clock=SystemClock()).keep(loop))
    await died.wait()
    runner.stop()
    async with asyncio.timeout(30):
        await task

    assert runner.state("job").runs == 0


async def test_a_cancelled_supervisor_leaves_no_loop_behind() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    runner = Runner(
        clock=RealTimeMarketClock(SystemClock()), real_clock=SystemClock(), new_id=lambda: "run-1"
    )
    loop = Loop(name="job", every=every(seconds=10), step=step)
    task = asyncio.create_task(Supervisor(runner, real_clock=SystemClock()).keep(loop))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended.is_set()


async def test_a_restart_forgets_no_wait_that_was_asked_for() -> None:
    started_at: list[float] = []
    leaks = [asyncio.CancelledError()]

    async def step() -> None:
        started_at.append(kept.at_s)
        if len(started_at) == 1:
            raise ExchangeUnavailable("slow down", retry_after_s=95)
        kept.runner.stop()

    async def is_on() -> bool:
        if kept.at_s > 50 and leaks:
            raise leaks.pop()
        return True

    kept = Kept(step, enabled=is_on)
    await kept.run()

    assert len(started_at) == 2
    assert started_at[1] >= 95
    assert kept.runner.state("job").restarts == 1
