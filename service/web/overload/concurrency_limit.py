"""How many requests work at once, by class, and how long the next ones wait for a place.

Health and the page are not asked: whoever watches must get an answer just when all is full.
docs/overload.md has the numbers.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Final

from aiohttp import web

from service.ports.health import ConcurrencyState
from service.web.protocol.auth import READING
from service.web.protocol.errors import Overloaded

WAIT_S: Final = 0.25  #: longer in the queue is longer than a caller should be kept


class RequestKind(StrEnum):
    CHANGE = "change"
    READ = "read"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Limit:
    at_work: int
    waiting: int


LIMITS: Final = {
    RequestKind.CHANGE: Limit(at_work=8, waiting=32),
    RequestKind.READ: Limit(at_work=32, waiting=128),
    # One lasts as long as somebody looks: waiting for its end would be in vain.
    RequestKind.STREAM: Limit(at_work=64, waiting=0),
}
#: Addresses that go on answering; `routes` has none yet.
STREAMS: Final[frozenset[str]] = frozenset()


class ConcurrencyLimit:
    """The requests of one class: `async with lane:` holds a place in it."""

    def __init__(self, kind: RequestKind, limit: Limit, *, wait_s: float) -> None:
        self._kind = kind
        self._limit = limit
        self._wait_s = wait_s
        self._free = asyncio.Semaphore(limit.at_work)
        self._at_work = self._waiting = self._refused = 0

    def state(self) -> ConcurrencyState:
        return ConcurrencyState(
            limit=self._limit.at_work,
            at_work=self._at_work,
            waiting=self._waiting,
            refused=self._refused,
        )

    async def __aenter__(self) -> None:
        """Raises: Overloaded, when the queue is full or no place came free in time."""
        if self._free.locked():
            await self._queue()
        else:
            await self._free.acquire()
        self._at_work += 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._at_work -= 1
        self._free.release()

    async def _queue(self) -> None:
        if self._waiting >= self._limit.waiting:
            raise self._refusal()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise self._refusal() from None
        finally:
            self._waiting -= 1

    def _refusal(self) -> Overloaded:
        self._refused += 1
        return Overloaded(
            f"{self._at_work} requests of this kind ({self._kind}) are at work and"
            f" {self._waiting} wait: ask again in a second"
        )


class ConcurrencyLimits:
    """One lane for each class of request."""

    def __init__(self, *, wait_s: float = WAIT_S) -> None:
        self._lanes = {
            kind: ConcurrencyLimit(kind, limit, wait_s=wait_s) for kind, limit in LIMITS.items()
        }

    def lane(self, request: web.Request) -> ConcurrencyLimit:
        if request.method not in READING:
            return self._lanes[RequestKind.CHANGE]
        return self._lanes[RequestKind.STREAM if request.path in STREAMS else RequestKind.READ]

    def state(self) -> dict[str, ConcurrencyState]:
        """Return the counters of each class."""
        return {str(kind): lane.state() for kind, lane in self._lanes.items()}


CONCURRENCY_LIMITS = web.AppKey("admission", ConcurrencyLimits)
