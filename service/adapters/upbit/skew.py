"""How far our clock and Upbit's are apart, told by the `Date` of its answers."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from service.adapters.answers import http_date

#: `Date` has whole seconds: the answer was stamped within the second that follows it.
_RESOLUTION: Final = timedelta(seconds=1)
_KEPT: Final = 64  #: answers between two looks at them; of more the oldest are forgotten


class SkewMeter:
    """Remembers what the last answers with a `Date` said.

    The exchange's clock is real time, and so is ours here, however fast a replayed market runs.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._seconds: float | None = None
        self._heard: deque[float] = deque(maxlen=_KEPT)

    @property
    def seconds(self) -> float | None:
        """Return by how much our clock is ahead (behind: negative) at the very least.

        The least that explains the answer: the way there and back, and the second's fraction
        that `Date` leaves out, never count as skew. None before the first answer.
        """
        return self._seconds

    def take(self) -> tuple[float, ...]:
        """Return what each answer since the last call said, oldest first; for one caller."""
        heard = tuple(self._heard)
        self._heard.clear()
        return heard

    def asked(self) -> datetime:
        """Return our instant; call it right before the request goes out."""
        return self._now()

    def heard(self, date: str | None, *, asked_at: datetime) -> None:
        """Take note of an answer's `Date`; one that cannot be read says nothing."""
        stamped = http_date(date or "")
        if stamped is None:
            return
        least = (asked_at - stamped - _RESOLUTION).total_seconds()
        most = (self._now() - stamped).total_seconds()
        self._seconds = max(least, 0.0) or min(most, 0.0)
        self._heard.append(self._seconds)
