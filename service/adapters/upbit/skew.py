"""The skew between our clock and Upbit's, measured by the `Date` of its answers."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from service.adapters.answers import http_date

#: `Date` has whole seconds: the answer was made within the second that begins there.
_RESOLUTION: Final = timedelta(seconds=1)
_KEPT: Final = 64  #: answers between two calls of `take`; of more the oldest are dropped


class SkewMeter:
    """Keeps the skews of the last answers with a `Date`.

    Both clocks are real time, also when a replayed market runs faster.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._seconds: float | None = None
        self._heard: deque[float] = deque(maxlen=_KEPT)

    @property
    def seconds(self) -> float | None:
        """Return the least skew that explains the last answer: positive when our clock is ahead.

        The travel time and the fraction of a second that `Date` omits never count as skew. None
        before the first answer.
        """
        return self._seconds

    def take(self) -> tuple[float, ...]:
        """Return and clear the skews since the last call, oldest first; for one caller."""
        heard = tuple(self._heard)
        self._heard.clear()
        return heard

    def asked(self) -> datetime:
        """Return our instant; call it right before the request is sent."""
        return self._now()

    def heard(self, date: str | None, *, asked_at: datetime) -> None:
        """Measure the skew from an answer's `Date`; an unreadable one is ignored."""
        stamped = http_date(date or "")
        if stamped is None:
            return
        least = (asked_at - stamped - _RESOLUTION).total_seconds()
        most = (self._now() - stamped).total_seconds()
        self._seconds = max(least, 0.0) or min(most, 0.0)
        self._heard.append(self._seconds)
