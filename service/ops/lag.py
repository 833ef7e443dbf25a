"""How late the event loop is: a pause that should take so long, and how long it took."""

import asyncio
from collections import deque
from typing import Final

from service.ports import Clock

PAUSE_S: Final = 0.9
_PAUSES: Final = 30  #: the worst of so many shows at the next scrape, however short it was


class LoopLag:
    """Args: clock: real time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._late: deque[float] = deque(maxlen=_PAUSES)

    async def measure(self, *, stopping: asyncio.Event) -> None:
        """Pause once and note how late it ended; call it every second."""
        began = self._clock.monotonic()
        await self._clock.pause(PAUSE_S, wake=stopping)
        if not stopping.is_set():
            self._late.append(max(self._clock.monotonic() - began - PAUSE_S, 0.0))

    def worst_s(self) -> float:
        """Return the worst delay of about the last half minute, seconds."""
        return max(self._late, default=0.0)
