"""Real time. In the sandbox another clock takes this one's place."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from datetime import UTC, datetime


class SystemClock:
    """The market's time is ours: `sleep` and `pause` are the same. Satisfies ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def participant(self) -> AbstractAsyncContextManager[None]:
        """Real time waits for nobody."""
        return nullcontext()

    async def sleep(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        await self.pause(seconds, wake=wake)

    async def pause(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        if wake is None:
            await asyncio.sleep(seconds)
            return
        # One await inside a timeout, no helper task: a cancelled wait leaves nothing behind.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wake.wait()
