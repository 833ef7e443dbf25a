"""The daily check of the books beside a server that stops answering."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from service.app.verification import differences_at
from service.domain.errors import StoreDown
from service.store.database.interruption import Interruption
from service.store.database.pool import Pool
from service.store.queries.verify import count_differences
from tests.integration.store.seeds import rows

#: The session of the check, while it waits for the lock of `pool`'s transaction.
WAITING: Final = """
    SELECT pid
      FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def waiting_session(pool: Pool) -> int:
    while not (found := await rows(pool, WAITING)):  # noqa: ASYNC110 - nothing to wait for
        await asyncio.sleep(0.01)
    return int(found[0][0])


@pytest.fixture
async def only_thread() -> AsyncIterator[None]:
    """Let the loop of the tests have a single thread, which is free or not."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1) as only:
        loop.set_default_executor(only)
        yield
        loop.set_default_executor(ThreadPoolExecutor())


@pytest.mark.usefixtures("only_thread")
async def test_the_thread_of_a_check_that_is_given_up_ends_though_its_server_does_not_answer(
    dsn: str, pool: Pool
) -> None:
    """Else the process could not end either: it waits for its threads."""
    async with pool.transaction() as cur:
        await cur.execute("LOCK TABLE fills")
        checking = asyncio.create_task(differences_at(dsn))
        pid = await waiting_session(pool)
        os.kill(pid, signal.SIGSTOP)
        try:
            checking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await checking

            assert await asyncio.to_thread(lambda: "free") == "free"
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_a_check_that_was_given_up_before_it_connected_asks_nothing(
    dsn: str, pool: Pool
) -> None:
    interruption = Interruption()
    interruption.cut()

    with pytest.raises(StoreDown, match="not needed any more"):
        await asyncio.to_thread(count_differences, dsn, interruption)
