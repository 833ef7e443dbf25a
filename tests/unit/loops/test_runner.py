import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import pytest

from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.domain.errors import (
    ExchangeRefused,
    ExchangeUnavailable,
    ModelUnavailable,
    StoreDown,
)
from service.domain.signals import Trigger
from service.loops.loop import Loop, every
from service.loops.runner import Pass, Runner
from tests.builders import T0
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs

Step = Callable[[], Awaitable[None]]


def a_runner(clock: FakeClock) -> Runner:
    return Runner(clock=clock, real_clock=clock, new_id=lambda: "run-1")


def a_loop(step: Step, **overrides: object) -> Loop:
    return Loop(**{"name": "collect", "every": every(seconds=10), "step": step} | overrides)  # type: ignore[arg-type]


class Script:
    """A step that does what it is told, pass by pass, and stops the runner at the end."""

    def __init__(self, runner: Runner, clock: FakeClock, *outcomes: Exception | float) -> None:
        self._runner, self._clock = runner, clock
        self._outcomes = list(outcomes)
        self.started_at: list[float] = []

    async def __call__(self) -> None:
        self.started_at.append((self._clock.now() - T0).total_seconds())
        outcome = self._outcomes.pop(0)
        if not self._outcomes:
            self._runner.stop()
        if isinstance(outcome, Exception):
            raise outcome
        self._clock.pass_time(outcome)


async def test_passes_start_on_a_grid_however_long_each_takes() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, 1.0, 4.0, 0.5, 0.0)

    await runner.run(a_loop(step))

    assert step.started_at == [0, 10, 20, 30]
    assert runner.states()[0].skipped == 0


async def test_a_pass_longer_than_the_period_skips_grid_points_and_counts_them() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, 25.0, 0.0)

    await runner.run(a_loop(step))

    assert step.started_at == [0, 30]
    assert runner.states()[0].skipped == 2


@pytest.mark.proves("FR-007")
async def test_a_passing_error_is_retried_after_one_two_and_four_seconds() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, *[ExchangeUnavailable("no answer")] * 3, 0.0, 0.0)

    await runner.run(a_loop(step))

    assert step.started_at == [0, 1, 3, 7, 10]
    assert runner.states()[0].consecutive_failures == 0


@pytest.mark.proves("S4.1", "FR-010")
async def test_the_wait_the_server_asks_for_wins_when_it_is_longer() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, ExchangeUnavailable("slow down", retry_after_s=5), 0.0, 0.0)

    await runner.run(a_loop(step))

    assert step.started_at == [0, 5, 10]


class Timeouts:
    """A step whose first attempts take six seconds and fail; the one after them succeeds."""

    def __init__(self, clock: FakeClock, *, fails: int, passes: int = 2) -> None:
        self._clock, self._fails, self._passes = clock, fails, passes
        self.runner = Runner(
            clock=clock, real_clock=clock, new_id=lambda: "run-1", observe=self._observe
        )
        self.started_at: list[float] = []
        self.seen: list[Pass] = []

    async def __call__(self) -> None:
        self.started_at.append((self._clock.now() - T0).total_seconds())
        if len(self.started_at) <= self._fails:
            self._clock.pass_time(6)
            raise ExchangeUnavailable("no answer", code="timeout")

    async def _observe(self, result: Pass) -> None:
        self.seen.append(result)
        if len(self.seen) == self._passes:
            self.runner.stop()

    async def run(self, **overrides: object) -> None:
        await self.runner.run(a_loop(self, **overrides))

    @property
    def skipped(self) -> int:
        return self.runner.state("collect").skipped


@pytest.mark.proves("S4.2", "FR-007")
async def test_a_pass_that_outlasts_its_period_still_has_its_retries(logs: Logs) -> None:
    """FR-007, S4.2: two time-outs of six seconds in a period of ten, then an answer."""
    step = Timeouts(FakeClock(), fails=2)

    await step.run()

    assert step.started_at == [0, 7, 15, 20]
    assert [(p.attempts, p.success) for p in step.seen] == [(3, True), (1, True)]
    assert step.skipped == 1
    assert logs.messages == [*["the pass failed and will be tried again"] * 2, "pass", "pass"]


