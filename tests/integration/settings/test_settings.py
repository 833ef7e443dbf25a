"""The settings on real PostgreSQL, in one process and in two."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest

from service.domain.alerts import Alert, Notice
from service.domain.errors import InvalidSetting
from service.domain.markets import Market
from service.ports.settings import SettingChange
from service.ports.store import JSON
from service.settings.settings import Settings
from service.settings.table import (
    AI_MODEL,
    MARKETS,
    MAX_POSITION_PCT,
    MIN_CONFIDENCE,
    PRICE_TABLE,
    STOP_LOSS_PCT,
    TABLE,
    TAKE_PROFIT_PCT,
    TRADING_ENABLED,
)
from service.store.database.pool import Pool, open_pool
from service.store.tables.settings import PgSettingRows
from tests.builders import T0
from tests.fakes.clock import FakeClock
from tests.integration.store.seeds import until_locked_out

from .conftest import CountingRows, Process, soon

HIDE = "ALTER TABLE system_configs RENAME TO system_configs_hidden"

STORE_BY_HAND = """
    INSERT INTO system_configs (key, value, updated_by, updated_at)
    VALUES (%(key)s, %(value)s::jsonb, 'psql', now())
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""

CHANGES = """
    SELECT key, old_value::text, new_value::text, changed_by, changed_at, request_id
      FROM config_changes
     ORDER BY id
"""

END_LISTENERS = """
    SELECT count(pg_terminate_backend(pid, 10000))
      FROM pg_stat_activity
     WHERE datname = current_database()
       AND query LIKE 'LISTEN %%'
"""


@pytest.fixture
def settings(pool: Pool) -> Settings:
    return Settings(PgSettingRows(pool), FakeClock())


async def execute(pool: Pool, statement: str, **params: object) -> None:
    async with pool.cursor() as cur:
        await cur.execute(statement, params)


@pytest.mark.proves("S2.1")
async def test_a_setting_read_before_is_read_again_without_a_query(pool: Pool) -> None:
    rows = CountingRows(pool)
    settings = Settings(rows, FakeClock())
    first = await settings.get(MIN_CONFIDENCE)
    await execute(pool, HIDE)  # a query would now fail

    again = await asyncio.gather(*(settings.get(MIN_CONFIDENCE) for _ in range(50)))

    assert {first, *again} == {Decimal("0.6")}
    assert rows.loads == {"min_confidence": 1}


async def test_fifty_readers_of_a_cold_setting_take_one_connection(pool: Pool) -> None:
    rows = CountingRows(pool)
    settings = Settings(rows, FakeClock())

    await asyncio.gather(*(settings.get(MIN_CONFIDENCE) for _ in range(50)))

    assert rows.loads == {"min_confidence": 1}


@pytest.mark.proves("S2.2")
async def test_the_next_read_after_a_change_returns_the_databases_newest_value(
    settings: Settings,
) -> None:
    before = await settings.get(MIN_CONFIDENCE)

    await settings.change({"min_confidence": 0.75}, by="admin")

    assert (before, await settings.get(MIN_CONFIDENCE)) == (Decimal("0.6"), Decimal("0.75"))


async def test_every_setting_survives_the_database_as_it_was_given(settings: Settings) -> None:
    given: dict[str, JSON] = {view.key: view.default for view in await settings.all()}
    given |= {
        "trading_enabled": True,
        "markets": ["KRW-BTC", "KRW-ETH"],
        "take_profit_pct": "12.3456",
        "trailing_stop_pct": 0.1,
        "ai_fallback_models": ["gemini-3.7-flash", "gemini-3.6-flash"],
    }

    await settings.change(given, by="admin")

    for name, key in TABLE.items():
        assert await settings.get(key) == key.parse(given[name]), name


async def test_a_changes_row_says_who_when_the_old_and_the_new(
    settings: Settings, pool: Pool
) -> None:
    await settings.change({"take_profit_pct": 10}, by="admin", request_id="r-1")
    await settings.change({"take_profit_pct": "10.0"}, by="nobody", request_id="r-2")
    await settings.change({"take_profit_pct": None}, by="operator", request_id="r-3")

    async with pool.cursor() as cur:
        await cur.execute(CHANGES)
        stored = await cur.fetchall()

    assert stored == [
        ("take_profit_pct", "null", '"10"', "admin", T0, "r-1"),
        ("take_profit_pct", '"10"', "null", "operator", T0, "r-3"),
    ]
    assert await settings.get(TAKE_PROFIT_PCT) is None


async def test_nothing_is_stored_when_one_of_many_is_wrong(settings: Settings, pool: Pool) -> None:
    with pytest.raises(InvalidSetting, match="min_confidence"):
        await settings.change({"trading_enabled": True, "min_confidence": 7}, by="admin")

    async with pool.cursor() as cur:
        await cur.execute("SELECT count(*) FROM system_configs")
        assert await cur.fetchone() == (0,)
    assert await settings.get(TRADING_ENABLED) is False


