"""The composed LISTEN: what another process changes is read here, missed or heard."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.app.jobs import listener
from service.settings.settings import Settings
from service.settings.table import AI_MODEL, TRADING_ENABLED
from service.store.database.pool import Pool
from service.store.tables.settings import PgSettingRows
from tests.fakes.clock import FakeClock
from tests.faults.proxy import through_a_proxy
from tests.integration.store.seeds import execute

SAFETY_S = 20
BY_HAND = "UPDATE system_configs SET value = to_jsonb(%(value)s::text) WHERE key = 'ai_model'"


@pytest.fixture
async def settings(pool: Pool) -> AsyncIterator[Settings]:
    made = Settings(PgSettingRows(pool), FakeClock())
    yield made
    await made.close()


async def until_reads(settings: Settings, value: str) -> None:
    async with asyncio.timeout(SAFETY_S):
        while await settings.get(AI_MODEL) != value:  # noqa: ASYNC110 - nothing to wait for
            await asyncio.sleep(0)


@pytest.mark.proves("S2.2")
async def test_the_cache_is_cleared_when_listening_begins_and_hears_each_change_after_it(
    settings: Settings, dsn: str, pool: Pool
) -> None:
    """S2.2: whatever was missed while nobody listened."""
    stopping = asyncio.Event()
    await settings.change({"ai_model": "m-1"}, by="here")
    await settings.get(AI_MODEL)
    # Past the service, and so without a notification: as if that had been sent into a broken
    # connection.
    await execute(pool, BY_HAND, {"value": "m-2"})
    kept = await settings.get(AI_MODEL)

    listening = asyncio.create_task(listener(dsn, settings).run(stopping))
    try:
        await until_reads(settings, "m-2")
        other = Settings(PgSettingRows(pool), FakeClock())
        await other.change({"ai_model": "m-3"}, by="there")
        await until_reads(settings, "m-3")
    finally:
        stopping.set()
        await listening

    assert kept == "m-1", "nothing told the cache yet"


SWITCH_OFF = "UPDATE system_configs SET value = 'false' WHERE key = 'trading_enabled'"


@pytest.mark.proves("S2.2")
async def test_a_switch_set_off_while_the_listener_is_cut_off_is_read_at_once(
    settings: Settings, dsn: str, pool: Pool
) -> None:
    """S2.2: the cache kept `true` for an hour, and orders followed."""
    stopping, told = asyncio.Event(), asyncio.Queue[str]()
    await settings.change({"trading_enabled": True}, by="here")

    async with through_a_proxy(dsn) as (proxy, address):
        task = listener(address, settings, tell=told.put_nowait).run(stopping)
        listening = asyncio.create_task(task)
        try:
            async with asyncio.timeout(SAFETY_S):
                assert await told.get() == "back"
                before = await settings.get(TRADING_ENABLED)
                await proxy.close()
                assert await told.get() == "lost"
                await settings.get(TRADING_ENABLED)
                await execute(pool, SWITCH_OFF)
                after = await settings.get(TRADING_ENABLED)
        finally:
            stopping.set()
            await listening

    assert (before, after) == (True, False)
