"""F47: killed at each crash point, the service starts again and nothing is lost or done twice."""

import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from service.crashpoints import CRASH_POINTS
from tests.faults.crash_keeper import CrashKeeper
from tests.faults.crash_points import CRASHES, Crash
from tests.faults.crash_stack import CrashStack
from tests.faults.exit_crashes import EXIT_CRASHES

_WITHIN_S = 600


def test_every_crash_point_is_tried_once() -> None:
    of_exits = {crash.point for crash in EXIT_CRASHES} - {crash.point for crash in CRASHES}

    assert Counter([*of_exits, *(crash.point for crash in CRASHES)]) == Counter(CRASH_POINTS)


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
    # The first one begins with an empty database.
    stack = await keeper.stack(starts=crash is not CRASHES[0])
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
