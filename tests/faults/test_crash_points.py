"""F47: killed at each crash point, the service starts again and nothing is lost or done twice."""

import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from service.crashpoints import CRASH_POINTS
from tests.faults.conftest import open_folder
from tests.faults.crash_points import CRASHES, Crash
from tests.faults.crash_stack import CrashStack
from tests.faults.told import until_nothing_is_open

_WITHIN_S = 600


def test_every_crash_point_is_tried_once() -> None:
    assert Counter(crash.point for crash in CRASHES) == Counter(CRASH_POINTS)


class CrashKeeper:
    """Provides the stack: one for all points, another one after a point that failed."""

    def __init__(self) -> None:
        self._opened = AsyncExitStack()
        self._stack: CrashStack | None = None

    async def stack(self, crash: Crash) -> CrashStack:
        if self._stack is None:
            folder = open_folder()
            self._opened.callback(shutil.rmtree, folder, ignore_errors=True)
            self._stack = await self._opened.enter_async_context(CrashStack.opened(folder))
            if crash is not CRASHES[0]:  # which begins with an empty database
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


@pytest.fixture(scope="module")
async def keeper(no_database_variables: None) -> AsyncIterator[CrashKeeper]:
    kept = CrashKeeper()
    try:
        yield kept
        await kept.finish()
    finally:
        await kept.drop()


@pytest.mark.chaos
@pytest.mark.timeout(_WITHIN_S)
@pytest.mark.parametrize("crash", CRASHES, ids=[crash.point for crash in CRASHES])
async def test_a_kill_at_a_crash_point_loses_nothing_and_does_nothing_twice(
    keeper: CrashKeeper, crash: Crash
) -> None:
    stack = await keeper.stack(crash)
    try:
        await tried(stack, crash)
    except BaseException:
        await keeper.drop()
        raise


async def tried(stack: CrashStack, crash: Crash) -> None:
    began = time.monotonic()
    await crash.prepare(stack)
    await stack.stop_running()
    await crash.behind(stack)
    stack.launch(TRADER_CRASHPOINT=f"{crash.point}:{crash.hit}")
    await crash.provoke(stack)
    await stack.has_died(crash.point)
    await crash.left(stack)
    await stack.clear_plan()
    died = time.monotonic()
    if not crash.restarts:
        return
    if not crash.lease_runs_out and crash.point != "migrate.mid":
        await stack.expire_lease()
    await stack.start()
    trades_s = time.monotonic() - died
    await crash.ends(stack)
    await stack.check()

    print(  # noqa: T201
        f"F47 {crash.point}: trades again after {trades_s:.1f} s,"
        f" {time.monotonic() - began:.1f} s in all"
    )