@pytest.mark.proves("S4.3", "FR-007")
async def test_exactly_three_retries_are_made_however_long_the_attempts_take(logs: Logs) -> None:
    """FR-007: retries after 1, 2 and 4 s; then one error and the next period (S4.3)."""
    step = Timeouts(FakeClock(), fails=4)

    await step.run()

    assert step.started_at == [0, 7, 15, 25, 40]
    assert [(p.attempts, p.success) for p in step.seen] == [(4, False), (1, True)]
    assert step.skipped == 3
    assert logs.levels.count("ERROR") == 1


async def test_a_retry_of_an_internal_loop_leaves_its_place_to_the_next_pass() -> None:
    """The next renewal of a lease is due before the retry after four seconds would be."""
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, *[ExchangeUnavailable("no answer")] * 4, 0.0)

    await runner.run(a_loop(step, every=every(seconds=3), is_job=False))

    assert step.started_at == [0, 1, 3, 4, 6]


async def test_a_pass_beyond_its_period_ends_with_the_stop_and_not_with_its_retries() -> None:
    clock = FakeClock()
    step = Timeouts(clock, fails=4, passes=9)
    sleep = clock.sleep_market

    async def stopping(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        await sleep(seconds, wake=wake)
        if len(step.started_at) == 2:
            step.runner.stop()

    clock.sleep_market = stopping  # type: ignore[method-assign]
    await step.run()

    assert step.started_at == [0, 7]
    assert [p.attempts for p in step.seen] == [2]


async def test_a_job_between_its_retries_is_neither_stale_nor_hung() -> None:
    clock = FakeClock()
    step = Timeouts(clock, fails=4)
    sleep = clock.sleep_market
    left_s: list[float] = []
    hung: list[bool] = []

    async def watching(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        state = step.runner.state("collect")
        left_s.append(state.beat_at + state.beat_within_s - clock.monotonic() - seconds)
        await sleep(seconds, wake=wake)
        hung.append(step.runner.is_hung("collect"))

    clock.sleep_market = watching  # type: ignore[method-assign]
    await step.run(deadline_s=7)

    assert clock.waits[:3] == [1, 2, 4]
    assert min(left_s) > 0
    assert not any(hung)


@pytest.mark.parametrize("error", [ExchangeRefused("no"), KeyError("bug")])
async def test_what_a_retry_cannot_mend_is_not_retried(error: Exception) -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, error, 0.0)

    await runner.run(a_loop(step))

    assert step.started_at == [0, 10]


@pytest.mark.proves("S4.3", "FR-012")
async def test_an_outage_is_an_error_once_and_a_recovery_once(logs: Logs) -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, *[ExchangeRefused("no")] * 3, 0.0, 0.0)

    await runner.run(a_loop(step))

    assert logs.levels == ["ERROR", "WARNING", "WARNING", "INFO", "INFO"]


@pytest.mark.parametrize("is_job", [True, False])
async def test_a_pass_that_does_nothing_without_the_lease_is_no_recovery(
    logs: Logs, is_job: bool
) -> None:
    clock = FakeClock()
    runner = Runner(clock=clock, real_clock=clock, new_id=lambda: "run-1", lacks_lease=lambda: True)
    step = Script(runner, clock, ExchangeRefused("no"), 0.0, 0.0)

    await runner.run(a_loop(step, needs_lease=True, is_job=is_job))

    assert [line["message"] for line in logs.lines if line["level"] != "DEBUG"] == [
        "the pass failed and is given up"
    ]
    state = runner.state("collect")
    assert (state.runs, state.consecutive_failures, state.last_success_at) == (3, 1, None)
    assert state.last_error == "ExchangeRefused"


