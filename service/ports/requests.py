"""Measurements of requests, and the id under which each is logged."""

from contextvars import ContextVar
from typing import Final, Protocol


class Requests(Protocol):
    """Measures every request; called on the hot path, so it neither waits nor raises."""

    def began(self) -> float:
        """Return the start, an argument of `answered` and of no other use."""

    def answered(self, began: float, *, route: str, method: str, status: int) -> float:
        """Return the seconds since `began`."""


#: The id of the request that the current task serves; log lines carry it.
REQUEST: Final[ContextVar[str | None]] = ContextVar("request", default=None)
