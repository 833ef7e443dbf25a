"""One stack for the crashes of a lane, replaced after a crash that failed."""

import shutil
from contextlib import AsyncExitStack

from tests.faults.conftest import open_folder
from tests.faults.crash_stack import CrashStack
from tests.faults.told import until_nothing_is_open


class CrashKeeper:
    """Provides the stack: one for all points, another one after a point that failed."""

    def __init__(self) -> None:
        self._opened = AsyncExitStack()
        self._stack: CrashStack | None = None

    async def stack(self, *, starts: bool = True) -> CrashStack:
        if self._stack is None:
            folder = open_folder()
            self._opened.callback(shutil.rmtree, folder, ignore_errors=True)
            self._stack = await self._opened.enter_async_context(CrashStack.opened(folder))
            if starts:
                await self._stack.start()
        return self._stack

    async def finish(self) -> None:
        stack = self._stack
        if stack is not None and stack.is_running:
            await until_nothing_is_open(stack)
            await stack.check_alerts()
            await stack.stop_running()
            (lease,) = await stack.sql("SELECT epoch FROM leader")
            print(f"F47 {stack.crashes} crashes, {lease['epoch']} owners of the lease")  # noqa: T201

    async def drop(self) -> None:
        self._stack = None
        await self._opened.aclose()
        self._opened = AsyncExitStack()
