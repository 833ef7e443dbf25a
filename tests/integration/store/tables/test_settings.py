"""The operator's settings on real PostgreSQL, with their history and their notification."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import aiopg
import pytest

from service.domain.errors import InvalidSetting
from service.ports.settings import SettingChange
from service.ports.store import JSON
from service.store.database.pool import Pool
from service.store.tables.settings import CHANNEL, PgSettingRows
from tests.builders import T0
from tests.integration.store.seeds import rows

DEFAULT = "default"


def a_change(key: str, old: JSON, new: JSON, **overrides: object) -> SettingChange:
    values = {"key": key, "old": old, "new": new, "changed_by": "operator", "changed_at": T0}
    return SettingChange(**values | overrides)  # type: ignore[arg-type]  # as the builders do


async def change(
    pool: Pool, values: dict[str, JSON], *, only_absent: bool = False
) -> tuple[SettingChange, ...]:
    return await PgSettingRows(pool).change(
        values,
        defaults=dict.fromkeys(values, DEFAULT),
        by="operator",
        at=T0,
        request_id="r-1",
        only_absent=only_absent,
    )


async def history(pool: Pool) -> list[tuple[object, ...]]:
    return await rows(
        pool, "SELECT key, old_value::text, new_value::text FROM config_changes ORDER BY id"
    )


async def test_a_setting_never_stored_is_none(pool: Pool) -> None:
    assert await PgSettingRows(pool).load("min_confidence") is None


@pytest.mark.parametrize(
    "value",
    [True, 0, 3, "0.6", 0.1, None, [], ["KRW-BTC", "KRW-ETH"], {"models": [{"input": "0.30"}]}],
)
async def test_every_json_value_comes_back_as_it_was_given(pool: Pool, value: JSON) -> None:
    changes = await change(pool, {"key": value})

    assert changes == (a_change("key", DEFAULT, value),)
    assert await PgSettingRows(pool).load("key") == (value,)


async def test_a_change_leaves_its_old_and_new_value_and_who_did_it(pool: Pool) -> None:
    await change(pool, {"min_confidence": "0.6"})

    changes = await PgSettingRows(pool).change(
        {"min_confidence": "0.7"},
        defaults={"min_confidence": "0.5"},
        by="cli",
        at=T0 + timedelta(hours=1),
        request_id=None,
    )

    later = T0 + timedelta(hours=1)
    assert changes == (
        a_change("min_confidence", "0.6", "0.7", changed_by="cli", changed_at=later),
    )
    assert await rows(
        pool,
        "SELECT key, old_value, new_value, changed_by, changed_at, request_id"
        "  FROM config_changes ORDER BY id",
    ) == [
        ("min_confidence", DEFAULT, "0.6", "operator", T0, "r-1"),
        ("min_confidence", "0.6", "0.7", "cli", later, None),
    ]
    assert await rows(
        pool, "SELECT at, actor, action, subject, detail, request_id FROM audit_log ORDER BY id"
    ) == [
        (
            T0,
            "operator",
            "setting.change",
            "min_confidence",
            {"old": DEFAULT, "new": "0.6"},
            "r-1",
        ),
        (
            later,
            "cli",
            "setting.change",
            "min_confidence",
            {"old": "0.6", "new": "0.7"},
            None,
        ),
    ]
    assert await rows(pool, "SELECT value, updated_by, updated_at FROM system_configs") == [
        ("0.7", "cli", later)
    ]


async def test_switching_a_setting_to_null_is_a_change(pool: Pool) -> None:
    await change(pool, {"take_profit_pct": "5"})

    assert await change(pool, {"take_profit_pct": None}) == (
        a_change("take_profit_pct", "5", None),
    )
    assert await PgSettingRows(pool).load("take_profit_pct") == (None,)
    assert await change(pool, {"take_profit_pct": "5"}) == (a_change("take_profit_pct", None, "5"),)
    assert [old for _, old, _ in await history(pool)] == ['"default"', '"5"', "null"]


async def test_a_value_equal_to_the_stored_one_is_no_change(pool: Pool) -> None:
    await change(pool, {"a": {"x": 1, "y": [1, 2]}, "b": "1"})

    changes = await change(pool, {"a": {"y": [1, 2], "x": 1}, "b": "2"})

    assert changes == (a_change("b", "1", "2"),)
    assert len(await history(pool)) == 3


async def test_only_absent_leaves_alone_what_is_stored(pool: Pool) -> None:
    await change(pool, {"b": "kept"})

    changes = await change(pool, {"c": "new", "b": "default", "a": "new"}, only_absent=True)

    assert changes == (a_change("a", DEFAULT, "new"), a_change("c", DEFAULT, "new"))
    assert await PgSettingRows(pool).load("b") == ("kept",)


async def test_the_default_is_stored_once_and_both_values_say_so(pool: Pool) -> None:
    assert await change(pool, {"a": DEFAULT}) == (a_change("a", DEFAULT, DEFAULT),)
    assert await change(pool, {"a": DEFAULT}) == ()
    assert await PgSettingRows(pool).load("a") == (DEFAULT,)
    assert await history(pool) == [("a", '"default"', '"default"')]


async def test_nothing_to_change_leaves_no_trace(pool: Pool) -> None:
    assert await change(pool, {}) == ()
    assert await history(pool) == []


async def test_one_value_that_cannot_be_stored_stops_them_all(pool: Pool) -> None:
    await change(pool, {"a": "1"})

    with pytest.raises(InvalidSetting, match="NUL"):
        await change(pool, {"a": "2", "b": "3", "c": "text\x00"})

    assert await PgSettingRows(pool).load("a") == ("1",)
    assert await PgSettingRows(pool).load("b") is None
    assert len(await history(pool)) == 1


async def test_a_broken_character_is_refused_and_not_a_crash(pool: Pool) -> None:
    with pytest.raises(InvalidSetting, match="Unicode"):
        await change(pool, {"a": "broken \ud83d"})


@pytest.mark.parametrize("stored_before", [True, False])
async def test_concurrent_changes_form_one_chain(pool: Pool, stored_before: bool) -> None:
    if stored_before:
        await change(pool, {"a": "start", "b": "start"})

    await asyncio.gather(
        *(
            # In either order: two processes that lock the keys as given would deadlock.
            change(pool, dict.fromkeys(("b", "a") if n % 2 else ("a", "b"), str(n)))
            for n in range(12)
        )
    )

    steps = await history(pool)
    for key in ("a", "b"):
        chain = [(old, new) for name, old, new in steps if name == key]
        assert chain[0][0] == '"default"'
        assert all(old == before for (_, before), (old, _) in pairwise(chain))
        assert len(chain) == 12 + stored_before
        (last,) = await PgSettingRows(pool).load(key) or (None,)
        assert f'"{last}"' == chain[-1][1]
    assert await PgSettingRows(pool).load("a") == await PgSettingRows(pool).load("b")


async def test_of_concurrent_first_defaults_one_is_stored(pool: Pool) -> None:
    results = await asyncio.gather(
        *(change(pool, {"a": str(n)}, only_absent=True) for n in range(8))
    )

    (winner,) = [changes for changes in results if changes]
    assert await PgSettingRows(pool).load("a") == (winner[0].new,)
    assert len(await history(pool)) == 1


async def test_each_changed_key_is_told_once_and_only_what_was_committed(
    pool: Pool, dsn: str
) -> None:
    async with (
        aiopg.connect(dsn, enable_hstore=False) as connection,
        connection.cursor() as listening,
    ):
        await listening.execute(f"LISTEN {CHANNEL}")
        await change(pool, {"a": "1", "b": "2"})
        with pytest.raises(InvalidSetting):
            await change(pool, {"a": "3", "c": "\x00"})
        await change(pool, {"a": "1"})  # equal: nothing to tell
        await change(pool, {"last": "1"})

        async with asyncio.timeout(20):
            heard = [(await connection.notifies.get()).payload for _ in range(3)]

    assert heard == ["a", "b", "last"]
