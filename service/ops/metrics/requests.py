"""Counts HTTP requests in memory: by the minute for the database, since start for Prometheus.

This is on the hot path: a request costs one dictionary look-up.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from service.domain.latency import Sketch
from service.ports.clock import RealClock
from service.ports.store import RequestSlot

#: Upper bounds of the exposed histogram, seconds; from a cached answer to the longest timeout.
BOUNDS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
#: HTTP allows any token as a method; only these become labels.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "OTHER"
_MINUTE: Final = timedelta(minutes=1)


@dataclass(slots=True)
class LatencySeries:
    """All requests to one route by one method with one status, since the process started."""

    bounded: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0
    minute: Sketch = field(default_factory=Sketch)  #: of the running minute only

    @property
    def count(self) -> int:
        return sum(self.bounded)


Labels = tuple[str, str, int]  #: route, method, status


class RequestMeter:
    """Satisfies ports.Requests."""

    def __init__(self, real_clock: RealClock) -> None:
        self._real_clock = real_clock
        self.began = self._monotonic = real_clock.monotonic
        self._series: dict[Labels, LatencySeries] = {}
        self._done: list[RequestSlot] = []
        self._minute = real_clock.utc_now()
        self._over_at = 0.0  #: `monotonic()` at which the running minute is over
        self._begin_minute()

    def answered(self, began: float, *, route: str, method: str, status: int) -> float:
        ended = self._monotonic()
        if ended >= self._over_at:
            self._end_minute()
        series = self._series.get((route, method, status))
        if series is None:
            series = self._series_for(route, method, status)
        seconds = ended - began
        series.bounded[bisect_left(BOUNDS_S, seconds)] += 1
        series.sum_s += seconds
        series.minute.add(seconds * 1000)
        return seconds

    def take(self) -> Sequence[RequestSlot]:
        """Return the slots counted since the last call, and forget them."""
        self._end_minute()
        taken, self._done = self._done, []
        return taken

    def series(self) -> Iterator[tuple[Labels, LatencySeries]]:
        yield from self._series.items()

    def _series_for(self, route: str, method: str, status: int) -> LatencySeries:
        named = method if method in METHODS else OTHER
        return self._series.setdefault((route, named, status), LatencySeries())

    def _end_minute(self) -> None:
        """End the running minute: make its slots, one for all statuses of a class."""
        slots: dict[tuple[str, str, int], Sketch] = {}
        for (route, method, status), series in self._series.items():
            if series.minute.count:
                slots.setdefault((route, method, status // 100), Sketch()).merge(series.minute)
                series.minute = Sketch()
        for (route, method, status_class), sketch in slots.items():
            self._done.append(
                RequestSlot(
                    minute=self._minute,
                    route=route,
                    method=method,
                    status_class=status_class,
                    sketch=sketch,
                )
            )
        self._begin_minute()

    def _begin_minute(self) -> None:
        # The wall clock is read once a minute, not once a request.
        now = self._real_clock.utc_now()
        self._minute = _whole_minute(now)
        left_s = (self._minute + _MINUTE - now).total_seconds()
        self._over_at = self._monotonic() + left_s


def _whole_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
