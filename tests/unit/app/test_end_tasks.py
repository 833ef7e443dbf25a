"""The last cancellations of the process."""

import asyncio

import pytest

from service.app.serve import CANCELS_AT_MOST, end_tasks
from tests.fakes.logs import Logs

SAFETY_S = 20


def ended(losing: int) -> bool:
    """Return whether a task that loses so many cancellations has ended before the loop closes."""

    async def stubborn() -> None:
        for _ in range(losing):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue
        await asyncio.Event().wait()

    async def main() -> bool:
        task = asyncio.create_task(stubborn(), name="stubborn")
        await asyncio.sleep(0)
        await end_tasks(again_s=0.01)
        is_done = task.done()
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.01)
        return is_done

    async def bounded() -> bool:
        async with asyncio.timeout(SAFETY_S):
            return await main()

    return asyncio.run(bounded())


@pytest.mark.parametrize("losing", [0, 1, 3])
def test_a_task_that_loses_a_cancellation_is_cancelled_again(losing: int) -> None:
    assert ended(losing)


def test_a_task_that_no_cancellation_ends_is_named(logs: Logs) -> None:
    assert not ended(CANCELS_AT_MOST)
    (line,) = logs.lines
    assert line["tasks"] == "stubborn"
