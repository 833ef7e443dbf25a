"""Starts again what died or hangs: a loop that nobody watches is gone without a word."""

import asyncio
from typing import Final

import backoff
from loguru import logger

from service.loops.loop import Loop
from service.loops.runner import Runner
from service.ports.clock import Clock

LOOK_EVERY_S: Final = 1.0  #: real time
UNWIND_S: Final = 10.0  #: between two cancellations of what hangs: it may have to clean up
LONGEST_WAIT_S: Final = 60.0  #: between two restarts


class Supervisor:
    """Keeps loops going that the runner alone would lose.

    The runner outlives whatever a step raises. What is left is a bug around the step, a
    BaseException, a library's own cancellation, and a step that takes no cancellation.

    Args:
        clock: real time, whatever market the runner follows.
    """

    def __init__(self, runner: Runner, *, clock: Clock, look_every_s: float = LOOK_EVERY_S) -> None:
        self._runner = runner
        self._clock = clock
        self._look_every_s = look_every_s

    async def keep(self, loop: Loop) -> None:
        """Run `loop` until the runner stops; start it again after 1, 2, 4 … 60 s.

        The wait is short again once a pass has ended. A loop is never started beside itself: one
        that hangs and takes no cancellation stays alone, and health says so.
        """
        while True:
            end = await self._until_its_end(loop)
            if self._runner.stopping.is_set():
                return
            wait_s = _wait_s(self._runner.state(loop.name).restarts_in_a_row)
            self._runner.restarting(loop, error=type(end).__name__, wait_s=wait_s)
            line = logger.bind(
                event="job", job=loop.name, error=type(end).__name__, wait_s=wait_s,
                restarts=self._runner.state(loop.name).restarts,
            )  # fmt: skip
            line.opt(exception=end).error("the job's loop has ended and is started again")
            await self._clock.pause(wait_s, wake=self._runner.stopping)
            if self._runner.stopping.is_set():
                return

    async def _until_its_end(self, loop: Loop) -> BaseException:
        """Run `loop` once; return what ended it, whatever that was."""
        ended = asyncio.Event()
        task = asyncio.create_task(self._runner.run(loop), name=loop.name)
        task.add_done_callback(lambda _: ended.set())
        try:
            hung = await self._watch(task, ended, loop)
        except asyncio.CancelledError:
            task.cancel()
            # Not left behind: what it uses is closed after us.
            await asyncio.wait({task})
            raise
        return hung or _end_of(task)

    async def _watch(
        self, task: asyncio.Task[None], ended: asyncio.Event, loop: Loop
    ) -> TimeoutError | None:
        """Wait for the end of `task`, or bring it about when it hangs."""
        hung: TimeoutError | None = None
        since = self._clock.monotonic()
        while not task.done():
            beat = (
                self._runner.state(loop.name).beat_at if self._runner.is_hung(loop.name) else None
            )
            await self._clock.pause(self._look_every_s, wake=ended)
            # Silent at two looks: after the whole process was stopped, e.g. by SIGSTOP or a
            # paused machine, all loops look dead for a moment and none is.
            is_silent = beat is not None and beat == self._runner.state(loop.name).beat_at
            if task.done() or not is_silent or not self._runner.is_hung(loop.name):
                continue
            if hung is None or self._clock.monotonic() - since >= UNWIND_S:
                if hung is not None:
                    logger.bind(event="job", job=loop.name).error(
                        "a job that hangs takes no cancellation; until it does it cannot be started"
                    )
                hung, since = TimeoutError("the loop gave no sign of life"), self._clock.monotonic()
                task.cancel()
        return hung


def _wait_s(restarts_in_a_row: int) -> float:
    waits = backoff.expo(base=2, factor=1, max_value=LONGEST_WAIT_S)
    next(waits)  # the generator's first value is its start signal, not a wait
    for _ in range(min(restarts_in_a_row, 10)):
        next(waits)
    return float(next(waits))


def _end_of(task: asyncio.Task[None]) -> BaseException:
    if task.cancelled():
        return asyncio.CancelledError("a library's own cancellation ended the loop")
    return task.exception() or RuntimeError("the loop ended by itself")
