"""Many operations at once in one event loop, for measures that synchronous code interleaves."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import Self, TypeVar

import aiopg

from service.store.database.pool import Pool

Operation = Callable[[], Awaitable[None]]
T = TypeVar("T")


class LoopRunner:
    """Runs coroutines in one event loop and closes at its end the contexts that it entered."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._runner = self._stack.enter_context(asyncio.Runner())
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        value = self.run(context.__aenter__())
        self._stack.callback(lambda: self.run(context.__aexit__(None, None, None)))
        return value

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self._runner.run(work)

    def rate(self, operate: Operation, operations: int, *, at_once: int) -> float:
        """Return operations a second."""
        began = time.perf_counter()
        self.run(together(operate, operations, at_once=at_once))
        return operations / (time.perf_counter() - began)


async def together(operate: Operation, operations: int, *, at_once: int) -> None:
    left = iter(range(operations))

    async def worker() -> None:
        for _ in left:
            await operate()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


def through_ours(pool: Pool, sql: str) -> Operation:
    async def operate() -> None:
        async with pool.cursor() as cursor:
            await cursor.execute(sql)

    return operate


def through_bare(pool: aiopg.Pool, sql: str) -> Operation:
    async def operate() -> None:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(sql)

    return operate
