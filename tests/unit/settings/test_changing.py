"""Settings as they are changed: all or nothing, and heard at once."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from service.domain.errors import InvalidSetting, StoreDown, UnknownSetting
from service.ports.settings import SettingChange, SharedRule
from service.ports.store import JSON
from service.settings.settings import Settings
from service.settings.table import (
    MARKETS,
    MAX_POSITION_PCT,
    MIN_CONFIDENCE,
    POSITION_SIZE_MAX_PCT,
    TABLE,
    TRADING_ENABLED,
)
from tests.builders import T0
from tests.fakes.clock import FakeClock
from tests.fakes.setting_rows import FakeSettingRows

if TYPE_CHECKING:
    from loguru import Record


async def test_the_next_read_after_a_change_returns_the_new_value(
    settings: Settings, rows: FakeSettingRows
) -> None:
    await settings.get(MIN_CONFIDENCE)

    await settings.change({"min_confidence": 0.7}, by="admin", request_id="r-1")

    assert await settings.get(MIN_CONFIDENCE) == Decimal("0.7")
    assert rows.request_ids == ["r-1"]


async def test_a_change_says_who_when_the_old_and_the_new(settings: Settings) -> None:
    await settings.change({"min_confidence": "0.7"}, by="admin")

    changes = await settings.change({"min_confidence": 0.80}, by="operator")

    assert changes == (
        SettingChange(
            key="min_confidence", old="0.7", new="0.8", changed_by="operator", changed_at=T0
        ),
    )


async def test_the_old_value_of_a_setting_never_stored_is_its_default(settings: Settings) -> None:
    (moved,) = await settings.change({"min_confidence": "0.7"}, by="admin")
    (off,) = await settings.change({"take_profit_pct": 5}, by="admin")
    (kept,) = await settings.change({"stop_loss_pct": 5}, by="admin")

    assert (moved.old, moved.new) == ("0.6", "0.7")
    assert (off.old, off.new) == (None, "5")
    assert (kept.old, kept.new) == ("5", "5"), "a later default does not replace it"


@pytest.mark.parametrize("same", [0.7, "0.7", "0.70"])
async def test_the_same_value_in_other_words_is_no_change(settings: Settings, same: JSON) -> None:
    await settings.change({"min_confidence": "0.7"}, by="admin")

    assert await settings.change({"min_confidence": same}, by="admin") == ()


async def test_each_change_is_logged_with_who_and_what(
    settings: Settings, logs: list["Record"]
) -> None:
    await settings.change({"trading_enabled": True, "markets": ["KRW-BTC"]}, by="admin")

    lines = [r["extra"] for r in logs if r["message"] == "setting changed"]
    assert lines == [
        {"event": "app", "setting": "markets", "by": "admin", "value": '["KRW-BTC"]'},
        {"event": "app", "setting": "trading_enabled", "by": "admin", "value": True},
    ]


async def test_nothing_is_stored_when_one_of_many_is_wrong(
    settings: Settings, rows: FakeSettingRows
) -> None:
    values: Mapping[str, JSON] = {
        "trading_enabled": True,
        "min_confidence": 2,
        "markets": ["KRW-BTC"],
        "stop_loss_pct": None,
    }

    with pytest.raises(InvalidSetting) as refusal:
        await settings.change(values, by="admin")

    assert str(refusal.value) == (
        "min_confidence takes a number from 0 to 1, at most 4 decimals; "
        "stop_loss_pct takes a number from 0.1 to 50, at most 4 decimals"
    )
    assert rows.stored == {}
    assert rows.history == []


async def test_nothing_is_stored_when_one_of_many_is_unknown(
    settings: Settings, rows: FakeSettingRows
) -> None:
    with pytest.raises(UnknownSetting, match="did you mean min_confidence"):
        await settings.change({"trading_enabled": True, "min_confidense": 0.7}, by="admin")

    assert rows.stored == {}


async def test_nothing_asked_is_nothing_changed(settings: Settings, rows: FakeSettingRows) -> None:
    assert await settings.change({}, by="admin") == ()


@pytest.mark.parametrize(
    ("stored", "values", "low", "high"),
    [
        ({}, {"position_size_min_pct": 4}, "position_size_min_pct", "position_size_max_pct"),
        ({}, {"position_size_max_pct": 21}, "position_size_max_pct", "max_position_pct"),
        ({}, {"max_position_pct": 2}, "position_size_max_pct", "max_position_pct"),
        (
            {"position_size_min_pct": "2.5"},
            {"position_size_max_pct": 2},
            "position_size_min_pct",
            "position_size_max_pct",
        ),
        (
            {},
            {"position_size_min_pct": 30, "position_size_max_pct": 30},
            "position_size_max_pct",
            "max_position_pct",
        ),
    ],
)
async def test_sizes_that_would_cross_are_refused_by_both_names(
    stored: dict[str, JSON], values: dict[str, JSON], low: str, high: str
) -> None:
    rows = FakeSettingRows(stored)

    with pytest.raises(InvalidSetting, match=f"{low} must not exceed {high}"):
        await Settings(rows, FakeClock()).change(values, by="admin")

    assert rows.stored == stored


async def test_sizes_that_would_cross_one_by_one_may_move_together(
    settings: Settings, rows: FakeSettingRows
) -> None:
    values = {"position_size_min_pct": 30, "position_size_max_pct": 40, "max_position_pct": 50}

    await settings.change(values, by="admin")

    assert rows.stored == {name: str(value) for name, value in values.items()}


async def test_equal_sizes_are_allowed(settings: Settings) -> None:
    values = {"position_size_min_pct": 20, "position_size_max_pct": 20}

    assert len(await settings.change(values, by="admin")) == 2


async def test_sizes_are_compared_with_the_rows_and_not_with_the_cache(
    settings: Settings, rows: FakeSettingRows
) -> None:
    assert await settings.get(MAX_POSITION_PCT) == 20
    rows.stored["max_position_pct"] = "5"  # another process, its notification still on the way

    with pytest.raises(InvalidSetting, match="max_position_pct: 10 > 5"):
        await settings.change({"position_size_max_pct": 10}, by="admin")


async def test_of_two_changes_that_fit_only_alone_one_is_refused(
    settings: Settings, rows: FakeSettingRows
) -> None:
    rows.stored["position_size_max_pct"] = "10"

    outcomes = await asyncio.gather(
        settings.change({"position_size_min_pct": 8}, by="one"),
        settings.change({"position_size_max_pct": 5}, by="other"),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [tuple, InvalidSetting]


async def test_sizes_that_cross_already_do_not_stand_in_the_way_of_other_keys() -> None:
    rows = FakeSettingRows({"position_size_min_pct": "9", "position_size_max_pct": "2"})
    settings = Settings(rows, FakeClock())

    await settings.change({"min_confidence": "0.7"}, by="admin")
    await settings.change({"max_position_pct": "30"}, by="admin")
    await settings.change({"position_size_min_pct": "1"}, by="admin")

    assert rows.stored["position_size_min_pct"] == "1"


async def test_a_change_whose_answer_was_lost_is_still_seen(
    settings: Settings, rows: FakeSettingRows
) -> None:
    assert await settings.get(TRADING_ENABLED) is False
    rows.lose = StoreDown("PostgreSQL dropped the connection")

    with pytest.raises(StoreDown):
        await settings.change({"trading_enabled": True}, by="admin")

    assert await settings.get(TRADING_ENABLED) is True


async def test_a_change_that_failed_changes_nothing_and_does_not_block_the_next(
    settings: Settings, rows: FakeSettingRows
) -> None:
    rows.fail = StoreDown("PostgreSQL does not answer")

    with pytest.raises(StoreDown):
        await settings.change({"trading_enabled": True}, by="admin")

    assert await settings.get(TRADING_ENABLED) is False
    assert len(await settings.change({"trading_enabled": True}, by="admin")) == 1


async def test_a_change_that_is_cancelled_after_its_commit_is_still_seen() -> None:
    rows = _StuckAfterCommit()
    settings = Settings(rows, FakeClock())
    await settings.get(TRADING_ENABLED)
    change = asyncio.create_task(settings.change({"trading_enabled": True}, by="admin"))
    await rows.committed.wait()

    change.cancel()
    await asyncio.wait({change})

    assert change.cancelled()
    assert await settings.get(TRADING_ENABLED) is True


async def test_a_read_that_began_before_a_change_does_not_keep_the_old_value(
    settings: Settings, rows: FakeSettingRows
) -> None:
    go = rows.hold()
    early = asyncio.create_task(settings.get(MIN_CONFIDENCE))
    await rows.waiting.wait()

    await settings.change({"min_confidence": "0.9"}, by="admin")
    during = await settings.get(MIN_CONFIDENCE)
    go.set()

    assert await early == Decimal("0.6")
    assert during == Decimal("0.9")
    assert await settings.get(MIN_CONFIDENCE) == Decimal("0.9")


async def test_seeding_leaves_alone_what_the_operator_has_stored(
    settings: Settings, rows: FakeSettingRows
) -> None:
    rows.stored["trading_enabled"] = False
    await settings.get(MARKETS)

    changes = await settings.seed({"trading_enabled": True, "markets": ["KRW-ETH"]}, by="start")

    assert [change.key for change in changes] == ["markets"]
    assert await settings.get(TRADING_ENABLED) is False
    assert [str(market) for market in await settings.get(MARKETS)] == ["KRW-ETH"]


async def test_a_seed_that_would_cross_a_stored_size_is_refused() -> None:
    rows = FakeSettingRows({"max_position_pct": "5"})
    settings = Settings(rows, FakeClock())

    with pytest.raises(InvalidSetting, match="10 > 5"):
        await settings.seed({"position_size_max_pct": 10, "max_position_pct": 50}, by="start")


async def test_a_seed_is_checked_like_any_value(settings: Settings) -> None:
    with pytest.raises(InvalidSetting):
        await settings.seed({"trading_enabled": "yes"}, by="start")


async def test_every_default_can_be_stored_as_it_is_shown(
    settings: Settings, rows: FakeSettingRows
) -> None:
    shown = {view.key: view.default for view in await settings.all()}

    await settings.change(shown, by="admin")

    assert rows.stored.keys() == TABLE.keys()
    assert all(view.is_default for view in await settings.all())
    assert await settings.get(POSITION_SIZE_MAX_PCT) == Decimal(3)


class _StuckAfterCommit(FakeSettingRows):
    """Stores, and never comes back to say so."""

    def __init__(self) -> None:
        super().__init__()
        self.committed = asyncio.Event()

    async def change(
        self,
        values: Mapping[str, JSON],
        *,
        defaults: Mapping[str, JSON],
        by: str,
        at: datetime,
        request_id: str | None,
        only_absent: bool = False,
        rule: SharedRule | None = None,
    ) -> tuple[SettingChange, ...]:
        await super().change(
            values,
            defaults=defaults,
            by=by,
            at=at,
            request_id=request_id,
            only_absent=only_absent,
            rule=rule,
        )
        self.committed.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")
