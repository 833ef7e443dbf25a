"""Time as an argument: the market's and the machine's own, which no caller can mix up.

Their methods have different names, so that mypy refuses the wrong clock. No class of the service
has the methods of both (`tests/unit/test_clocks.py`). An argument is named `clock` for the
market's, `real_clock` for the machine's.
"""

import asyncio
from datetime import datetime
from typing import Protocol


class MarketClock(Protocol):
    """The time that prices carry: real time at a real exchange, maybe faster in the sandbox.

    Instants in the store, ages and the grid of jobs use it.
    """

    def now(self) -> datetime:
        """Return the market's instant, aware UTC."""

    async def sleep_market(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        """Wait so many of the market's seconds, or until `wake` is set."""


class RealClock(Protocol):
    """The machine's time: for durations, deadlines, heartbeats and everything on the network."""

    def utc_now(self) -> datetime:
        """Return the instant of the machine's wall clock, aware UTC; it may be set back."""

    def monotonic(self) -> float:
        """Return seconds that are never set back. Time in which the machine slept counts.

        A lease or an age that did not count it would look young after a suspend.
        """

    async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        """Wait so many real seconds, or until `wake` is set."""