async def test_a_seed_leaves_alone_what_the_operator_has_stored(settings: Settings) -> None:
    await settings.change({"trading_enabled": False}, by="admin")

    changes = await settings.seed({"trading_enabled": True, "ai_model": "m-1"}, by="start")

    assert [change.key for change in changes] == ["ai_model"]
    assert await settings.get(TRADING_ENABLED) is False


@pytest.mark.parametrize(
    "garbage",
    [
        *('"much"', "51", "true", "null", "{}", "[[[]]]", '"5e0"', "-0.0", "1e-400"),
        *("123456789012345678901234567890", '"\\ud7ff\\n"'),
        "1e400",
        pytest.param("[" * 2000 + "]" * 2000, id="deep"),
    ],
)
async def test_garbage_in_a_row_gives_way_to_the_default(
    settings: Settings, pool: Pool, garbage: str
) -> None:
    await execute(pool, STORE_BY_HAND, key="stop_loss_pct", value=garbage)

    assert await settings.get(STOP_LOSS_PCT) == Decimal(5)
    assert settings.unusable_loads == 1
    await settings.change({"stop_loss_pct": 6}, by="admin")
    assert await settings.get(STOP_LOSS_PCT) == Decimal(6)


async def test_numbers_written_by_hand_are_taken_exactly(settings: Settings, pool: Pool) -> None:
    await execute(pool, STORE_BY_HAND, key="min_confidence", value="0.70")

    assert await settings.get(MIN_CONFIDENCE) == Decimal("0.7")


async def test_a_value_read_before_a_change_is_not_kept_after_it(pool: Pool) -> None:
    rows = CountingRows(pool)
    settings = Settings(rows, FakeClock())
    go = rows.hold()
    early = asyncio.create_task(settings.get(MIN_CONFIDENCE))
    await rows.has_read.wait()

    await settings.change({"min_confidence": "0.9"}, by="admin")
    during = await settings.get(MIN_CONFIDENCE)
    go.set()

    assert await early == Decimal("0.6"), "it asked before the change"
    assert during == Decimal("0.9")
    assert await settings.get(MIN_CONFIDENCE) == Decimal("0.9")
    assert rows.loads == {"min_confidence": 2}


@pytest.mark.proves("S2.2")
async def test_a_change_in_one_process_is_seen_by_the_other(here: Process, there: Process) -> None:
    assert await there.settings.get(MARKETS) == ()

    await here.settings.change({"markets": ["KRW-ETH"]}, by="admin")

    assert await soon(there.heard) == "markets"
    assert await there.settings.get(MARKETS) == (Market("KRW", "ETH"),)
    assert await here.settings.get(MARKETS) == (Market("KRW", "ETH"),)


async def test_only_the_changed_keys_are_read_again_elsewhere(
    here: Process, there: Process
) -> None:
    await there.settings.get(MIN_CONFIDENCE)
    await there.settings.get(PRICE_TABLE)

    await here.settings.change({"min_confidence": "0.8", "ai_model": "m-1"}, by="admin")

    assert {await soon(there.heard), await soon(there.heard)} == {"min_confidence", "ai_model"}
    assert await there.settings.get(MIN_CONFIDENCE) == Decimal("0.8")
    await there.settings.get(PRICE_TABLE)
    assert there.rows.loads == {"min_confidence": 1}  # all were read once, as LISTEN took effect


async def test_a_load_in_flight_elsewhere_does_not_outlive_the_notification(
    here: Process, there: Process
) -> None:
    await there.settings.invalidate(AI_MODEL.name)
    go = there.rows.hold()
    early = asyncio.create_task(there.settings.get(AI_MODEL))
    await there.rows.has_read.wait()

    await here.settings.change({"ai_model": "gemini-4-argon"}, by="admin")
    await soon(there.heard)
    go.set()

    assert await early == AI_MODEL.default
    assert await there.settings.get(AI_MODEL) == "gemini-4-argon"


async def test_a_refused_change_notifies_nobody(here: Process, there: Process) -> None:
    with pytest.raises(InvalidSetting):
        await here.settings.change({"ai_model": "m-1", "min_confidence": 7}, by="admin")
    await here.settings.change({"stop_loss_pct": 7}, by="admin")

    assert await soon(there.heard) == "stop_loss_pct"
    assert there.heard.empty()


