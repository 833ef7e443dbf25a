"""An event loop without sockets, threads or real time: a seed decides every order of events.

It subclasses asyncio's own loop and replaces the one method that waits. So tasks, futures, locks
and timeouts are asyncio's, on every Python version that the service supports.
"""

import asyncio
import heapq
import random
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, Final

from tests.simulation.machine import Machine

#: The simulated process in which a callback runs; without one it is the world's.
MACHINE: Final[ContextVar[Machine | None]] = ContextVar("machine", default=None)
#: The share of turns in which callbacks that are ready together run in another order.
_SHUFFLED: Final = 0.5


class NothingLeft(Exception):
    """Every task waits for something that will never happen."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs callbacks in virtual time; it jumps to the next timer when nothing is ready.

    A callback of a machine that is dead never runs: code after a SIGKILL does not exist. One of a
    machine that is stopped waits until the machine goes on.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._now = 0.0
        self._clock_resolution = 1e-9
        self._world = copy_context()
        self._ready: Any
        self._scheduled: list[Any]

    def time(self) -> float:
        return self._now

    def world_later(self, delay_s: float, callback: Callable[..., object], *args: object) -> None:
        """Call back outside of every machine: it happens whatever becomes of the caller."""
        self.call_later(delay_s, callback, *args, context=self._world)

    def world_soon(self, callback: Callable[..., object], *args: object) -> None:
        self.call_soon(callback, *args, context=self._world)

    def resumed(self, machine: Machine) -> None:
        """Let a stopped machine go on, its overdue callbacks first."""
        self._ready.extend(machine.resume())

    def run_in_executor(self, executor: object, func: object, *args: object) -> Any:
        """A thread would answer in real time, and no seed would decide when."""
        raise NotImplementedError(f"{func} must not run in a thread of a history")

    def _run_once(self) -> None:
        self._collect()
        ready = self._ready
        batch = [ready.popleft() for _ in range(len(ready))]
        if len(batch) > 1 and self._rng.random() < _SHUFFLED:
            self._rng.shuffle(batch)
        for handle in batch:
            if handle._cancelled:
                continue
            machine = handle._context.get(MACHINE)
            if machine is None or machine.lets_run(handle):
                handle._run()

    def _collect(self) -> None:
        scheduled, ready = self._scheduled, self._ready
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                raise NothingLeft
            self._now = max(self._now, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)

    def _timer_handle_cancelled(self, handle: object) -> None:
        """Cancelled timers are dropped when their time comes."""

    def _write_to_self(self) -> None:
        """Nothing waits in a system call, so nothing needs to be woken."""
