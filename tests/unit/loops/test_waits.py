"""What the other side asks for is obeyed, across passes too, and never believed blindly."""

import asyncio
import math
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.adapters.answers import retry_after_s
from service.domain.errors import ExchangeRefused, ExchangeUnavailable, ModelUnavailable
from service.loops.loop import Loop, every
from service.loops.runner import Runner
from service.loops.waits import LONGEST_HOLD_S, asked_s, on_grid
from tests.builders import T0
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs

SENT = "Sun, 22 Nov 2026 20:55:00 GMT"
DAY = 86_400


def instant(s: float) -> datetime:
    return T0 + timedelta(seconds=s)


class Job:
    """A job every ten seconds whose passes do as told; the last one stops the runner."""

    def __init__(self, *outcomes: Exception | float, period_s: float = 10) -> None:
        self.clock = FakeClock()
        self.runner = Runner(clock=self.clock, real_clock=self.clock, new_id=lambda: "run-1")
        self.outcomes = list(outcomes)
        self.started_at: list[float] = []
        self.loop = Loop(name="job", every=every(seconds=period_s), step=self.step)

    async def step(self) -> None:
        self.started_at.append((self.clock.now() - T0).total_seconds())
        outcome = self.outcomes.pop(0)
        if not self.outcomes:
            self.runner.stop()
        if isinstance(outcome, Exception):
            raise outcome
        self.clock.pass_time(outcome)

    async def run(self) -> list[float]:
        await self.runner.run(self.loop)
        return self.started_at

    @property
    def skipped(self) -> int:
        return self.runner.state("job").skipped


def slow_down(header: str) -> ExchangeUnavailable:
    asked = retry_after_s({"Retry-After": header, "Date": SENT})
    return ExchangeUnavailable("slow down", retry_after_s=asked)


@pytest.mark.proves("FR-010")
@pytest.mark.parametrize(
    ("header", "again_at", "skipped"),
    [
        # shorter than the usual second, none, or not to be understood: the usual second
        ("0", 1, 0),
        ("0.3", 1, 0),
        ("soon", 1, 0),
        ("-5", 1, 0),
        ("NaN", 1, 0),
        # within the period: as asked, in the same pass
        ("5", 5, 0),
        ("Sun, 22 Nov 2026 20:55:09 GMT", 9, 0),
        ("Sun, 22 Nov 2026 20:54:00 GMT", 1, 0),
        # up to a minute, beyond the period: still in the same pass, which skips grid points
        ("10", 10, 1),
        ("11", 11, 1),
        ("Sun, 22 Nov 2026 20:55:31 GMT", 31, 3),
        ("60", 60, 6),
        # longer: the pass ends, and the next one is the first grid point that is not too early
        ("60.5", 70, 6),
        ("61", 70, 6),
        ("Sun, 22 Nov 2026 20:56:31 GMT", 100, 9),
        ("3600", 3600, 359),
        ("3601", 3610, 360),
        # absurd: a day at most
        ("999999999", DAY, 8639),
        ("9" * 12, DAY, 8639),
        ("9" * 300, DAY, 8639),
        ("Tue, 22 Nov 2033 20:55:00 GMT", DAY, 8639),
        ("9" * 400, 1, 0),
    ],
)
async def test_the_next_attempt_comes_when_the_header_allows_it(
    header: str, again_at: float, skipped: int
) -> None:
    job = Job(slow_down(header), 0.0)

    assert await job.run() == [0, again_at]
    assert job.skipped == skipped


@pytest.mark.parametrize(
    ("wish", "waited_s"),
    [
        (None, 0),
        (math.nan, 0),
        (-math.inf, 0),
        (-1, 0),
        (0, 0),
        (1.5, 1.5),
        (DAY, DAY),
        (DAY + 1, DAY),
        (math.inf, DAY),
        (1e300, DAY),
    ],
)
async def test_no_wish_is_absurd_enough_to_end_the_loop(
    wish: float | None, waited_s: float
) -> None:
    error = ModelUnavailable("slow down", retry_after_s=wish)
    job = Job(error, 0.0, 0.0)

    await job.run()

    assert asked_s(error) == waited_s
    assert LONGEST_HOLD_S == DAY
    assert job.runner.state("job").consecutive_failures == 0


