"""Waits that a server asked for, kept for all of its callers (FR-010)."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """A wait that still lasts.

    Attributes:
        left_s: seconds until the server may be called again.
        code: the short word of the answer that asked for the wait.
    """

    left_s: float
    code: str


class Holds:
    """Until when each part of a server must not be called. One table serves every caller.

    Args:
        seconds: a clock that never goes back. Jobs count their waits between attempts by the same
            clock, so that a retry after the asked wait meets no hold.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._until: dict[str, tuple[float, str]] = {}

    def keep(self, part: str, seconds: float, *, code: str) -> None:
        """Hold `part` for `seconds`. A longer existing hold stays."""
        until = self._seconds() + seconds
        if until > self._until.get(part, (0.0, ""))[0]:
            self._until[part] = (until, code)

    def longest(self, *parts: str) -> Hold | None:
        """Return the hold of `parts` that lasts longest, or None when all may be called."""
        now = self._seconds()
        held = [self._until[part] for part in parts if part in self._until]
        until, code = max(held, default=(now, ""))
        return Hold(until - now, code) if until > now else None
