"""F47: killed at each crash point, the service starts again and nothing is lost or done twice."""

import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from service.crashpoints import CRASH_POINTS
from tests.faults.conftest import open_folder
from tests.faults.crash_points import CRASHES, Crash
from tests.faults.crash_stack import CrashStack
from tests.faults.told import until_nothing_is_open

_WITHIN_S = 600


def test_every_crash_point_is_tried_once() -> None:
    assert Counter(crash.point for crash in CRASHES) == Counter(CRASH_POINTS)


@pytest.fixture(scope="module")
async def stack(no_database_variables: None) -> AsyncIterator[CrashStack]:
    folder = open_folder()
    async with CrashStack.opened(folder) as opened:
        yield opened
        await until_nothing_is_open(opened)
        await opened.check_alerts()
        await opened.stop_running()
        (leader,) = await opened.sql("SELECT epoch FROM leader")
        print(f"F47 {opened.crashes} crashes, {leader['epoch']} owners of the lease")  # noqa: T201
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.chaos
@pytest.mark.timeout(_WITHIN_S)
@pytest.mark.parametrize("crash", CRASHES, ids=[crash.point for crash in CRASHES])
async def test_a_kill_at_a_crash_point_loses_nothing_and_does_nothing_twice(
    stack: CrashStack, crash: Crash
) -> None:
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
