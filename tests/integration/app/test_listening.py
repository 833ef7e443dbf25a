"""The composed LISTEN: what another process changes is read here, missed or heard."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.app.jobs import listener
from service.domain.trading_states import TradingStatus
from service.flows.trading_switch import TradingSwitch
from service.settings.settings import Settings
from service.settings.table import AI_MODEL, TRADING_ENABLED
from service.store.database.pool import Pool
from service.store.tables.audit import PgAudit
from service.store.tables.settings import PgSettingRows
from service.store.tables.trading_state import PgTradingState
from tests.fakes.clock import FakeClock
from tests.fakes.halt_journal import FakeHaltJournal
from tests.faults.proxy import through_a_proxy
from tests.integration.store.seeds import execute, rows

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


def a_switch(pool: Pool, settings: Settings) -> TradingSwitch:
    return TradingSwitch(
        states=PgTradingState(pool),
        settings=settings,
        journal=FakeHaltJournal(),
        audit=PgAudit(pool),
        clock=FakeClock(),
        real_clock=FakeClock(),
        new_id=lambda: "h-1",
    )


async def test_a_halt_of_one_process_is_in_force_in_the_other_without_a_look(
    settings: Settings, dsn: str, pool: Pool
) -> None:
    here = a_switch(pool, settings)
    there = a_switch(pool, Settings(PgSettingRows(pool), FakeClock()))
    await there.load()
    await settings.change({"trading_enabled": True}, by="here")
    stopping, seen = asyncio.Event(), []
    listening = asyncio.create_task(listener(dsn, settings).run(stopping))

    async def until(status: TradingStatus) -> None:
        async with asyncio.timeout(SAFETY_S):
            while here.status() is not status:  # noqa: ASYNC110 - nothing to wait for
                await asyncio.sleep(0)
        seen.append(status.value)

    try:
        await until(TradingStatus.ACTIVE)
        await there.halt(kind=TradingStatus.HALTED, reason="by hand", actor="admin")
        await until(TradingStatus.HALTED)
        await there.resume(actor="admin")
        await until(TradingStatus.ACTIVE)
        other = Settings(PgSettingRows(pool), FakeClock())
        await other.change({"trading_enabled": False}, by="there")
        await until(TradingStatus.DISABLED)
    finally:
        stopping.set()
        await listening

    assert seen == ["ACTIVE", "HALTED", "ACTIVE", "DISABLED"]
    audit = await rows(pool, "SELECT action, actor, subject FROM audit_log ORDER BY id")
    assert [row for row in audit if row[0].startswith("risk.")] == [
        ("risk.halt", "admin", "trading"),
        ("risk.resume", "admin", "trading"),
    ]
