"""Time as an argument."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as an argument. In the sandbox the market's time may run faster than ours."""

    def now(self) -> datetime:
        """Return the market's instant, aware UTC: instants in the store and ages use it."""

    def monotonic(self) -> float:
        """Return real seconds, for measured durations and network deadlines."""

    async def sleep_market(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        """Wait so many of the market's seconds, or until `wake` is set."""

    async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        """Wait so many real seconds, or until `wake` is set; for everything on the network."""

    def participant(self) -> AbstractAsyncContextManager[None]:
        """Hold the market's time back while the caller is awake inside the block.

        At full speed the time jumps to the end of the next sleep, once every participant sleeps.
        """
