"""Restarts loops that ended or hang; an unsupervised loop would stop silently."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

import backoff
from loguru import logger

from service.loops.loop import Loop
from service.loops.runner import Runner
from service.ports.clock import RealClock

LOOK_EVERY_S: Final = 1.0  #: real time
UNWIND_S: Final = 10.0  #: between two cancellations of a hung loop: its clean-up may take time
LONGEST_WAIT_S: Final = 60.0  #: between two restarts


class Supervisor:
    """Restarts loops in the cases that the runner does not handle itself.

    The runner survives every Exception of a step. Four cases remain: a bug around the step, a
    BaseException, a library's own cancellation, and a step that ignores its cancellation.

    Args:
        loop_context: entered for as long as a loop runs, in the loop's own task.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        real_clock: RealClock,
        loop_context: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._runner = runner
        self._loop_context = loop_context
        self._real_clock = real_clock
        self._look_every_s = look_every_s

    async def keep(self, loop: Loop) -> None:
        """Run `loop` until the runner stops; restart it after 1, 2, 4 … 60 s.

        The wait is reset once a pass has ended. Two instances of a loop never run at once: a hung
        loop that ignores its cancellation is not restarted, and health reports it.
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
            await self._real_clock.sleep_real(wait_s, wake=self._runner.stopping)
            if self._runner.stopping.is_set():
                return

    async def _run(self, loop: Loop) -> None:
        async with self._loop_context():
            await self._runner.run(loop)

    async def _until_its_end(self, loop: Loop) -> BaseException:
        """Run `loop` until it ends; return the exception that ended it."""
        ended = asyncio.Event()
        task = asyncio.create_task(self._run(loop), name=loop.name)
        task.add_done_callback(lambda _: ended.set())
        try:
            hung = await self._end_or_hang(task, ended, loop)
        except asyncio.CancelledError:
            task.cancel()
            # Wait for the task: its resources are closed right after this.
            await asyncio.wait({task})
            raise
        return hung or _end_of(task)

    async def _end_or_hang(
        self, task: asyncio.Task[None], ended: asyncio.Event, loop: Loop
    ) -> TimeoutError | None:
        """Wait until `task` ends; cancel it when it hangs, and return that as an error."""
        hung: TimeoutError | None = None
        since = self._real_clock.monotonic()
        while not task.done():
            beat = (
                self._runner.state(loop.name).beat_at if self._runner.is_hung(loop.name) else None
            )
            await self._real_clock.sleep_real(self._look_every_s, wake=ended)
            # Hung means silent at two checks in a row. After a stop of the whole process (SIGSTOP,
            # a paused machine), every loop looks silent once although none hangs.
            is_silent = beat is not None and beat == self._runner.state(loop.name).beat_at
            if task.done() or not is_silent or not self._runner.is_hung(loop.name):
                continue
            if hung is None or self._real_clock.monotonic() - since >= UNWIND_S:
                if hung is not None:
                    logger.bind(event="job", job=loop.name).error(
                        "a job that hangs takes no cancellation; until it does it cannot be started"
                    )
                hung = TimeoutError("the loop gave no sign of life")
                since = self._real_clock.monotonic()
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
