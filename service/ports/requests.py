"""Measurements and log lines of requests."""

from contextvars import ContextVar
from typing import Final, NamedTuple, Protocol


class Requests(Protocol):
    """Measures every request; called on the hot path, so it neither waits nor raises."""

    def began(self) -> float:
        """Return the start, an argument of `answered` and of no other use."""

    def answered(self, began: float, *, route: str, method: str, status: int) -> float:
        """Return the seconds since `began`."""


#: The id of the request that the current task serves; log lines carry it.
REQUEST: Final[ContextVar[str | None]] = ContextVar("request", default=None)


class AnsweredRequest(NamedTuple):
    """The fields of a request's log line. A tuple, since one is made for each request."""

    method: str
    route: str  #: the template, never the path
    status: int
    duration_ms: float
    size: int | None  #: bytes of the answer's body
    request_id: str
    error: str | None  #: a class name


class RequestLog(Protocol):
    """Writes the line of a request; called on the hot path, so it neither waits nor raises."""

    def request(self, answered: AnsweredRequest) -> None: ...
