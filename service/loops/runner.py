"""The runner: repeats, times, retries and reports every loop. A loop's step does one pass."""

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
from service.ports.clock import MarketClock, RealClock
from service.ports.health import JobState

MAX_ATTEMPTS: Final = 4  #: one try and three retries, after 1, 2 and 4 seconds (FR-007).
#: A server's longer Retry-After ends the pass, if it also reaches the next grid point.
LONGEST_ASKED_WAIT_S: Final = 60.0
ASK_AGAIN_S: Final = 60.0  #: of the market's time: how often the period is read again during a wait
BEAT_SLACK_S: Final = 30.0  #: a heartbeat may be this late before health calls it stale


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The result of one pass of a loop."""

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
    """Repeats loops on a fixed grid of the market's clock, start to start.

    A loop never overlaps itself: a pass longer than the period skips grid points and counts them.
    Stopping ends a loop between two passes, never inside one, so that a pass finishes the order
    it has begun.
    """

    def __init__(
        self,
        *,
        clock: MarketClock,
        real_clock: RealClock,
        new_id: Callable[[], str],
        observe: Callable[[Pass], Awaitable[None]] | None = None,
        lacks_lease: Callable[[], bool] = lambda: False,
    ) -> None:
        """Bind the two clocks and what is told of a pass.

        Args:
            clock: its time places the grid of the loops and the waits between attempts.
            real_clock: heartbeats and durations.
            observe: called with the result of every pass of a job, after it has ended.
            lacks_lease: whether a loop that needs the trading lease does nothing now.
        """
        self._clock = clock
        self._real_clock = real_clock
        self._new_id = new_id
        self._observe = observe
        self._lacks_lease = lacks_lease
        self._loops: dict[str, Loop] = {}
        self._states: dict[str, JobState] = {}
        self._stopping = asyncio.Event()
        self._calls: dict[str, asyncio.Event] = {}  #: set by a request for a pass by hand
        self._due: dict[str, datetime] = {}  #: the current grid point of each loop
        self._held: dict[str, datetime] = {}  #: no pass before: a server's Retry-After
        self._asleep: set[str] = set()

    def states(self) -> Sequence[JobState]:
        return tuple(self._states.values())

    def nudge(self, name: str) -> None:
        """Start the next pass of `name` now, or right after the running one."""
        if loop := self._loops.get(name):
            loop.nudge.set()

    def call(self, name: str) -> None:
        """Start a pass of `name` by hand: as `nudge`, but also while the job is off or held."""
        if name in self._loops:
            self._calls[name].set()
            self.nudge(name)

    async def check_call(self, name: str) -> None:
        """Raises: the job's reason to refuse a pass by hand, which would do nothing."""
        await self._loops[name].check_call()

    def state(self, name: str) -> JobState:
        return self._states[name]

    def needs_lease(self, name: str) -> bool:
        return self._loops[name].needs_lease

    @property
    def stopping(self) -> asyncio.Event:
        return self._stopping

    def is_hung(self, name: str) -> bool:
        """Whether the step of `name` has run for too long; waits between passes do not count."""
        state = self._states.get(name)
        return (
            state is not None
            and name not in self._asleep
            and self._real_clock.monotonic() - state.beat_at > state.beat_within_s
        )

    def restarting(self, loop: Loop, *, error: str, wait_s: float) -> None:
        """Note that `loop` ended with `error` and restarts after `wait_s` real seconds."""
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
            restarted_at=self._real_clock.monotonic(),
            beat_within_s=wait_s + BEAT_SLACK_S,
        )

    def stop(self) -> None:
        """End every loop after its current pass."""
        self._stopping.set()
        for call in self._calls.values():
            call.set()
        for loop in self._loops.values():
            loop.nudge.set()

    async def run(self, loop: Loop) -> None:
        """Repeat `loop` until `stop`; a restarted loop continues at its place on the grid."""
        self._loops[loop.name] = loop
        self._calls.setdefault(loop.name, asyncio.Event())
        self._states.setdefault(loop.name, self._at_first(loop))
        self._note(loop, beat_within_s=BEAT_SLACK_S)
        try:
            await self._repeat(loop)
        finally:
            if not self._stopping.is_set():
                # Health reports the ended loop at once, not after three silent periods.
                self._note(loop, beat_within_s=0.0)

    async def _repeat(self, loop: Loop) -> None:
        due = self._clock.now()
        period = await self._period(loop)
        if (stopped_at := self._due.get(loop.name)) is not None:
            due = self._not_before_asked(loop, self._next_due(loop, stopped_at, period), period)
            await self._wait(loop, due, period)
        self._due[loop.name] = due
        while not self._stopping.is_set():
            await self._pass_if_enabled(loop, period, due=due)
            # The pass may have changed the period, so it is read again: with an order in flight
            # it is two seconds, without one five minutes.
            period = await self._period(loop)
            due = self._not_before_asked(loop, self._next_due(loop, due, period), period)
            self._due[loop.name] = due
            await self._wait(loop, due, period)

    async def _pass_if_enabled(self, loop: Loop, period: timedelta, *, due: datetime) -> None:
        """Make the pass, if the job is on or was called by hand."""
        await self._read_switch(loop)
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

    async def _read_switch(self, loop: Loop) -> None:
        if loop.enabled is None:
            return
        try:
            is_enabled = await loop.enabled()
        except Exception as exc:  # noqa: BLE001 - a loop survives an unreadable switch
            logger.bind(event="job", job=loop.name, error=type(exc).__name__).opt(
                exception=None if isinstance(exc, BoundaryError) else exc
            ).warning("the job's switch could not be read, its last value is used")
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
            beat_at=self._real_clock.monotonic(),
            beat_within_s=BEAT_SLACK_S,
        )

    async def _period(self, loop: Loop) -> timedelta:
        try:
            return await loop.every()
        except Exception as exc:  # noqa: BLE001 - a loop survives an unreadable period
            # The period is a setting; while the database is away the last value is used.
            is_bug = not isinstance(exc, BoundaryError)
            logger.bind(event="job", job=loop.name, error=type(exc).__name__).opt(
                exception=exc if is_bug else None
            ).warning("the job's period could not be read, its last value is used")
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
        proves = self._proves(loop, result, before)
        self._note_end(loop, result, before, proves=proves)
        self._held[loop.name] = self._clock.now() + timedelta(seconds=asked_s(result.error))
        _report(loop, result, was_failing=before.consecutive_failures > 0, proves=proves)
        if loop.is_job:
            await self._observed(result)

    def _proves(self, loop: Loop, result: Pass, before: JobState) -> bool:
        """Whether the pass says how the loop is: without the lease it may have done nothing."""
        did_nothing = result.success and loop.needs_lease and self._lacks_lease()
        return not (did_nothing and before.consecutive_failures)

    def _note_end(self, loop: Loop, result: Pass, before: JobState, *, proves: bool) -> None:
        self._note(
            loop,
            running=False,
            runs=before.runs + 1,
            last_duration_ms=result.duration_ms,
            restarts_in_a_row=0,
        )
        if not proves:
            return
        self._note(
            loop,
            last_success_at=self._clock.now() if result.success else before.last_success_at,
            last_error=type(result.error).__name__ if result.error else None,
            last_failure_at=self._clock.now() if result.error else before.last_failure_at,
            consecutive_failures=0 if result.success else before.consecutive_failures + 1,
        )

    def forget_failures(self) -> None:
        """Note that another process has the lease: what failed before here is its work now."""
        for loop in self._loops.values():
            if loop.needs_lease and self._states[loop.name].consecutive_failures:
                self._states[loop.name] = replace(
                    self._states[loop.name], consecutive_failures=0, last_error=None
                )

    async def _observed(self, result: Pass) -> None:
        if self._observe is None:
            return
        try:
            await self._observe(result)
        except Exception as exc:  # noqa: BLE001 - the pass is done, whether its record is or not
            is_bug = not isinstance(exc, BoundaryError)
            logger.bind(
                event="app", job=result.job, run_id=result.run_id, error=type(exc).__name__
            ).opt(exception=exc if is_bug else None).warning(
                "the record of a pass could not be stored"
            )

    async def _attempts(self, loop: Loop, *, until: datetime) -> Pass:
        """Make the pass; retry it after 1, 2 and 4 s, or after the server's Retry-After.

        All three retries are made (FR-007), also those that start after `until`, the next grid
        point. `_is_left_to_next_pass` has the two exceptions.
        """
        run_id, began = self._new_id(), self._real_clock.monotonic()
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
            # This wait is intended, so health must not call the loop stale.
            self._note(loop, beat_within_s=wait_s + loop.deadline_s * MAX_ATTEMPTS + BEAT_SLACK_S)
            await self._sleep(loop, wait_s, wake=self._stopping)
            if self._stopping.is_set():
                break
        return Pass(
            job=loop.name,
            run_id=run_id,
            started_at=started_at,
            duration_ms=(self._real_clock.monotonic() - began) * 1000,
            attempts=attempt,
            error=error,
        )

    def _is_left_to_next_pass(self, loop: Loop, wait_s: float, *, until: datetime) -> bool:
        """Whether the next pass replaces a retry after `wait_s`.

        This can be so only for a retry that would start at the next grid point or later.
        """
        if self._clock.now() + timedelta(seconds=wait_s) < until:
            return False
        # Internal loops: the next pass starts sooner than the retry. A lease that is renewed every
        # three seconds cannot wait for four. Jobs with a long Retry-After: the next pass waits as
        # long, and ending this one stores the failure now.
        return not loop.is_job or wait_s > LONGEST_ASKED_WAIT_S

    def _next_due(self, loop: Loop, due: datetime, period: timedelta) -> datetime:
        """Return the next grid point from now on, and count the missed ones as skipped.

        After a nudged pass the planned grid point stays, unless the period has become shorter.
        """
        now = self._clock.now()
        if due > now:
            return min(due, now + period)
        missed = (now - due) // period
        if missed:
            self._note(loop, skipped=self._states[loop.name].skipped + missed)
        return due + period * (missed + 1)

    def _not_before_asked(self, loop: Loop, due: datetime, period: timedelta) -> datetime:
        """Return the first grid point from `due` on that respects the server's Retry-After."""
        held_s = self._held_s(loop)
        due, passed_over = on_grid(
            due, period, not_before=self._clock.now() + timedelta(seconds=held_s)
        )
        if passed_over and held_s:
            self._note(loop, skipped=self._states[loop.name].skipped + passed_over)
            logger.bind(
                event="job", job=loop.name, wait_s=held_s, skipped=passed_over, next_run_at=due
            ).warning("the next pass waits as long as the server asked for")
        return due

    def _held_s(self, loop: Loop) -> float:
        """Return the seconds left of a Retry-After; a clock that was set back adds none."""
        until = self._held.get(loop.name, self._clock.now())
        left_s = (until - self._clock.now()).total_seconds()
        return left_s if 0 < left_s <= LONGEST_HOLD_S else 0.0

    async def _wait_for_hold(self, loop: Loop, due: datetime) -> None:
        """Wait until the server's Retry-After is over; only a call by hand ends the wait early.

        A nudge during the wait is kept: its pass starts right after.
        """
        call = self._calls[loop.name]
        while not call.is_set() and (left_s := self._held_s(loop)) > 0:
            chunk_s = min(left_s, ASK_AGAIN_S)
            shown = due if self._states[loop.name].is_enabled else None
            self._note(loop, next_run_at=shown, beat_within_s=chunk_s + BEAT_SLACK_S)
            await self._sleep(loop, chunk_s, wake=call)
            await self._read_switch(loop)

    async def _sleep(self, loop: Loop, seconds: float, *, wake: asyncio.Event) -> None:
        self._asleep.add(loop.name)
        try:
            await self._clock.sleep_market(seconds, wake=wake)
        finally:
            self._asleep.discard(loop.name)
            self._note(loop, beat_within_s=BEAT_SLACK_S)

    async def _wait(self, loop: Loop, due: datetime, period: timedelta) -> None:
        """Wait until `due`, a nudge, or an earlier grid point when the period becomes shorter."""
        await self._wait_for_hold(loop, due)
        began = max(self._states[loop.name].last_start_at or due - period, due - period)
        while not loop.nudge.is_set():
            now = self._clock.now()
            due = min(due, now + period)  # a clock that was set back must not prolong the wait
            left_s = (due - now).total_seconds()
            if left_s <= 0:
                return
            # Health calls a loop dead after three periods without a heartbeat.
            state, chunk_s = self._states[loop.name], min(left_s, ASK_AGAIN_S)
            # The planned sleep counts too, because the period may be longer now than at the pass.
            patience_s = max(3 * state.every_s, BEAT_SLACK_S + max(0.0, chunk_s - state.every_s))
            self._note(
                loop, next_run_at=due if state.is_enabled else None, beat_within_s=patience_s
            )
            await self._sleep(loop, chunk_s, wake=loop.nudge)
            if left_s > ASK_AGAIN_S:
                await self._read_switch(loop)
                due = min(due, began + await self._period(loop))

    def _note(self, loop: Loop, **changes: Any) -> None:  # noqa: ANN401 - fields of JobState
        self._states[loop.name] = replace(
            self._states[loop.name], beat_at=self._real_clock.monotonic(), **changes
        )