async def test_the_first_pass_with_the_lease_again_is_the_recovery(logs: Logs) -> None:
    clock, lacking = FakeClock(), iter([True, False])
    runner = Runner(
        clock=clock, real_clock=clock, new_id=lambda: "run-1", lacks_lease=lambda: next(lacking)
    )
    step = Script(runner, clock, ExchangeRefused("no"), 0.0, 0.0)

    await runner.run(a_loop(step, needs_lease=True))

    assert [line["message"] for line in logs.lines if line["level"] == "INFO"] == [
        "the job has recovered"
    ]
    assert runner.state("collect").consecutive_failures == 0


async def test_a_loop_that_needs_no_lease_recovers_without_it(logs: Logs) -> None:
    clock = FakeClock()
    runner = Runner(clock=clock, real_clock=clock, new_id=lambda: "run-1", lacks_lease=lambda: True)

    await runner.run(a_loop(Script(runner, clock, ExchangeRefused("no"), 0.0)))

    assert "the job has recovered" in [line["message"] for line in logs.lines]


async def test_what_failed_before_another_process_took_the_lease_is_forgotten() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    for name, needs_lease in (("collect", True), ("other", False)):
        step = Script(runner, clock, ExchangeRefused("no"))
        runner.stopping.clear()
        await runner.run(a_loop(step, name=name, needs_lease=needs_lease))

    runner.forget_failures()

    assert [state.consecutive_failures for state in runner.states()] == [0, 1]


async def test_a_hung_step_is_a_failed_pass_and_not_the_end_of_the_loop() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    passes = 0

    async def step() -> None:
        nonlocal passes
        passes += 1
        if passes == 1:
            await asyncio.Event().wait()
        runner.stop()

    await runner.run(a_loop(step, deadline_s=0.01))

    state = runner.states()[0]
    assert (state.runs, state.consecutive_failures) == (2, 0)


async def test_stopping_lets_the_pass_in_flight_finish() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    begun, finished = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        begun.set()
        await asyncio.sleep(0)
        finished.set()

    task = asyncio.create_task(runner.run(a_loop(step)))
    await begun.wait()
    runner.stop()
    await task

    assert finished.is_set()
    assert runner.states()[0].runs == 1


async def test_a_nudge_brings_the_next_pass_forward_and_leaves_the_grid_alone() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, 2.0, 0.0, 0.0, 0.0)

    async def nudging() -> None:
        await step()
        if len(step.started_at) == 1:
            runner.nudge("collect")

    await runner.run(a_loop(nudging))

    assert step.started_at == [0, 2, 10, 20]


async def test_a_period_that_cannot_be_read_stays_the_last_one() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, 0.0, 0.0, 0.0)
    periods: Iterator[timedelta | StoreDown] = itertools.chain(
        [timedelta(seconds=10)], itertools.repeat(StoreDown("gone"))
    )

    async def period() -> timedelta:
        answer = next(periods)
        if isinstance(answer, StoreDown):
            raise answer
        return answer

    await runner.run(a_loop(step, every=period))

    assert step.started_at == [0, 10, 20]


async def test_a_cancellation_that_leaks_out_of_a_step_is_a_failed_pass_and_not_the_end(
    logs: Logs,
) -> None:
    """Libraries turn their own time limits into CancelledError; the task ends without a word."""
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, 0.0, 0.0)
    leaks = [asyncio.CancelledError()]

    async def leaking() -> None:
        await step()
        if leaks:
            raise leaks.pop()

    await runner.run(a_loop(leaking))

    assert step.started_at == [0, 10]
    assert logs.levels == ["ERROR", "INFO"]


