"""Real time, and the market's clock of a real exchange, which is real time as well."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from service.ports.clock import RealClock

#: Linux's CLOCK_MONOTONIC stands still while the machine sleeps; CLOCK_BOOTTIME does not. Other
#: systems have no CLOCK_BOOTTIME; macOS counts sleep in CLOCK_MONOTONIC.
_COUNTS_SUSPEND: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's time. Satisfies ports.RealClock.

    Args: gettime: reads one of the system's clocks, in seconds.
    """

    def __init__(self, gettime: Callable[[int], float] = time.clock_gettime) -> None:
        self._gettime = gettime

    def utc_now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self._gettime(_COUNTS_SUSPEND)

    async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        if wake is None:
            await asyncio.sleep(seconds)
            return
        # One await inside a timeout and no helper task: a cancelled wait leaves no task behind.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wake.wait()


class RealTimeMarketClock:
    """The market's time is real time. Satisfies ports.MarketClock."""

    def __init__(self, real_clock: RealClock) -> None:
        self._real_clock = real_clock

    def now(self) -> datetime:
        return self._real_clock.utc_now()

    async def sleep_market(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        await self._real_clock.sleep_real(seconds, wake=wake)
