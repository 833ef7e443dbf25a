"""Processes that end, come again, or are two: nothing is lost, and one process sends."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.conftest import open_folder
from tests.faults.injections import model
from tests.faults.stack import FaultService, Stack
from tests.faults.waits import until

LATE: Final = {"method": "POST", "path": "/v1/orders", "delay_s": 20, "times": 1}
CRASHES: Final = 6
MOST_AN_HOUR: Final = 3

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[Stack]:
    folder = open_folder()
    try:
        async with Stack.opened(folder, **options) as stack:
            await stack.until_healthy()
            yield stack
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def until_posted(stack: Stack, more: int) -> None:
    """Wait until so many more orders have reached the exchange."""
    before = len(await stack.posted())

    async def look() -> bool:
        return len(await stack.posted()) >= before + more

    await until(look, what=f"{more} more orders reach the exchange")


async def until_state(service: FaultService, state: str) -> None:
    async def look() -> bool:
        body = await service.get("/health/detailed")
        return bool(body["trading"]["state"] == state)

    await until(look, what=f"a service is {state}")


async def killed(stack: Stack) -> None:
    stack.service.tell(signal.SIGKILL)
    await stack.service.ended()


# --- F46: a restored backup -----------------------------------------------------------------------


async def copied(source: Path, target: Path) -> None:
    """Copy a stopped server's files with their owner."""
    shutil.rmtree(target, ignore_errors=True)
    command = ("cp", "-a", str(source), str(target))
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


async def test_f46_a_restored_backup_learns_from_the_exchange_what_it_does_not_know() -> None:
    async with opened() as stack:
        cluster, backup = stack.folder / "pg" / "cluster", stack.folder / "backup"
        await until_posted(stack, 1)
        await stack.until_balanced()
        assert await stack.service.stop() == 0
        await asyncio.to_thread(stack.postgres.stop)
        await copied(cluster, backup)
        await asyncio.to_thread(stack.postgres.start)
        await stack.start_service()
        await until_posted(stack, 3)
        await killed(stack)
        await asyncio.to_thread(stack.postgres.stop)
        await copied(backup, cluster)
        await asyncio.to_thread(stack.postgres.start)
        known = {row["identifier"] for row in await stack.sql("SELECT identifier FROM orders")}
        sent = [one["identifier"] for one in await stack.posted()]

        await stack.start_service()
        await stack.until_balanced()
        rows = await stack.sql("SELECT identifier, origin, side FROM orders ORDER BY id")
        alerted = {row["key"] for row in await stack.sql("SELECT key FROM alerts")}
        events = await stack.service.all("/api/v1/risk/events")
        deposits = await stack.sql("SELECT id FROM deposits")
        status, _ = await stack.service.ask("POST", "/api/v1/risk/resume")
        await until_posted(stack, 2)
        await stack.until_healthy()
        await stack.until_balanced()

    lost = [identifier for identifier in sent if identifier not in known]
    assert len(lost) >= 3
    recovered = {row["identifier"] for row in rows if row["origin"] == "RECOVERED"}
    assert recovered >= set(lost)
    assert alerted >= {f"order:{name}:recovered" for name in lost}, "an operator is told"
    assert "order_recovered" in {event["reason"] for event in events}
    new = [row for row in rows if row["origin"] == "SERVICE" and row["identifier"] not in known]
    assert not [row for row in new if row["side"] == "BUY"], "bought before an operator has looked"
    assert deposits == [], "what our own orders moved is no deposit"
    assert status == 200


# --- F50: two processes on one database -----------------------------------------------------------


async def test_f50_of_two_processes_one_sends_however_often_they_are_stopped_in_their_tracks() -> (
    None
):
    async with opened() as stack:
        first, second = stack.service, stack.new_service("second")
        second.start()
        try:
            await second.ready()
            await until_state(second, "STANDBY")
            await stack.plan(LATE)
            for leader, follower in ((first, second), (second, first), (first, second)):
                stack.service = follower
                # The first time the order is on its way, and executed under the successor.
                await until_posted(stack, 1)
                os.kill(leader.pid, signal.SIGSTOP)
                try:
                    await until_state(follower, "ACTIVE")
                    await until_posted(stack, 1)
                finally:
                    os.kill(leader.pid, signal.SIGCONT)
                await until_state(leader, "STANDBY")
            await stack.until_healthy()
            await stack.until_balanced()
            epochs = await epochs_as_sent(stack)
            codes = [await service.stop() for service in (first, second)]
        finally:
            await second.__aexit__(None, None, None)

    assert all(earlier <= later for earlier, later in pairwise(epochs)), "two sent at once (I14)"
    assert len(set(epochs)) >= 4
    assert codes == [0, 0]


async def epochs_as_sent(stack: Stack) -> list[int]:
    """Return the lease's epoch of each order in the order in which they reached the exchange."""
    rows = await stack.sql("SELECT identifier, leader_epoch FROM orders")
    epoch = {row["identifier"]: row["leader_epoch"] for row in rows}
    return [epoch[one["identifier"]] for one in await stack.posted()]


# --- F54: a crash loop ----------------------------------------------------------------------------


async def test_f54_a_service_that_crashes_again_and_again_loses_nothing_and_keeps_its_limits() -> (
    None
):
    async with opened(speed=120) as stack, model("reckless")(stack):
        await stack.change(max_orders_per_hour=MOST_AN_HOUR, max_position_pct=100)
        for number in range(CRASHES):
            # Some die as the port opens, some with an order on its way.
            if number % 2:
                await until_asked(stack)
            await killed(stack)
            await stack.start_service()
        await until_posted(stack, 1)
        await stack.until_healthy()
        await stack.until_balanced()
        crowded = await stack.sql(CROWDED)
        epochs = await epochs_as_sent(stack)

    assert crowded == [], "more orders in an hour than allowed, over restarts"
    assert all(earlier <= later for earlier, later in pairwise(epochs))


CROWDED: Final = f"""
    SELECT o.id
      FROM orders AS o
     WHERE (SELECT count(*)
              FROM orders AS earlier
             WHERE earlier.created_at < o.created_at
               AND earlier.created_at > o.created_at - interval '1 hour') >= {MOST_AN_HOUR}
       AND o.created_at > (SELECT min(changed_at) + interval '1 minute'
                             FROM config_changes
                            WHERE key = 'max_orders_per_hour')
"""


async def until_asked(stack: Stack) -> None:
    """Wait until the model was asked once more, as each order begins."""
    mark = stack.service.log.mark

    def asked(lines: Any) -> bool:
        return any(line["event"] == "ai" for line in lines)

    await stack.until_lines(mark, asked, "the model is asked")
