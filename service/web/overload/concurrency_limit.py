"""How many requests work at once, by class, and how long the next ones wait for a place.

Health and the page have no limit: they must be answered even when every place is taken.
docs/overload.md has the numbers.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiohttp import web

from service.bounded_queue import BoundedQueue
from service.ports.health import ConcurrencyState
from service.web.contract.roles import READING
from service.web.protocol.errors import Overloaded

WAIT_S: Final = 0.25  #: longer in the queue is longer than a caller should be kept


class RequestKind(StrEnum):
    CHANGE = "change"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Limit:
    at_work: int
    waiting: int


LIMITS: Final = {
    RequestKind.CHANGE: Limit(at_work=8, waiting=32),
    RequestKind.READ: Limit(at_work=32, waiting=128),
}


class ConcurrencyLimit(BoundedQueue):
    """The requests of one class: `async with limit:` holds a place in it."""

    def __init__(self, kind: RequestKind, limit: Limit, *, wait_s: float) -> None:
        super().__init__(limit.at_work, max_waiting=limit.waiting, wait_s=wait_s)
        self._kind = kind

    def state(self) -> ConcurrencyState:
        return ConcurrencyState(
            limit=self._places, at_work=self.held, waiting=self.waiting, refused=self.refused
        )

    def refusal(self, *, queue_full: bool) -> Overloaded:
        del queue_full  # the caller can only ask again, whichever it was
        return Overloaded(
            f"{self.held} requests of this kind ({self._kind}) are at work and"
            f" {self.waiting} wait: ask again in a second"
        )


class ConcurrencyLimits:
    """One limit for each class of request."""

    def __init__(self, *, wait_s: float = WAIT_S) -> None:
        self._limits = {
            kind: ConcurrencyLimit(kind, limit, wait_s=wait_s) for kind, limit in LIMITS.items()
        }

    def limit_of(self, request: web.Request) -> ConcurrencyLimit:
        return self._limits[RequestKind.READ if request.method in READING else RequestKind.CHANGE]

    def state(self) -> dict[str, ConcurrencyState]:
        """Return the counters of each class."""
        return {str(kind): limit.state() for kind, limit in self._limits.items()}


CONCURRENCY_LIMITS = web.AppKey("admission", ConcurrencyLimits)
