"""The whole service on a real server: statements of the same moment wait for no connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from service.store.database.pool import Pool
from tests.composed import composed
from tests.integration.store.seeds import rows

SAFETY_S: Final = 60
#: Long enough for statements that a lock of the test holds back.
PATIENT: Final = "&options=-c%20lock_timeout%3D60s%20-c%20statement_timeout%3D60s"
MARKETS: Final = {"KRW-BTC", "KRW-ETH"}
POOL_URL: Final = "/api/v1/metrics/pool"

#: Written by the order, by the signal pass and by the collection.
WRITTEN: Final = ("orders", "trading_signals", "market_data")
#: Read by the calls, and by no job as long as the market's time stands still.
READ: Final = ("config_changes", "fills")
CALLS: Final = 5 * ("/api/v1/config/changes", "/api/v1/trading/fills")
PAGES: Final = (
    "/api/v1/config/changes",
    "/api/v1/portfolio/daily",
    "/api/v1/portfolio/equity",
    "/api/v1/portfolio/summary",
    "/api/v1/trading/fills",
)
HELD_BACK: Final = """
    SELECT relation::regclass::text, count(DISTINCT pid)
      FROM pg_locks
     WHERE NOT granted
       AND relation IS NOT NULL
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     GROUP BY relation
"""


@asynccontextmanager
async def locked(pool: Pool, mode: str, *tables: str) -> AsyncIterator[None]:
    async with pool.transaction() as cursor:
        for table in tables:
            await cursor.execute(f"LOCK TABLE {table} IN {mode} MODE")
        yield


async def held_back(pool: Pool) -> dict[str, int]:
    """Return how many sessions stand before a lock, by table; those of the calls in one sum."""
    found: dict[str, int] = dict(await rows(pool, HELD_BACK))
    return {table: found.pop(table, 0) for table in WRITTEN} | {"read": sum(found.values())}


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SAFETY_S):
        while not await true():
            pass


@pytest.mark.proves("S1.1", "S1.2", "SC-001")
async def test_ten_calls_a_signal_an_order_and_a_collection_at_once_wait_for_no_connection(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    """Locks hold each statement back in PostgreSQL, on its connection, until all are there.

    The order is that of the job's own signal. Its pass holds the market's time still, so that
    nothing else is due; another signal and a collection are asked for by hand.
    """

    async def an_order_is_held_back() -> bool:
        return (await held_back(pool))["orders"] == 1

    async def all_are_held_back_or_some_wait() -> bool:
        waits = await service.get(POOL_URL)
        return waits["waits"] + waits["waiting"] > before["waits"] or await held_back(pool) == {
            "orders": 1,
            "trading_signals": 1,
            "market_data": 1,
            "read": len(CALLS),
        }

    options = {"speed": Decimal(0), "markets": ",".join(sorted(MARKETS))}
    async with AsyncExitStack() as locks:
        await locks.enter_async_context(locked(pool, "SHARE", "orders"))
        async with composed(tmp_path, dsn + PATIENT, **options) as service:
            await until(an_order_is_held_back)
            (ordered,) = (await service.get("/api/v1/signals?limit=1"))["items"]
            (other,) = MARKETS - {ordered["market"]}
            await service.change("signal_cooldown_minutes", 0)
            await locks.enter_async_context(locked(pool, "SHARE", *WRITTEN[1:]))
            await locks.enter_async_context(locked(pool, "ACCESS EXCLUSIVE", *READ))
            # At the start every loop has its first pass at once, and some wait a moment.
            before = await service.get(POOL_URL)
            async with asyncio.TaskGroup() as tasks:
                for path in CALLS:
                    tasks.create_task(service.get(path))
                signal = tasks.create_task(service.post("/api/v1/signals/generate", market=other))
                await service.post("/api/v1/admin/jobs/collect_market_data/run")
                await until(all_are_held_back_or_some_wait)
                during = await service.get(POOL_URL)
                exposed = await service.exposed()
                await locks.aclose()
            after = await service.get(POOL_URL)
            orders = await service.get("/api/v1/trading/orders")

    assert (during["waits"], during["waiting"], during["refused"]) == (before["waits"], 0, 0)
    assert during["size"] - during["free"] >= len(CALLS) + 3
    assert (during["max"], after["max"]) == (20, 20)
    assert exposed["trader_pool_connections", "used"] >= len(CALLS) + 3
    assert exposed["trader_pool_waits_total",] == before["waits"]
    assert (after["waits"], after["refused"]) == (before["waits"], 0)
    assert signal.result()["market"] == other
    assert orders["items"][-1]["market"] == ordered["market"]


@pytest.mark.proves("S1.3")
async def test_a_burst_right_after_a_restart_is_answered_by_connections_that_are_there(
    tmp_path: Path, dsn: str
) -> None:
    async with composed(tmp_path, dsn):
        pass

    async with composed(tmp_path, dsn) as service:
        before = service.services.ports.database.state()
        bodies = await asyncio.gather(*(service.get(path) for path in 6 * PAGES))
        after = await service.get(POOL_URL)

    assert before.size >= 10
    assert len(bodies) == 30
    assert after["refused"] == 0
