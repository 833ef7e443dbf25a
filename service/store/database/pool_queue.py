"""How many may use the database at once, how many may wait for it, and for how long."""

import asyncio
from types import TracebackType

from service.domain.errors import StoreBusy
from service.store.database.cursor import RETRY_AFTER_S
from service.store.waits import WaitStatistics


class PoolQueue:
    """Room for `number` at once, and a queue that is bounded in length and in time.

    `async with places:` holds one. Not by a generator: each statement of a share passes two.

    Attributes:
        waiting: how many stand in the queue.
        refused: how many got no place so far.
        waits: how long they stood there lately.
    """

    def __init__(
        self, number: int, *, max_waiting: int, wait_s: float, waits: WaitStatistics | None = None
    ) -> None:
        self.waiting = self.refused = 0
        self.waits = waits or WaitStatistics()
        self._number = number
        self._free = asyncio.Semaphore(number)
        self._max_waiting = max_waiting
        self._wait_s = wait_s

    async def __aenter__(self) -> None:
        """Raises: StoreBusy, when no place came free in time or the queue is full."""
        if self._free.locked():
            await self._queue()
        else:
            await self._free.acquire()
            self.waits.none()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._free.release()

    async def take_all(self) -> None:
        """Wait until nobody is inside; nobody comes in after that."""
        for _ in range(self._number):
            await self._free.acquire()

    async def _queue(self) -> None:
        if self.waiting >= self._max_waiting:
            self.refused += 1
            raise StoreBusy(
                f"{self.waiting} requests already wait for the database",
                retry_after_s=RETRY_AFTER_S,
            )
        self.waiting += 1
        began = self.waits.began()
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            self.refused += 1
            raise StoreBusy(
                f"No database connection came free within {self._wait_s:g} s",
                retry_after_s=RETRY_AFTER_S,
            ) from None
        finally:
            self.waiting -= 1
            self.waits.ended(began)
