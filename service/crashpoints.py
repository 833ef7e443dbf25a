"""Places at which a test kills this process, to see what a crash there leaves behind.

The sandbox alone may arm one, with TRADER_CRASHPOINT (service/config.py). docs/faults.md says where
each of them stands and what is found after it.
"""

import difflib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

CrashPoint = Literal[
    "intent.before_commit",
    "intent.after_commit",
    "attempt.after_commit",
    "post.before_send",
    "post.after_send",
    "post.after_response",
    "outcome.before_commit",
    "outcome.after_commit",
    "fill.before_commit",
    "fill.after_commit",
    "exit.decided",
    "exit.reserved",
    "exit.journaled",
    "exit.noted",
    "exit.stored",
    "cancel.after_send",
    "cancel.after_response",
    "reconcile.mid",
    "reconcile.adopted",
    "outbox.after_send",
    "outbox.before_mark",
    "leader.after_lock",
    "leader.epoch_bumped",
    "halt.before_commit",
    "halt.after_commit",
    "migrate.mid",
    "shutdown.draining",
    "shutdown.before_flush",
]
CRASH_POINTS: Final[tuple[CrashPoint, ...]] = get_args(CrashPoint)
#: In the data directory: the name of the point at which the process has killed itself.
RECORD: Final = "crashpoint"


@dataclass(frozen=True, slots=True)
class PlannedCrash:
    name: CrashPoint
    hit: int = 1  #: the process dies at this arrival


def planned_crash(text: str) -> PlannedCrash:
    """Return what `text` names: a point, or `point:3` for the third arrival. Raises: ValueError."""
    name, _, hit = text.partition(":")
    for point in CRASH_POINTS:
        if point == name:
            break
    else:
        close = difflib.get_close_matches(name, CRASH_POINTS, n=1)
        hint = f"did you mean {close[0]}?" if close else "docs/faults.md lists them"
        raise ValueError(f"no crash point has this name; {hint}")
    if hit and not (hit.isascii() and hit.isdecimal() and int(hit)):
        raise ValueError("the number of the arrival is 1 or more, like reconcile.mid:2")
    return PlannedCrash(point, int(hit or 1))


class _ArmedCrash:
    def __init__(self, plan: PlannedCrash, record: Path) -> None:
        self._plan = plan
        self._left = plan.hit
        record.parent.mkdir(parents=True, exist_ok=True)
        # Opened now: at the point itself nothing may fail or wait.
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def arrive(self, name: CrashPoint) -> None:
        if name != self._plan.name:
            return
        self._left -= 1
        if self._left == 0:
            os.write(self._record, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)


_armed: _ArmedCrash | None = None


def arm(plan: PlannedCrash, *, record: Path) -> None:
    """Have this process kill itself as planned, and leave the point's name in `record`.

    Raises: OSError, when the file cannot be written.
    """
    global _armed  # noqa: PLW0603 - a crash is the process's, and callers must not carry it along
    _armed = _ArmedCrash(plan, record)


def crashpoint(name: CrashPoint) -> None:
    """Kill the process with SIGKILL when this point is armed; otherwise do nothing."""
    if _armed is not None:
        _armed.arrive(name)
