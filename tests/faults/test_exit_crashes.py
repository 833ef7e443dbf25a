"""F47: killed at each crash point of an exit, the service sells the position once."""

import time
from collections.abc import AsyncIterator

import pytest

from tests.faults.crash_keeper import CrashKeeper
from tests.faults.crash_stack import CrashStack
from tests.faults.exit_crashes import EXIT_CRASHES, ExitCrash, Selling

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
async def keeper(no_database_variables: None) -> AsyncIterator[CrashKeeper]:
    kept = CrashKeeper()
    try:
        yield kept
        await kept.finish()
    finally:
        await kept.drop()


@pytest.mark.parametrize("crash", EXIT_CRASHES, ids=str)
async def test_a_kill_within_an_exit_sells_the_position_once(
    keeper: CrashKeeper, crash: ExitCrash
) -> None:
    stack = await keeper.stack()
    try:
        await tried(stack, crash)
    except BaseException:
        await keeper.drop()
        raise


async def tried(stack: CrashStack, crash: ExitCrash) -> None:
    began, selling = time.monotonic(), Selling(stack)
    await selling.hold()
    await stack.stop_running()
    await selling.fall()
    if crash.way == "journal":
        selling.lose_the_next_row()
    # The first order of this process is the exit's: nothing else may be sent.
    stack.launch(TRADER_CRASHPOINT=crash.point)
    await stack.has_died(crash.point)
    stack.proxy.cut = None
    await selling.check_left(crash)
    await stack.expire_lease()
    await stack.start()
    await selling.check_sold_once()
    await selling.rise()
    await stack.check()

    print(f"F47 {crash}: {time.monotonic() - began:.1f} s in all")  # noqa: T201