@pytest.mark.proves("S2.edge")
async def test_what_was_changed_while_nobody_listened_is_seen_when_the_connection_is_back(
    there: Process, pool: Pool
) -> None:
    await there.settings.change({"ai_model": "m-1"}, by="admin")
    assert await soon(there.heard) == "ai_model"
    assert await there.settings.get(AI_MODEL) == "m-1"

    # By hand and without NOTIFY: as if the notification had been sent into the broken connection.
    await execute(pool, STORE_BY_HAND, key="ai_model", value='"m-2"')
    kept = await there.settings.get(AI_MODEL)
    await execute(pool, END_LISTENERS)
    await soon(there.cleared)

    assert kept == "m-1", "nothing told the cache yet"
    assert await there.settings.get(AI_MODEL) == "m-2"
    await there.settings.change({"ai_model": "m-3"}, by="admin")
    assert await soon(there.heard) == "ai_model", "the new connection listens"


async def test_the_sizes_are_checked_against_what_another_process_has_just_stored(
    here: Process, there: Process
) -> None:
    assert await there.settings.get(MAX_POSITION_PCT) == 20
    await here.settings.change({"max_position_pct": "5"}, by="admin")

    with pytest.raises(InvalidSetting, match="position_size_max_pct must not exceed max_position"):
        await there.settings.change({"position_size_max_pct": 10}, by="admin")


async def tried(settings: Settings, values: Mapping[str, JSON]) -> str:
    try:
        await settings.change(values, by="admin")
    except InvalidSetting:
        return "refused"
    return "stored"


def told(change: SettingChange) -> Sequence[Notice]:
    return (Alert(key=change.key, severity="info", title="t", body="b", at=T0, lasts=False),)


async def test_of_two_processes_whose_sizes_fit_only_alone_one_is_refused(
    dsn: str, pool: Pool
) -> None:
    """Write skew: neither writes a row that the other one does."""
    async with open_pool(dsn, minsize=1) as one, open_pool(dsn, minsize=1) as other:
        here, there = (
            Settings(PgSettingRows(each, notices=told), FakeClock()) for each in (one, other)
        )
        await here.change({"position_size_max_pct": 10}, by="start")
        async with asyncio.TaskGroup() as group, pool.transaction() as holder:
            # What is told comes last: whoever gets that far has found his change to fit.
            await holder.execute("LOCK TABLE alerts IN SHARE MODE")
            both = [
                group.create_task(tried(here, {"position_size_min_pct": 8})),
                group.create_task(tried(there, {"position_size_max_pct": 5})),
            ]
            await until_locked_out(pool, 2)

    assert sorted(task.result() for task in both) == ["refused", "stored"]


@pytest.mark.parametrize("stored", [None, '"0.8"'])
async def test_a_change_that_waited_for_another_says_what_that_one_stored(
    here: Process, pool: Pool, stored: str | None
) -> None:
    """The old value is read under the row's lock: neither the cache nor a look before knows it."""
    if stored is not None:
        await execute(pool, STORE_BY_HAND, key="min_confidence", value=stored)
        await here.settings.invalidate("min_confidence")
    cached = await here.settings.get(MIN_CONFIDENCE)
    async with asyncio.TaskGroup() as group, pool.transaction() as other:
        await other.execute(STORE_BY_HAND, {"key": "min_confidence", "value": '"0.9"'})
        waiting = group.create_task(here.settings.change({"min_confidence": "0.7"}, by="cli"))
        await until_locked_out(pool, 1)

    (change,) = waiting.result()
    assert cached == Decimal("0.8" if stored else "0.6")
    assert (change.old, change.new) == ("0.9", "0.7")
    assert await here.settings.get(MIN_CONFIDENCE) == Decimal("0.7")


async def test_changes_of_two_processes_at_once_are_one_chain(
    here: Process, there: Process, pool: Pool
) -> None:
    """What each change says it replaced is what the one before it stored: none is lost."""
    async with asyncio.TaskGroup() as group:
        for n in range(20):
            settings = (here, there)[n % 2].settings
            group.create_task(settings.change({"stop_loss_pct": n + 1}, by=f"p{n % 2}"))

    async with pool.cursor() as cur:
        await cur.execute(CHANGES)
        steps = await cur.fetchall()
        await cur.execute("SELECT value::text FROM system_configs WHERE key = 'stop_loss_pct'")
        last = await cur.fetchone()
        await cur.execute("SELECT detail ->> 'old', detail ->> 'new' FROM audit_log ORDER BY id")
        audited = await cur.fetchall()
    chain = [(old, new) for _, old, new, *_ in steps]
    assert sorted(int(json.loads(new)) for _, new in chain) == list(range(1, 21))
    assert [old for old, _ in chain] == ['"5"', *(new for _, new in chain[:-1])]
    assert last == (chain[-1][1],)
    assert [[json.loads(old), json.loads(new)] for old, new in chain] == [
        list(row) for row in audited
    ]
    assert {by for *_, by, _, _ in steps} == {"p0", "p1"}
