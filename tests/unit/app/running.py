"""A loop of the real runner whose passes a test lets go."""

import asyncio
from typing import Any, Self

from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.domain.signals import Trigger
from service.loops.loop import Loop, every
from service.loops.runner import Runner


class Running:
    """A loop of the real runner; its passes wait to be let go.

    Attributes: triggers: of the passes so far, oldest first.
    """

    def __init__(self, runner: Runner | None = None, **overrides: Any) -> None:
        self.runner = runner or Runner(
            clock=RealTimeMarketClock(SystemClock()),
            real_clock=SystemClock(),
            new_id=lambda: "run-1",
        )
        self.begun: asyncio.Queue[int] = asyncio.Queue()
        self.go_on = asyncio.Semaphore(0)
        self.passes = self.alive = self.most = 0
        self.triggers: list[Trigger] = []
        given: dict[str, Any] = {
            "name": "job",
            "every": every(hours=1),
            "step": self.step,
            "begin": self.triggers.append,
        } | overrides
        self.loop = Loop(**given)

    async def step(self) -> None:
        self.passes += 1
        self.alive += 1
        self.most = max(self.most, self.alive)
        self.begun.put_nowait(self.passes)
        await self.go_on.acquire()
        self.alive -= 1

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.runner.run(self.loop))
        await self.begun.get()
        return self

    async def another(self) -> None:
        """Let the running pass go, and wait until another one has begun."""
        self.go_on.release()
        async with asyncio.timeout(30):
            await self.begun.get()

    async def rest(self) -> None:
        """Let the running pass go; fails when another one was asked for."""
        self.go_on.release()
        await self.planned()

    async def planned(self) -> None:
        """Wait until the pass has ended and the next one is planned."""
        for _ in range(1000):
            if self.runner.state(self.loop.name).next_run_at is not None:
                return
            await asyncio.sleep(0)
        raise TimeoutError

    async def __aexit__(self, *_: object) -> None:
        self.runner.stop()
        self.go_on.release()
        async with asyncio.timeout(30):
            await self.task
