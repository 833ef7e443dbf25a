"""A clock that only moves by its waits; it stands for the market's and for the real one."""

import asyncio
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Time moves by the two waits and by `pass_time` alone; every wait is recorded.

    Satisfies ports.MarketClock and ports.RealClock: in most tests both times are one.
    """

    def __init__(self, at: datetime = datetime(2026, 1, 24, 9, 0, tzinfo=UTC)) -> None:
        self._now = at
        self._monotonic = 1000.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self._now

    def utc_now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def pass_time(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set_back(self, seconds: float) -> None:
        """Set the clock back, as an operator or NTP does; no less time has passed."""
        self._now -= timedelta(seconds=seconds)

    async def sleep_market(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        if wake is not None and wake.is_set():
            return
        self.waits.append(seconds)
        self.pass_time(seconds)
        await asyncio.sleep(0)  # other tasks run, as during a real wait

    async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        await self.sleep_market(seconds, wake=wake)