async def _attempt(loop: Loop) -> Exception | None:
    try:
        async with asyncio.timeout(loop.deadline_s):
            await loop.step()
    except Exception as exc:  # noqa: BLE001 - a loop survives every Exception of its step
        return exc
    except asyncio.CancelledError as exc:
        if _is_cancelled():
            raise
        # A library's own cancellation, e.g. aiopg's for a statement that ran too long. Raised
        # again it would end the loop silently.
        leak = RuntimeError("a cancellation leaked out of the step")
        leak.__cause__ = exc
        return leak
    return None


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _report(loop: Loop, result: Pass, *, was_failing: bool, proves: bool) -> None:
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
        if was_failing and proves:
            line.info("the job has recovered")
        elif loop.is_job:
            line.log("DEBUG" if loop.is_idle() or not proves else "INFO", "pass")
        else:
            logger.bind(
                event="app", loop=loop.name, duration_ms=round(result.duration_ms, 3)
            ).debug("maintenance pass")
    elif not isinstance(result.error, BoundaryError):
        line.opt(exception=result.error).error("the job has a bug or hung")
    elif was_failing:
        # An outage spans many passes: the first logs the error, each later one a warning.
        line.bind(cause=str(result.error)).warning("the job still fails")
    else:
        line.bind(cause=str(result.error), code=result.error.code).error(
            "the pass failed and is given up"
        )
