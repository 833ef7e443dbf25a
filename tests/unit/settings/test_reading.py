"""Settings as they are read."""

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from service.domain.errors import StoreDown, UnknownSetting
from service.domain.markets import Market
from service.settings.settings import Settings
from service.settings.table import (
    AI_MODEL,
    MARKETS,
    MIN_CONFIDENCE,
    PRICE_TABLE,
    STOP_LOSS_PCT,
    TABLE,
    TAKE_PROFIT_PCT,
    TRADING_ENABLED,
)
from tests.fakes.clock import FakeClock
from tests.fakes.setting_rows import FakeSettingRows

if TYPE_CHECKING:
    from loguru import Record


async def test_a_setting_nobody_stored_has_its_default(settings: Settings) -> None:
    value: Decimal = await settings.get(MIN_CONFIDENCE)

    assert value == Decimal("0.6")


async def test_a_stored_setting_is_in_force(settings: Settings, rows: FakeSettingRows) -> None:
    rows.stored |= {"markets": ["KRW-ETH"], "min_confidence": "0.75"}

    assert await settings.get(MARKETS) == (Market("KRW", "ETH"),)
    assert await settings.get(MIN_CONFIDENCE) == Decimal("0.75")


async def test_a_setting_read_before_is_read_again_without_a_query(
    settings: Settings, rows: FakeSettingRows
) -> None:
    rows.stored["ai_model"] = "gemini-4-argon"
    first = await settings.get(AI_MODEL)

    second = await settings.get(AI_MODEL)

    assert first == second == "gemini-4-argon"
    assert rows.loads["ai_model"] == 1


@pytest.mark.parametrize("stored", [{}, {"take_profit_pct": None}])
async def test_off_is_cached_like_any_value(stored: dict[str, None]) -> None:
    rows = FakeSettingRows(stored)
    settings = Settings(rows, FakeClock())

    values = [await settings.get(TAKE_PROFIT_PCT) for _ in range(3)]

    assert values == [None, None, None]
    assert rows.load_count == 1


async def test_fifty_readers_of_a_cold_setting_are_one_query(
    settings: Settings, rows: FakeSettingRows
) -> None:
    values = await asyncio.gather(*(settings.get(MIN_CONFIDENCE) for _ in range(50)))

    assert set(values) == {Decimal("0.6")}
    assert rows.load_count == 1


async def test_a_query_that_fails_fails_the_reader_and_is_asked_again(
    settings: Settings, rows: FakeSettingRows
) -> None:
    rows.fail = StoreDown("PostgreSQL does not answer")

    with pytest.raises(StoreDown):
        await settings.get(MIN_CONFIDENCE)

    assert await settings.get(MIN_CONFIDENCE) == Decimal("0.6")


@pytest.mark.parametrize("stored", ["much", 51, True, None, {"value": 5}])
async def test_a_stored_value_that_no_longer_fits_gives_way_to_the_default_and_is_logged_once(
    stored: object, logs: list["Record"]
) -> None:
    rows = FakeSettingRows({"stop_loss_pct": stored})  # type: ignore[dict-item]  # wrong on purpose
    settings = Settings(rows, FakeClock())

    values = [await settings.get(STOP_LOSS_PCT) for _ in range(3)]

    (error,) = [record for record in logs if record["level"].name == "ERROR"]
    assert values == [Decimal(5)] * 3
    assert error["extra"]["event"] == "cache"
    assert error["extra"]["setting"] == "stop_loss_pct"
    assert "a number from 0.1 to 50" in error["extra"]["detail"]
    assert settings.unusable_loads == 1


async def test_a_garbled_switch_leaves_trading_off() -> None:
    settings = Settings(FakeSettingRows({"trading_enabled": "true"}), FakeClock())

    assert await settings.get(TRADING_ENABLED) is False


async def test_an_unusable_value_is_left_as_it_is(rows: FakeSettingRows) -> None:
    rows.stored["stop_loss_pct"] = "much"

    await Settings(rows, FakeClock()).get(STOP_LOSS_PCT)

    assert rows.stored == {"stop_loss_pct": "much"}
    assert rows.history == []


async def test_two_settings_in_one_process_share_nothing() -> None:
    one = Settings(FakeSettingRows({"ai_model": "model-one"}), FakeClock())
    two = Settings(FakeSettingRows({"ai_model": "model-two"}), FakeClock())

    assert await one.get(AI_MODEL) == "model-one"
    assert await two.get(AI_MODEL) == "model-two"
    assert one.stats()["loads"] == two.stats()["loads"] == 1


