"""The one runner: it repeats, times, retries, catches and reports. Steps do one pass."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import backoff
from loguru import logger

from service.domain.errors import BoundaryError
from service.domain.signals import Trigger
from service.loops.loop import Loop
from service.loops.waits import LONGEST_HOLD_S, asked_s, on_grid
from service.ports.clock import Clock
from service.ports.health import JobState

MAX_ATTEMPTS: Final = 4  #: one try and three retries, after 1, 2 and 4 seconds (FR-007)
#: A longer wait that the server asks for, and that reaches the next grid point, ends the pass.
LONGEST_ASKED_WAIT_S: Final = 60.0
ASK_AGAIN_S: Final = 60.0  #: of the market's time: how soon a shorter period takes effect
BEAT_SLACK_S: Final = 30.0  #: a sign of life may be this late before health calls it stale


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass of a loop came to."""

    job: str
    run_id: str
    started_at: datetime  #: the market's instant
    duration_ms: float  #: real time, waits between attempts included
    attempts: int
    error: Exception | None

    @property
    def success(self) -> bool:
        return self.error is None


class Runner:
    """Repeats loops on a fixed grid of the market's clock, start to start, and outlives them.

    A loop never overlaps itself: a pass longer than the period skips grid points and says so.
    Stopping ends loops between passes, never inside one: a pass that has begun an order
    finishes it.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        observe: Callable[[Pass], Awaitable[None]] | None = None,
    ) -> None:
        """Args: observe: told of every pass of a job, once it is over."""
        self._clock = clock
        self._new_id = new_id
        self._observe = observe
        self._loops: dict[str, Loop] = {}
        self._states: dict[str, JobState] = {}
        self._stopping = asyncio.Event()
        self._calls: dict[str, asyncio.Event] = {}  #: set when somebody asks for a pass by hand
        self._due: dict[str, datetime] = {}  #: where on the grid each loop is
        self._held: dict[str, datetime] = {}  #: until when the other side asked to be left alone
        self._asleep: set[str] = set()

    def states(self) -> Sequence[JobState]:
        return tuple(self._states.values())

    def nudge(self, name: str) -> None:
        """Have the next pass of `name` now, or right after the one that runs."""
        if loop := self._loops.get(name):
            loop.nudge.set()

    def call(self, name: str) -> None:
        """Have a pass of `name` by hand: as `nudge`, and also while it is off or held."""
        if name in self._loops:
            self._calls[name].set()
            self.nudge(name)

    async def check_call(self, name: str) -> None:
        """Raises: what the job refuses a pass by hand with, because it would do nothing."""
        await self._loops[name].check_call()

    def state(self, name: str) -> JobState:
        return self._states[name]

    def needs_lease(self, name: str) -> bool:
        return self._loops[name].needs_lease

    @property
    def stopping(self) -> asyncio.Event:
        return self._stopping

    def is_hung(self, name: str) -> bool:
        """Whether `name` works on something for longer than it may; a wait is no work."""
        state = self._states.get(name)
        return (
            state is not None
            and name not in self._asleep
            and self._clock.monotonic() - state.beat_at > state.beat_within_s
        )

    def restarting(self, loop: Loop, *, error: str, wait_s: float) -> None:
        """Note that `loop` has died of `error` and is run again after real `wait_s`."""
        before = self._states[loop.name]
        self._note(
            loop,
            running=False,
            last_error=error,
            last_failure_at=self._clock.now(),
            next_run_at=None,
            consecutive_failures=before.consecutive_failures + 1,
            restarts=before.restarts + 1,
            restarts_in_a_row=before.restarts_in_a_row + 1,
            restarted_at=self._clock.monotonic(),
            beat_within_s=wait_s + BEAT_SLACK_S,
        )

    def stop(self) -> None:
        """Let every loop end after the pass it is in."""
        self._stopping.set()
        for call in self._calls.values():
            call.set()
        for loop in self._loops.values():
            loop.nudge.set()

    async def run(self, loop: Loop) -> None:
        """Repeat `loop` until `stop`; run again after its death, it goes on where it was."""
        self._loops[loop.name] = loop
        self._calls.setdefault(loop.name, asyncio.Event())
        self._states.setdefault(loop.name, self._at_first(loop))
        self._note(loop, beat_within_s=BEAT_SLACK_S)
        async with self._clock.participant():
            try:
                await self._repeat(loop)
            finally:
                if not self._stopping.is_set():
                    # Until it is started again, health need not wait for three periods to see.
                    self._note(loop, beat_within_s=0.0)

    async def _repeat(self, loop: Loop) -> None:
        due = self._clock.now()
        period = await self._period(loop)
        if (broke_off := self._due.get(loop.name)) is not None:
            due = self._not_before_asked(loop, self._next_due(loop, broke_off, period), period)
            await self._wait(loop, due, period)
        self._due[loop.name] = due
        while not self._stopping.is_set():
            await self._turn(loop, period, due=due)
            # Asked again after the pass, because the pass may have changed what is due next:
            # an order in flight is followed every two seconds, none every five minutes.
            period = await self._period(loop)
            due = self._not_before_asked(loop, self._next_due(loop, due, period), period)
            self._due[loop.name] = due
            await self._wait(loop, due, period)

    async def _turn(self, loop: Loop, period: timedelta, *, due: datetime) -> None:
        """Make the pass, unless the job is off and nobody asks for it by hand."""
        await self._look_at_switch(loop)
        if self._stopping.is_set():
            return
        call, is_enabled = self._calls[loop.name], self._states[loop.name].is_enabled
        if is_enabled or call.is_set():
            # A planned pass does all that one by hand would; a call at its instant adds nothing.
            is_planned = is_enabled and due <= self._clock.now()
            trigger: Trigger = "manual" if call.is_set() and not is_planned else "schedule"
            call.clear()
            await self._one_pass(loop, period, trigger)
        else:
            loop.nudge.clear()

    async def _look_at_switch(self, loop: Loop) -> None:
        if loop.enabled is None:
            return
        try:
            is_enabled = await loop.enabled()
        except Exception as exc:  # noqa: BLE001 - a loop outlives whatever is asked of it
            logger.bind(event="job", job=loop.name, error=type(exc).__name__).opt(
                exception=None if isinstance(exc, BoundaryError) else exc
            ).warning("whether the job is on could not be read, the last answer holds")
            return
        self._note(loop, is_enabled=is_enabled)

    def _at_first(self, loop: Loop) -> JobState:
        return JobState(
            name=loop.name,
            every_s=0,
            running=False,
            last_start_at=None,
            last_success_at=None,
            last_error=None,
            last_duration_ms=None,
            next_run_at=None,
            consecutive_failures=0,
            runs=0,
            skipped=0,
            beat_at=self._clock.monotonic(),
            beat_within_s=BEAT_SLACK_S,
        )

    async def _period(self, loop: Loop) -> timedelta:
        try:
            return await loop.every()
        except Exception as exc:  # noqa: BLE001 - a loop outlives whatever is asked of it
            # The period is a setting; with the database away the last one still holds.
            is_bug = not isinstance(exc, BoundaryError)
            logger.bind(event="job", job=loop.name, error=type(exc).__name__).opt(
                exception=exc if is_bug else None
            ).warning("the job's period could not be read, the last one holds")
            return timedelta(seconds=self._states[loop.name].every_s or BEAT_SLACK_S)

    async def _one_pass(self, loop: Loop, period: timedelta, trigger: Trigger) -> None:
        self._note(
            loop,
            running=True,
            every_s=period.total_seconds(),
            last_start_at=self._clock.now(),
            next_run_at=None,
            beat_within_s=loop.deadline_s * MAX_ATTEMPTS + BEAT_SLACK_S,
        )
        loop.nudge.clear()
        loop.begin(trigger)
        result = await self._attempts(loop, until=self._clock.now() + period)
        before = self._states[loop.name]
        self._note(
            loop,
            running=False,
            runs=before.runs + 1,
            last_duration_ms=result.duration_ms,
            last_success_at=self._clock.now() if result.success else before.last_success_at,
            last_error=type(result.error).__name__ if result.error else None,
            last_failure_at=self._clock.now() if result.error else before.last_failure_at,
            restarts_in_a_row=0,
            consecutive_failures=0 if result.success else before.consecutive_failures + 1,
        )
        self._held[loop.name] = self._clock.now() + timedelta(seconds=asked_s(result.error))
        _report(loop, result, was_failing=before.consecutive_failures > 0)
        if loop.is_job:
            await self._tell(result)

    async def _tell(self, result: Pass) -> None:
        if self._observe is None:
            return
        try:
            await self._observe(result)
        except Exception as exc:  # noqa: BLE001 - a pass that is done does not fail for its record
            is_bug = not isinstance(exc, BoundaryError)
            logger.bind(
                event="app", job=result.job, run_id=result.run_id, error=type(exc).__name__
            ).opt(exception=exc if is_bug else None).warning("a pass could not be put on record")

    async def _attempts(self, loop: Loop, *, until: datetime) -> Pass:
        """Make the pass; retry it after 1, 2 and 4 s, or after what the server asked for.

        All three retries are made (FR-007), even those that start after `until`, the next grid
        point. `_is_left_to_next_pass` has the two exceptions.
        """
        run_id, began = self._new_id(), self._clock.monotonic()
        started_at = self._clock.now()
        waits = backoff.expo(base=2, factor=1)
        next(waits)  # the generator's first value is its start signal, not a wait
        error: Exception | None = None
        attempt = 0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            self._note(loop, beat_within_s=loop.deadline_s + BEAT_SLACK_S)
            error = await _attempt(loop)
            if not (isinstance(error, BoundaryError) and error.retryable):
                break
            wait_s = max(float(next(waits)), asked_s(error))
            if attempt == MAX_ATTEMPTS or self._stopping.is_set():
                break
            if self._is_left_to_next_pass(loop, wait_s, until=until):
                break
            logger.bind(
                event="job", job=loop.name, run_id=run_id, attempt=attempt, wait_s=wait_s,
                error=type(error).__name__, code=error.code,
            ).warning("the pass failed and will be tried again")  # fmt: skip
            # Waiting as long as it was asked to is no sign of death.
            self._note(loop, beat_within_s=wait_s + loop.deadline_s * MAX_ATTEMPTS + BEAT_SLACK_S)
            await self._sleep(loop, wait_s, wake=self._stopping)
            if self._stopping.is_set():
                break
        return Pass(
            job=loop.name,
            run_id=run_id,
            started_at=started_at,
            duration_ms=(self._clock.monotonic() - began) * 1000,
            attempts=attempt,
            error=error,
        )

    def _is_left_to_next_pass(self, loop: Loop, wait_s: float, *, until: datetime) -> bool:
        """Whether a retry after `wait_s` is not made, because the next pass takes its place.

        Only for a retry that would start at the next grid point or later.
        """
        if self._clock.now() + timedelta(seconds=wait_s) < until:
            return False
        # The next pass of an internal loop starts sooner than the retry would: a lease that is
        # renewed every three seconds cannot wait for four. The next pass of a job that was asked
        # for a long wait obeys it too, and until then the failure is on record.
        return not loop.is_job or wait_s > LONGEST_ASKED_WAIT_S

    def _next_due(self, loop: Loop, due: datetime, period: timedelta) -> datetime:
        """Return the next grid point that is not past, counting those that were missed.

        A pass that was nudged ran out of turn: the planned one stays, unless the period shrank.
        """
        now = self._clock.now()
        if due > now:
            return min(due, now + period)
        missed = (now - due) // period
        if missed:
            self._note(loop, skipped=self._states[loop.name].skipped + missed)
        return due + period * (missed + 1)

    def _not_before_asked(self, loop: Loop, due: datetime, period: timedelta) -> datetime:
        """Return the first grid point from `due` on that obeys the other side's Retry-After."""
        held_s = self._held_s(loop)
        due, passed_over = on_grid(
            due, period, not_before=self._clock.now() + timedelta(seconds=held_s)
        )
        if passed_over and held_s:
            self._note(loop, skipped=self._states[loop.name].skipped + passed_over)
            logger.bind(
                event="job", job=loop.name, wait_s=held_s, skipped=passed_over, next_run_at=due
            ).warning("the next pass waits for as long as the other side asked")
        return due

    def _held_s(self, loop: Loop) -> float:
        """Return for how long `loop` is to wait yet; a clock that was set back does not add."""
        until = self._held.get(loop.name, self._clock.now())
        left_s = (until - self._clock.now()).total_seconds()
        return left_s if 0 < left_s <= LONGEST_HOLD_S else 0.0

    async def _obey(self, loop: Loop, due: datetime) -> None:
        """Leave the job alone for as long as it was asked; only a call by hand cuts in.

        A nudge meanwhile is not lost: it has its pass right after.
        """
        call = self._calls[loop.name]
        while not call.is_set() and (left_s := self._held_s(loop)) > 0:
            chunk_s = min(left_s, ASK_AGAIN_S)
            shown = due if self._states[loop.name].is_enabled else None
            self._note(loop, next_run_at=shown, beat_within_s=chunk_s + BEAT_SLACK_S)
            await self._sleep(loop, chunk_s, wake=call)
            await self._look_at_switch(loop)

    async def _sleep(self, loop: Loop, seconds: float, *, wake: asyncio.Event) -> None:
        self._asleep.add(loop.name)
        try:
            await self._clock.sleep(seconds, wake=wake)
        finally:
            self._asleep.discard(loop.name)
            self._note(loop, beat_within_s=BEAT_SLACK_S)

    async def _wait(self, loop: Loop, due: datetime, period: timedelta) -> None:
        """Wait until `due`, or for a nudge; sooner when the period shrinks meanwhile."""
        await self._obey(loop, due)
        began = max(self._states[loop.name].last_start_at or due - period, due - period)
        while not loop.nudge.is_set():
            now = self._clock.now()
            due = min(due, now + period)  # a clock that was set back holds nobody up
            left_s = (due - now).total_seconds()
            if left_s <= 0:
                return
            # Three periods without a sign of life is what health calls dead.
            state, chunk_s = self._states[loop.name], min(left_s, ASK_AGAIN_S)
            # The period may be longer now than at the pass: as long as we mean to sleep is fine.
            patience_s = max(3 * state.every_s, BEAT_SLACK_S + max(0.0, chunk_s - state.every_s))
            self._note(
                loop, next_run_at=due if state.is_enabled else None, beat_within_s=patience_s
            )
            await self._sleep(loop, chunk_s, wake=loop.nudge)
            if left_s > ASK_AGAIN_S:
                await self._look_at_switch(loop)
                due = min(due, began + await self._period(loop))

    def _note(self, loop: Loop, **changes: Any) -> None:  # noqa: ANN401 - fields of JobState
        self._states[loop.name] = replace(
            self._states[loop.name], beat_at=self._clock.monotonic(), **changes
        )


