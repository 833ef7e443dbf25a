"""A setting in words: sentence, unit, what it takes, default, and whether anything acts on it."""

from dataclasses import replace
from typing import Final

from service.cli.setting_texts import line, mark, name_and_value, words
from service.settings.settings import SettingView

STOP_LOSS: Final = SettingView(
    key="stop_loss_pct",
    value="5",
    default="5",
    unit="%",
    sentence="The loss at which a position is sold.",
    bounds="a number",
    is_default=True,
    in_effect=False,
)
CHANGED: Final = replace(STOP_LOSS, value="7", is_default=False, in_effect=True)


def test_a_default_has_no_mark_and_is_not_told_twice() -> None:
    assert mark(STOP_LOSS) == " "
    assert name_and_value(STOP_LOSS) == 'stop_loss_pct\n"5"'


def test_a_changed_setting_has_a_mark_and_shows_its_default() -> None:
    assert mark(CHANGED) == "*"
    assert name_and_value(CHANGED) == 'stop_loss_pct\n"7"\ndefault "5"'
    assert line(CHANGED) == (
        '* stop_loss_pct = "7"  (default "5")  [%; a number]  The loss at which a position is sold.'
    )


def test_a_setting_that_nothing_acts_on_says_so() -> None:
    note = "(nothing acts on this setting in this version)"

    assert words(STOP_LOSS).splitlines() == [
        "The loss at which a position is sold.",
        "Unit: %. Takes a number.",
        note,
    ]
    assert line(STOP_LOSS).endswith(f"  {note}")
    assert note not in words(CHANGED) + line(CHANGED)


def test_a_setting_without_a_unit_has_no_empty_place_for_it() -> None:
    bare = replace(STOP_LOSS, unit="")

    assert "[a number]" in line(bare)
    assert "Unit" not in words(bare)


def test_a_long_value_is_cut_in_the_table_and_whole_in_the_line() -> None:
    long = replace(STOP_LOSS, value=["KRW-BTC"] * 20)

    assert name_and_value(long).endswith(" …")
    assert len(name_and_value(long)) < 90
    assert line(long).count("KRW-BTC") == 20