async def test_an_invalidated_setting_is_read_from_the_rows_again(
    settings: Settings, rows: FakeSettingRows
) -> None:
    await settings.get(AI_MODEL)
    await settings.get(MIN_CONFIDENCE)
    rows.stored["ai_model"] = "gemini-4-argon"

    await settings.invalidate("ai_model")

    assert await settings.get(AI_MODEL) == "gemini-4-argon"
    assert await settings.get(MIN_CONFIDENCE) == Decimal("0.6")
    assert rows.loads == {"ai_model": 2, "min_confidence": 1}


async def test_after_a_lost_connection_everything_is_read_again(
    settings: Settings, rows: FakeSettingRows
) -> None:
    await settings.all()
    rows.stored |= {"ai_model": "gemini-4-argon", "markets": ["KRW-XRP"]}

    await settings.invalidate_all()

    assert settings.stats()["entries"] == 0
    assert await settings.get(AI_MODEL) == "gemini-4-argon"
    assert await settings.get(MARKETS) == (Market("KRW", "XRP"),)


async def test_once_notifications_arrive_every_setting_is_kept_by_one_query(
    settings: Settings, rows: FakeSettingRows
) -> None:
    heard: list[str] = []

    async def hear(name: str) -> None:
        heard.append(name)
        await settings.get(MIN_CONFIDENCE)

    rows.stored |= {"ai_model": "gemini-4-argon", "min_confidence": 7, "leverage": 3}
    settings.distrust()
    settings.on_change(hear)
    await settings.trust()

    assert await settings.get(AI_MODEL) == "gemini-4-argon"
    assert await settings.get(MIN_CONFIDENCE) == MIN_CONFIDENCE.default
    assert {view.key for view in await settings.all()} == set(TABLE) == set(heard)
    assert (rows.whole_loads, rows.load_count, settings.stats()["misses"]) == (1, 0, 0)
    assert settings.unusable_loads == 1


async def test_a_value_that_changed_while_all_were_read_is_not_kept(
    settings: Settings, rows: FakeSettingRows
) -> None:
    trusting = asyncio.create_task(settings.trust())
    while not rows.whole_loads:  # noqa: ASYNC110 - its query has begun
        await asyncio.sleep(0)
    rows.stored["ai_model"] = "gemini-4-argon"

    await settings.invalidate("ai_model")
    await trusting

    assert await settings.get(AI_MODEL) == "gemini-4-argon"


async def test_settings_that_cannot_be_read_at_once_are_read_one_by_one(
    settings: Settings, rows: FakeSettingRows, logs: list["Record"]
) -> None:
    rows.fail = StoreDown("PostgreSQL does not answer")

    await settings.trust()

    assert await settings.get(AI_MODEL) == AI_MODEL.default
    assert rows.load_count == 1
    assert [record for record in logs if record["level"].name == "WARNING"]


async def test_a_notification_about_a_key_of_a_newer_version_is_ignored(
    settings: Settings,
) -> None:
    await settings.invalidate("leverage")

    assert settings.stats()["invalidations"] == 0


async def test_a_view_says_what_the_table_says(settings: Settings, rows: FakeSettingRows) -> None:
    rows.stored["stop_loss_pct"] = 7.50

    view = await settings.view("stop_loss_pct")

    assert (view.key, view.value, view.default) == ("stop_loss_pct", "7.5", "5")
    assert (view.unit, view.bounds) == (STOP_LOSS_PCT.unit, STOP_LOSS_PCT.bounds)
    assert view.sentence == STOP_LOSS_PCT.sentence
    assert not view.is_default


async def test_a_stored_default_is_a_default(settings: Settings, rows: FakeSettingRows) -> None:
    rows.stored["signal_interval_minutes"] = 30

    assert (await settings.view("signal_interval_minutes")).is_default


async def test_all_settings_are_shown_in_the_tables_order(settings: Settings) -> None:
    views = await settings.all()

    assert [view.key for view in views] == list(TABLE)
    assert all(view.is_default for view in views)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("stop_los_pct", "did you mean stop_loss_pct"),
        ("Min_Confidence", "did you mean min_confidence"),
        ("leverage", "see docs/settings.md"),
        ("x" * 100_000, "see docs/settings.md"),
    ],
)
async def test_an_unknown_setting_is_refused_with_the_nearest_name(
    settings: Settings, name: str, hint: str
) -> None:
    with pytest.raises(UnknownSetting, match=hint) as refusal:
        await settings.view(name)

    assert len(str(refusal.value)) < 150


async def test_the_price_table_is_typed_when_it_comes_from_the_rows(
    settings: Settings, rows: FakeSettingRows
) -> None:
    rows.stored["price_table"] = PRICE_TABLE.dump(PRICE_TABLE.default[:2])

    assert await settings.get(PRICE_TABLE) == PRICE_TABLE.default[:2]
