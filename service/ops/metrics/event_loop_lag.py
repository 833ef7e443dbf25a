"""Measures the event loop's delay: a pause of known length, and its real duration."""

import asyncio
from collections import deque
from typing import Final

from service.ports.clock import RealClock

PAUSE_S: Final = 0.9
EVERY_S: Final = 1.0  #: period of the loop that calls `measure`
_PAUSES: Final = 30  #: the worst of so many is reported, so that a short delay is not missed


class LoopLag:
    def __init__(self, real_clock: RealClock) -> None:
        self._real_clock = real_clock
        self._late: deque[float] = deque(maxlen=_PAUSES)
        self._ended: float | None = None

    async def measure(self, *, stopping: asyncio.Event) -> None:
        """Pause once and note how late it ended; call it every second."""
        began = self._real_clock.monotonic()
        # With a tenth of the time between two pauses, a standstill may fall there too.
        between = 0.0 if self._ended is None else began - self._ended - EVERY_S
        await self._real_clock.sleep_real(PAUSE_S, wake=stopping)
        self._ended = ended = self._real_clock.monotonic()
        if not stopping.is_set():
            self._late.append(max(ended - began - PAUSE_S, between, 0.0))

    def worst_s(self) -> float:
        """Return the worst delay of about the last half minute, seconds."""
        return max(self._late, default=0.0)
