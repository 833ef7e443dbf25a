"""A number of places, and a queue for them that is bounded in length and in time.

Connections of the database and HTTP requests are limited by the same mechanism; the rooms `store`
and `web` may not import each other.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final

WINDOW_S: Final = 30.0
FEWEST: Final = 20  #: a percentile of fewer waits says nothing
_KEPT: Final = 1_000
_RATIO: Final = 0.95


class WaitStatistics:
    """Args: now: real seconds, never going back.

    Attributes:
        waited, waited_s: number of waits so far, and their sum.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.waited = 0
        self.waited_s = 0.0
        self._now = now
        self._waits: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def began(self) -> float:
        """Return the instant, for `ended` alone."""
        return self._now()

    def ended(self, began: float) -> None:
        """Note a wait, also one that timed out."""
        now = self._now()
        self.waited += 1
        self.waited_s += now - began
        self._waits.append((now, now - began))

    def none(self) -> None:
        """Note a place that was free at once."""
        self._waits.append((self._now(), 0.0))

    def p95_ms(self) -> float | None:
        """Return the nearest rank of the last half minute, None where too few have come."""
        since = self._now() - WINDOW_S
        waits = sorted(wait_s for at, wait_s in self._waits if at >= since)
        if len(waits) < FEWEST:
            return None
        return waits[int(_RATIO * (len(waits) - 1) + 0.5)] * 1000


class BoundedQueue(ABC):
    """`async with queue:` holds one of the places.

    A class rather than a generator: each database statement passes one or two of these.

    Attributes:
        held: places that are taken.
        waiting: callers in the queue.
        refused: callers that got no place so far.
        waits: how long callers waited lately.
    """

    def __init__(
        self, places: int, *, max_waiting: int, wait_s: float, waits: WaitStatistics | None = None
    ) -> None:
        self.held = self.waiting = self.refused = 0
        self.waits = waits or WaitStatistics()
        self._places = places
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._free = asyncio.Semaphore(places)

    @abstractmethod
    def refusal(self, *, queue_full: bool) -> Exception:
        """Return the error of a caller that gets no place.

        Args: queue_full: the caller did not wait; otherwise no place came free within `wait_s`.
        """

    async def __aenter__(self) -> None:
        """Raises: `refusal`, when the queue is full or no place came free in time."""
        if self._free.locked():
            await self._queue()
        else:
            await self._free.acquire()
            self.waits.none()
        self.held += 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.held -= 1
        self._free.release()

    async def take_all(self) -> None:
        """Wait until all places are free, and take them for good."""
        for _ in range(self._places):
            await self._free.acquire()

    async def _queue(self) -> None:
        if self.waiting >= self._max_waiting:
            self.refused += 1
            raise self.refusal(queue_full=True)
        self.waiting += 1
        began = self.waits.began()
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            self.refused += 1
            raise self.refusal(queue_full=False) from None
        finally:
            self.waiting -= 1
            self.waits.ended(began)
