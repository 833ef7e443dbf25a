"""A simulated process of the operating system: it can be killed, stopped and suspended."""

from collections.abc import Callable
from typing import Any


class Machine:
    """Decides whether a callback of the process may run.

    Attributes:
        name: also the owner of its trading lease.
        home: the folder whose files it finds; the next process there finds them too.
        lost_s: the seconds that CLOCK_MONOTONIC did not count, for suspended machines.
        on_death: called once, when it is killed.
    """

    def __init__(self, name: str, *, on_death: Callable[["Machine"], None], home: str = "") -> None:
        self.name = name
        self.home = home or name
        self.is_alive = True
        self.on_death = on_death
        self._steps_left: int | None = None
        self._stopped = False
        self._overdue: list[Any] = []

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    def lets_run(self, handle: object) -> bool:
        if not self.is_alive:
            return False
        if self._stopped:
            self._overdue.append(handle)
            return False
        if self._steps_left is not None:
            if self._steps_left == 0:
                self.kill()
                return False
            self._steps_left -= 1
        return True

    def kill_after(self, steps: int) -> None:
        """Kill it before it takes the step after so many: a step runs from await to await."""
        if self._steps_left is None:
            self._steps_left = steps

    def kill(self) -> None:
        if self.is_alive:
            self.is_alive = False
            self._overdue.clear()
            self.on_death(self)

    def stop(self) -> None:
        self._stopped = True

    def resume(self) -> list[Any]:
        """Return the callbacks whose time has come meanwhile."""
        overdue, self._overdue, self._stopped = self._overdue, [], False
        return overdue
