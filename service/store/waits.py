"""How long callers stood in a queue lately."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 30.0
FEWEST: Final = 20  #: of fewer a percentile says nothing
_KEPT: Final = 1_000
_RATIO: Final = 0.95


class WaitStatistics:
    """Args: now: real seconds, never going back.

    Attributes:
        waited, waited_s: how often somebody had to wait so far, and for how long together.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.waited = 0
        self.waited_s = 0.0
        self._now = now
        self._waits: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def began(self) -> float:
        """Return the instant, for `ended` alone."""
        return self._now()

    def ended(self, began: float) -> None:
        """Note a wait, also one that was in vain."""
        now = self._now()
        self.waited += 1
        self.waited_s += now - began
        self._waits.append((now, now - began))

    def none(self) -> None:
        """Note somebody who need not wait."""
        self._waits.append((self._now(), 0.0))

    def p95_ms(self) -> float | None:
        """Return the nearest rank of the last half minute, None where too few have come."""
        since = self._now() - WINDOW_S
        waits = sorted(wait_s for at, wait_s in self._waits if at >= since)
        if len(waits) < FEWEST:
            return None
        return waits[int(_RATIO * (len(waits) - 1) + 0.5)] * 1000
