"""The error rate of recent real calls: it shows an intermittent outage, which probes may miss."""

from collections import Counter, deque
from datetime import datetime, timedelta
from typing import Final

from service.ops.health.reasons import Reason
from service.ops.health.rules import HEALTHY, Finding
from service.ports.clock import MarketClock

FEWEST: Final = 10  #: calls; a rate of fewer says nothing
TOO_MANY: Final = 0.2  #: the share of failed or unusable calls that is a warning
WINDOW: Final = timedelta(hours=6)  #: a dozen signals of one market
_KEPT: Final = 100


class RecentCalls:
    """Args: clock: the market's, because the calls follow it."""

    def __init__(self, clock: MarketClock) -> None:
        self._clock = clock
        self._calls: deque[tuple[datetime, Reason | None]] = deque(maxlen=_KEPT)

    def note(self, trouble: Reason | None) -> None:
        self._calls.append((self._clock.now(), trouble))

    def finding(self) -> Finding:
        """Return a warning for too many failures, with their most frequent reason."""
        since = self._clock.now() - WINDOW
        calls = [trouble for at, trouble in self._calls if at >= since]
        troubles = Counter(trouble for trouble in calls if trouble is not None)
        if len(calls) < FEWEST or troubles.total() < TOO_MANY * len(calls):
            return HEALTHY
        return Finding("warning", troubles.most_common(1)[0][0])
