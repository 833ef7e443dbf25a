"""Real time. In the sandbox another clock replaces this one."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from datetime import UTC, datetime


class SystemClock:
    """The market's time is real time, so both waits are equal. Satisfies ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def participant(self) -> AbstractAsyncContextManager[None]:
        """Do nothing: real time cannot be held back."""
        return nullcontext()

    async def sleep_market(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        await self.sleep_real(seconds, wake=wake)

    async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        if wake is None:
            await asyncio.sleep(seconds)
            return
        # One await inside a timeout and no helper task: a cancelled wait leaves no task behind.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wake.wait()