async def test_our_own_cancellation_ends_the_loop_at_once() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    begun = asyncio.Event()

    async def step() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(runner.run(a_loop(step)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert runner.states()[0].runs == 0


async def test_a_loop_that_dies_all_the_same_is_stale_from_that_moment_on() -> None:
    clock = FakeClock()
    runner = a_runner(clock)

    async def step() -> None:
        raise KeyboardInterrupt  # what no loop outlives

    with pytest.raises(KeyboardInterrupt):
        await runner.run(a_loop(step, every=every(minutes=30)))
    clock.pass_time(0.001)

    state = runner.states()[0]
    assert clock.monotonic() - state.beat_at > state.beat_within_s


async def test_a_loop_that_was_stopped_is_not_stale() -> None:
    clock = FakeClock()
    runner = a_runner(clock)

    await runner.run(a_loop(Script(runner, clock, 0.0)))
    clock.pass_time(1)

    state = runner.states()[0]
    assert clock.monotonic() - state.beat_at < state.beat_within_s


async def test_a_loop_that_waits_as_long_as_it_was_asked_to_is_not_stale() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, ModelUnavailable("quota", retry_after_s=300), 0.0)
    allowed_s: list[float] = []

    async def watching(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        state = runner.states()[0]
        allowed_s.append(state.beat_at + state.beat_within_s - clock.monotonic() - seconds)
        clock.pass_time(seconds)

    clock.sleep_market = watching  # type: ignore[method-assign]
    await runner.run(a_loop(step, every=every(minutes=30), deadline_s=10))

    assert all(left > 0 for left in allowed_s)
    assert step.started_at == [0, 300]


async def test_stopping_ends_the_wait_for_another_attempt() -> None:
    real_clock = SystemClock()
    clock = RealTimeMarketClock(real_clock)
    runner = Runner(clock=clock, real_clock=real_clock, new_id=lambda: "run-1")
    failed = asyncio.Event()

    async def step() -> None:
        failed.set()
        raise ExchangeUnavailable("slow down", retry_after_s=300)

    task = asyncio.create_task(runner.run(a_loop(step, every=every(minutes=30))))
    await failed.wait()
    await asyncio.sleep(0)
    runner.stop()
    async with asyncio.timeout(30):
        await task

    assert runner.states()[0].runs == 1


async def test_a_clock_that_is_set_back_holds_a_job_up_for_a_period_at_most() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, 0.0, -3600.0, 0.0)

    await runner.run(a_loop(step))

    assert step.started_at == [0, 10, -3580]


async def test_a_pass_is_begun_once_however_often_it_is_attempted() -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    step = Script(runner, clock, ExchangeUnavailable("no answer"), 0.0, 0.0)
    begun: list[float] = []

    def begin(_: Trigger) -> None:
        begun.append((clock.now() - T0).total_seconds())

    await runner.run(a_loop(step, begin=begin))

    assert step.started_at == [0, 1, 10]
    assert begun == [0, 10]


class Triggers:
    """A job every ten seconds that notes when and by what each pass was triggered."""

    def __init__(self, *, passes: int, is_on: bool = True) -> None:
        self.clock = FakeClock()
        self.runner = a_runner(self.clock)
        self.seen: list[tuple[float, Trigger]] = []
        self._passes, self._is_on = passes, is_on

    async def step(self) -> None:
        if len(self.seen) == self._passes:
            self.runner.stop()

    async def run(self, *, call_at_s: float) -> list[tuple[float, Trigger]]:
        """Call the job by hand when so much time has gone by, counted from its first pass."""
        sleep, called = self.clock.sleep_market, False

        async def calling(seconds: float, *, wake: asyncio.Event | None = None) -> None:
            nonlocal called
            left_s = call_at_s - (self.clock.now() - T0).total_seconds()
            await sleep(seconds if called else min(seconds, left_s), wake=wake)
            if not called and left_s <= seconds:
                called = True
                self.runner.call("collect")

        def begin(trigger: Trigger) -> None:
            self.seen.append(((self.clock.now() - T0).total_seconds(), trigger))

        async def is_on() -> bool:
            return self._is_on

        self.clock.sleep_market = calling  # type: ignore[method-assign]
        await self.runner.run(a_loop(self.step, begin=begin, enabled=is_on))
        return self.seen


async def test_a_pass_by_hand_is_told_from_the_planned_ones() -> None:
    job = Triggers(passes=3)

    assert await job.run(call_at_s=4) == [(0, "schedule"), (4, "manual"), (10, "schedule")]


async def test_a_call_at_the_instant_of_a_planned_pass_is_that_pass() -> None:
    """Else the planned pass would keep to a cooldown that is only meant for people."""
    job = Triggers(passes=3)

    assert await job.run(call_at_s=10) == [(0, "schedule"), (10, "schedule"), (20, "schedule")]


async def test_the_only_passes_of_a_job_that_is_off_are_by_hand() -> None:
    job = Triggers(passes=1, is_on=False)

    assert await job.run(call_at_s=10) == [(10, "manual")]


async def test_every_pass_of_a_job_is_observed_with_the_instant_it_started() -> None:
    clock = FakeClock()
    seen: list[Pass] = []

    async def observe(result: Pass) -> None:
        seen.append(result)

    runner = Runner(clock=clock, real_clock=clock, new_id=lambda: "run-1", observe=observe)
    step = Script(runner, clock, ExchangeUnavailable("no answer"), 0.5, ExchangeRefused("no"))

    await runner.run(a_loop(step))

    passes = [(p.job, p.run_id, p.attempts, p.success, p.duration_ms) for p in seen]
    assert passes == [
        ("collect", "run-1", 2, True, 1_500),
        ("collect", "run-1", 1, False, 0),
    ]
    assert [p.started_at for p in seen] == [T0, T0 + timedelta(seconds=10)]


async def test_an_idle_pass_of_a_job_is_a_debug_line_and_a_busy_one_is_not(logs: Logs) -> None:
    clock = FakeClock()
    runner = a_runner(clock)
    idle = iter([True, False])

    await runner.run(a_loop(Script(runner, clock, 0.0, 0.0), is_idle=lambda: next(idle)))

    assert [(line["message"], line["level"]) for line in logs.of("job")] == [
        ("pass", "DEBUG"),
        ("pass", "INFO"),
    ]


async def test_a_failed_pass_of_an_idle_job_is_an_error_all_the_same(logs: Logs) -> None:
    clock = FakeClock()
    runner = a_runner(clock)

    await runner.run(a_loop(Script(runner, clock, KeyError("bug")), is_idle=lambda: True))

    assert "ERROR" in logs.levels


async def test_a_pass_of_the_services_own_loops_is_a_debug_line(logs: Logs) -> None:
    clock = FakeClock()
    runner = a_runner(clock)

    await runner.run(a_loop(Script(runner, clock, 0.0, 0.0), is_job=False))

    assert [(line["message"], line["level"]) for line in logs.lines] == [
        ("maintenance pass", "DEBUG"),
        ("maintenance pass", "DEBUG"),
    ]
    assert logs.of("job") == []


async def test_the_houses_own_beats_are_not_observed() -> None:
    clock = FakeClock()
    seen: list[Pass] = []

    async def observe(result: Pass) -> None:
        seen.append(result)

    runner = Runner(clock=clock, real_clock=clock, new_id=lambda: "run-1", observe=observe)

    await runner.run(a_loop(Script(runner, clock, 0.0, 0.0), is_job=False))

    assert seen == []


@pytest.mark.proves("FR-012")
@pytest.mark.parametrize("error", [StoreDown("gone"), KeyError("bug")])
async def test_a_pass_that_cannot_be_recorded_is_a_warning_and_no_failure(
    logs: Logs, error: Exception
) -> None:
    clock = FakeClock()

    async def observe(_: Pass) -> None:
        raise error

    runner = Runner(clock=clock, real_clock=clock, new_id=lambda: "run-1", observe=observe)

    await runner.run(a_loop(Script(runner, clock, 0.0, 0.0)))

    state = runner.states()[0]
    assert (state.runs, state.consecutive_failures) == (2, 0)
    assert logs.levels == ["INFO", "WARNING", "INFO", "WARNING"]
