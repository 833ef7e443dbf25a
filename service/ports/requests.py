"""What is measured and logged of each request."""

from contextvars import ContextVar
from typing import Final, NamedTuple, Protocol


class Requests(Protocol):
    """Hears of every request; called on the hot path, so it neither waits nor raises."""

    def began(self) -> float:
        """Return the instant, for `answered` alone."""

    def answered(self, began: float, *, route: str, method: str, status: int) -> float:
        """Return how many seconds it took."""


#: The request for which a task works: its name stands in every line that is logged meanwhile.
REQUEST: Final[ContextVar[str | None]] = ContextVar("request", default=None)


class AnsweredRequest(NamedTuple):
    """What the log says of a request. A tuple: one is made for each."""

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