def test_what_is_no_boundary_error_asks_for_nothing() -> None:
    assert (asked_s(None), asked_s(KeyError("bug"))) == (0, 0)


@pytest.mark.parametrize(
    ("not_before", "due", "passed_over"),
    [(0, 10, 0), (10, 10, 0), (10.001, 20, 1), (20, 20, 1), (95, 100, 9)],
)
def test_the_grid_goes_on_where_it_would_have(
    not_before: float, due: float, passed_over: int
) -> None:
    found = on_grid(instant(10), timedelta(seconds=10), not_before=instant(not_before))

    assert found == (instant(due), passed_over)


async def test_the_wait_across_passes_is_one_line_and_shown(logs: Logs) -> None:
    job = Job(slow_down("3601"), 0.0, period_s=1800)
    seen: list[Any] = []
    sleep = job.clock.sleep_market

    async def watching(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        seen.append(job.runner.state("job").next_run_at)
        await sleep(seconds, wake=wake)

    job.clock.sleep_market = watching  # type: ignore[method-assign]
    await job.run()

    assert set(seen) == {instant(5400)}
    assert job.started_at == [0, 5400]
    (line,) = [line for line in logs.lines if "asked" in line["message"]]
    assert (line["wait_s"], line["skipped"]) == (3601, 2)
    assert line["next_run_at"].startswith("2026-01-24T10:30:00")


async def test_a_wish_with_the_last_attempt_counts_from_that_attempt() -> None:
    outcomes = [*[ExchangeUnavailable("no answer")] * 3, slow_down("25")]
    job = Job(*outcomes, 0.0)

    assert await job.run() == [0, 1, 3, 7, 40]


async def test_what_is_not_retried_is_held_off_as_well() -> None:
    job = Job(ExchangeRefused("blocked", retry_after_s=30), 0.0)

    assert await job.run() == [0, 30]


async def test_a_success_ends_the_wait_for_all_passes_after_it() -> None:
    job = Job(slow_down("65"), 0.0, 0.0, 0.0)

    assert await job.run() == [0, 70, 80, 90]


async def test_a_nudge_during_the_wait_is_kept_for_its_end() -> None:
    job = Job(slow_down("65"), 0.0, 0.0)
    sleep, nudged = job.clock.sleep_market, False

    async def nudging(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        nonlocal nudged
        if not nudged:
            nudged = True
            job.runner.nudge("job")
        await sleep(seconds, wake=wake)

    job.clock.sleep_market = nudging  # type: ignore[method-assign]

    assert await job.run() == [0, 65, 70]


async def test_a_call_by_hand_cuts_in() -> None:
    job = Job(slow_down("3600"), 0.0, 0.0)
    sleep, called = job.clock.sleep_market, False

    async def calling(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        nonlocal called
        await sleep(seconds, wake=wake)
        if not called:
            called = True
            job.runner.call("job")

    job.clock.sleep_market = calling  # type: ignore[method-assign]

    assert await job.run() == [0, 60, 70]


async def test_a_wait_for_hours_never_looks_dead() -> None:
    job = Job(slow_down("7200"), 0.0)
    left_s: list[float] = []
    sleep = job.clock.sleep_market

    async def watching(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        state = job.runner.state("job")
        left_s.append(state.beat_at + state.beat_within_s - job.clock.monotonic() - seconds)
        await sleep(seconds, wake=wake)

    job.clock.sleep_market = watching  # type: ignore[method-assign]
    await job.run()

    assert len(left_s) > 100
    assert min(left_s) > 0


async def test_a_clock_that_is_set_back_does_not_prolong_the_wait_beyond_a_day() -> None:
    job = Job(slow_down("3600"), 0.0)
    sleep, back = job.clock.sleep_market, False

    async def setting_back(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        nonlocal back
        if not back:
            back = True
            job.clock.pass_time(-2 * DAY)
        await sleep(seconds, wake=wake)

    job.clock.sleep_market = setting_back  # type: ignore[method-assign]
    await job.run()

    assert job.started_at[1] < -DAY


async def test_a_job_that_is_off_makes_no_pass_and_is_not_late_when_it_is_on_again() -> None:
    job = Job(0.0, 0.0)
    asked = 0

    async def is_on() -> bool:
        nonlocal asked
        asked += 1
        return asked not in {2, 3}

    job.loop = Loop(name="job", every=every(seconds=10), step=job.step, enabled=is_on)

    assert await job.run() == [0, 30]
    assert (job.skipped, job.runner.state("job").is_enabled) == (0, True)


async def test_a_job_that_is_off_has_no_next_run_and_still_gives_signs_of_life() -> None:
    job = Job(0.0)
    states = []

    async def is_on() -> bool:
        if job.clock.waits:
            states.append(job.runner.state("job"))
        if len(job.clock.waits) == 5:
            job.runner.stop()
        return False

    job.loop = Loop(name="job", every=every(seconds=10), step=job.step, enabled=is_on)

    assert await job.run() == []
    assert {(s.is_enabled, s.next_run_at, s.runs) for s in states} == {(False, None, 0)}
    assert all(job.clock.monotonic() - s.beat_at < 60 for s in states)


async def test_a_job_that_is_off_runs_when_somebody_asks() -> None:
    job = Job(0.0)

    async def is_on() -> bool:
        if len(job.clock.waits) == 2:
            job.runner.call("job")
        return False

    job.loop = Loop(name="job", every=every(seconds=10), step=job.step, enabled=is_on)

    assert await job.run() == [20]


async def test_a_switch_that_cannot_be_read_stays_as_it_was(logs: Logs) -> None:
    job = Job(0.0, 0.0)

    async def is_on() -> bool:
        raise ExchangeUnavailable("gone")

    job.loop = Loop(name="job", every=every(seconds=10), step=job.step, enabled=is_on)

    assert await job.run() == [0, 10]
    assert "WARNING" in logs.levels


async def test_stopping_while_the_switch_is_read_ends_the_loop() -> None:
    job = Job(0.0)

    async def is_on() -> bool:
        job.runner.stop()
        return False

    job.loop = Loop(name="job", every=every(seconds=10), step=job.step, enabled=is_on)

    assert await job.run() == []
    assert job.clock.waits == []


async def test_a_job_that_is_off_for_long_keeps_its_grid() -> None:
    job = Job(0.0, 0.0, period_s=1800)
    asked = 0

    async def is_on() -> bool:
        nonlocal asked
        asked += 1
        return not T0 + timedelta(seconds=60) < job.clock.now() < T0 + timedelta(seconds=6000)

    job.loop = Loop(name="job", every=every(seconds=1800), step=job.step, enabled=is_on)

    assert await job.run() == [0, 7200]
    assert asked > 100, "the switch is shown within a minute, whatever the period"


async def test_a_shorter_period_is_noticed_while_a_job_waits_for_hours() -> None:
    job = Job(slow_down("3700"), 0.0, 0.0, period_s=1800)
    period_s = 1800.0

    async def period() -> timedelta:
        nonlocal period_s
        if job.clock.now() > T0 + timedelta(seconds=4000):
            period_s = 600
        return timedelta(seconds=period_s)

    job.loop = Loop(name="job", every=period, step=job.step)
    first, second, third = await job.run()

    assert first == 0
    assert 3700 < second < 5400
    assert third - second == 600