async def _attempt(loop: Loop) -> Exception | None:
    try:
        async with asyncio.timeout(loop.deadline_s):
            await loop.step()
    except Exception as exc:  # noqa: BLE001 - a loop outlives whatever its step raises
        return exc
    except asyncio.CancelledError as exc:
        if _is_cancelled():
            raise
        # A library's own, e.g. aiopg's for a statement that ran too long: it would end the loop,
        # and nobody would be told.
        leak = RuntimeError("a cancellation leaked out of the step")
        leak.__cause__ = exc
        return leak
    return None


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _report(loop: Loop, result: Pass, *, was_failing: bool) -> None:
    line = logger.bind(
        event="job",
        job=result.job,
        run_id=result.run_id,
        duration_ms=round(result.duration_ms, 3),
        success=result.success,
        attempts=result.attempts,
        error=type(result.error).__name__ if result.error else None,
    )
    if result.error is None:
        if was_failing:
            line.info("the job has recovered")
        elif loop.is_job:
            line.info("pass")
    elif not isinstance(result.error, BoundaryError):
        line.opt(exception=result.error).error("the job has a bug or hung")
    elif was_failing:
        # An outage spans many passes: the error is told once, then each pass in one line.
        line.bind(cause=str(result.error)).warning("the job still fails")
    else:
        line.bind(cause=str(result.error), code=result.error.code).error(
            "the pass failed and is given up"
        )
