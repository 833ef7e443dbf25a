"""When a lost stream is opened again, what is counted and what is said about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from loguru import logger

from service.domain.errors import BoundaryError
from service.ports.clock import RealClock
from service.ports.price_feed import NewsConnection, StreamState

LONGEST_WAIT_S: Final = 30.0
#: Real seconds after the exchange has blocked us; twice as long each time.
FIRST_BLOCK_S: Final = 60.0
LONGEST_BLOCK_S: Final = 3600.0  #: a longer Retry-After would be a proxy's
PROVED_S: Final = 10.0  #: a connection that lasted so long and told something was a good one


class Reconnects:
    """The connections of one stream, one after the other. All times are real.

    An outage spans many attempts: it is logged once when it begins and once when it ends. Waits
    double from one second to thirty. The exchange counts handshakes: two streams that try once a
    second stay below its five.
    """

    def __init__(self, stream: str, real_clock: RealClock) -> None:
        self._log = logger.bind(event="app", stream=stream)
        self._real_clock = real_clock
        self._connection: NewsConnection | None = None
        self._since = real_clock.monotonic()  #: of the connection, or of being without one
        self._lost_at: float | None = self._since  #: None: the newest connection has told something
        self._heard_at: float | None = None
        self._not_before = 0.0
        self._failures = 0
        self._blocks = 0
        self._is_told = False
        self._opened = self._frames = self._odd = 0

    # --- when -----------------------------------------------------------------------------

    def is_due(self) -> bool:
        return self._real_clock.monotonic() >= self._not_before

    def rest(self) -> None:
        """Note that no connection is wanted now: being without one is no loss."""
        self._since = self._lost_at = self._real_clock.monotonic()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Take a failure of the exchange's as the reason to wait, and log the first."""
        try:
            yield
        except BoundaryError as exc:
            self._failed(exc)

    def _failed(self, error: BoundaryError) -> None:
        self._failures += 1
        wait_s = min(2.0 ** min(self._failures - 1, 10), LONGEST_WAIT_S)
        if error.code == "banned":
            self._blocks += 1
            wait_s = min(FIRST_BLOCK_S * 2 ** min(self._blocks - 1, 10), LONGEST_BLOCK_S)
        wait_s = max(wait_s, min(error.retry_after_s or 0.0, LONGEST_BLOCK_S))
        self._not_before = self._real_clock.monotonic() + wait_s
        if not self._is_told:
            self._is_told = True
            self._log.bind(error=type(error).__name__, code=error.code, cause=str(error)).warning(
                "a stream of the exchange is lost, will keep trying"
            )

    # --- connections ----------------------------------------------------------------------

    def opened(self, connection: NewsConnection) -> None:
        self._connection = connection
        self._since = self._real_clock.monotonic()
        self._opened += 1

    def heard(self) -> None:
        """Note that the stream has told something."""
        self._heard_at = self._real_clock.monotonic()
        self._lost_at = None
        if self._is_told:
            self._is_told = False
            self._log.info("a stream of the exchange is back")

    def closed(self) -> None:
        connection, now = self._connection, self._real_clock.monotonic()
        if connection is None:
            return
        self._frames += connection.frames
        self._odd += sum(connection.odd.values())
        if connection.frames and now - self._since >= PROVED_S:
            self._failures = self._blocks = 0
        self._connection, self._since = None, now
        if self._lost_at is None:
            self._lost_at = now

    # --- what is shown --------------------------------------------------------------------

    def quiet_s(self) -> float:
        """Return the seconds since this connection told something, or since it was opened."""
        return self._real_clock.monotonic() - max(self._since, self._heard_at or 0.0)

    def lost_for_s(self) -> float:
        """Return for how long no connection has told anything; 0 once the newest one has.

        One that is open and silent is no end of the loss: it may be opened again and again.
        """
        return 0.0 if self._lost_at is None else self._real_clock.monotonic() - self._lost_at

    def state(self) -> StreamState:
        now, connection = self._real_clock.monotonic(), self._connection
        return StreamState(
            connected=connection is not None,
            frames=self._frames + (connection.frames if connection else 0),
            odd=self._odd + (sum(connection.odd.values()) if connection else 0),
            reconnects=max(0, self._opened - 1),
            quiet_s=None if self._heard_at is None else now - self._heard_at,
        )
