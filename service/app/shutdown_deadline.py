"""The stop as one stretch of time: each step has to be over by its mark, however many are slow.

If every step had a time limit of its own, each would wait in full for a database that does not
answer. The ten seconds that containers get would be over before the end.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

#: Real seconds after the stop began. The database's connections and the sessions are closed after
#: the last one, in about a second.
PASSES_BY_S: Final = 5.5  #: passes of jobs, with an order that is on its way
LEASE_BY_S: Final = 6.2
ALERTS_BY_S: Final = 6.9
MEASURES_BY_S: Final = 7.4
_AT_LEAST_S: Final = 0.2  #: for a step whose mark is over: what answers at once is still done


class ShutdownDeadline:
    """Knows when the stop began.

    Args: now: real seconds, monotonic.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began: float | None = None

    def begin(self) -> None:
        """Start the clock; called again, it runs on."""
        if self._began is None:
            self._began = self._now()

    def left_s(self, mark_s: float) -> float:
        """Return how long a step may take that has to be over by `mark_s`."""
        self.begin()  # a start that failed ends without having been told to
        assert self._began is not None  # noqa: S101 - begun
        return max(self._began + mark_s - self._now(), _AT_LEAST_S)

    def by(self, mark_s: float) -> asyncio.Timeout:
        """Raises: TimeoutError, at the mark."""
        return asyncio.timeout(self.left_s(mark_s))
