"""One stack for all faults, replaced after a fault that left it broken."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults.stack import Stack
from tests.faults.told import check_records, until_nothing_is_open


def open_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o755)  # the embedded server may run as another account
    return folder


class Keeper:
    """Provides the stack; many faults on one service are part of the test."""

    def __init__(self) -> None:
        self._opened = AsyncExitStack()
        self._stack: Stack | None = None

    async def stack(self) -> Stack:
        if self._stack is None:
            folder = open_folder()
            self._opened.callback(shutil.rmtree, folder, ignore_errors=True)
            self._stack = await self._opened.enter_async_context(Stack.opened(folder))
        return self._stack

    async def finish(self) -> None:
        """Stop the service as an operator would, and check that everything is stored."""
        if self._stack is not None:
            stack = self._stack
            await until_nothing_is_open(stack)
            await stack.end_service()
            await check_records(stack)

    async def drop(self) -> None:
        self._stack = None
        await self._opened.aclose()
        self._opened = AsyncExitStack()


@pytest.fixture(scope="session")
async def keeper(no_database_variables: None) -> AsyncIterator[Keeper]:
    kept = Keeper()
    try:
        yield kept
        await kept.finish()
    finally:
        await kept.drop()
