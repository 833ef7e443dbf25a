"""Tables fit a terminal of any width and any script; a pipe gets plain lines and whole JSON."""

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from service.cli.output import Column, Table, plain_lines, print_json, print_table, printable
from tests.unit.cli.conftest import Main, Terminal

COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
KOREAN: Final = "매수 신호를 기다리는 중입니다"
LEVELS: Final = Table(
    columns=(
        Column(title="level", styles={"FAIL": "bold red"}),
        Column(title="count", is_number=True),
        Column(title="found"),
    ),
    rows=(("ok", "7", KOREAN * 4), ("FAIL", "1,000", "[bold]not markup[/bold] [1]")),
)


def columns_of(line: str) -> int:
    return cell_len(COLOURS.sub("", line))


# --- a terminal ----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [30, 80, 200])
def test_no_line_is_wider_than_the_terminal(terminal: Terminal, columns: int) -> None:
    with terminal.shown(columns=columns) as lines:
        print_table(LEVELS)

    assert max(map(columns_of, lines)) <= columns


@pytest.mark.parametrize("columns", [30, 80])
def test_a_narrow_terminal_loses_no_character(terminal: Terminal, columns: int) -> None:
    with terminal.shown(columns=columns) as lines:
        print_table(LEVELS)

    shown = COLOURS.sub("", "".join(lines))
    assert shown.count("매") == shown.count("다") / 2 == 4
    assert "…" not in shown


def test_levels_are_coloured_and_values_are_no_markup(terminal: Terminal) -> None:
    with terminal.shown(columns=80) as lines:
        print_table(LEVELS)

    (failed,) = [line for line in lines if "FAIL" in line]
    assert "\x1b[1;31mFAIL" in failed
    assert "[bold]not markup[/bold] [1]" in failed


def test_a_terminal_that_can_do_nothing_gets_plain_lines(terminal: Terminal) -> None:
    with terminal.shown(columns=30, kind="dumb") as lines:
        print_table(LEVELS)

    assert lines == [*plain_lines(LEVELS)]


def test_help_is_drawn_on_a_terminal(main: Main, terminal: Terminal) -> None:
    with terminal.shown(columns=80) as lines:
        code = main.ended("settings", "-h")

    assert code == 0
    assert any("╭" in line for line in lines)


# --- a pipe --------------------------------------------------------------------------------------


def test_a_pipe_gets_a_line_for_each_row_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(LEVELS)

    titles, first, second = capsys.readouterr().out.splitlines()
    assert titles == "level  count  found"
    assert first == f"ok         7  {KOREAN * 4}"
    assert second == "FAIL   1,000  [bold]not markup[/bold] [1]"


def test_columns_after_hangul_stand_below_each_other() -> None:
    table = Table(
        columns=(Column(title="name"), Column(title="state")), rows=(("가격", "on"), ("xy", "off"))
    )

    assert [*plain_lines(table)] == ["name  state", "가격  on", "xy    off"]


def test_a_cell_of_two_lines_is_one_plain_line() -> None:
    table = Table(
        columns=(Column(title="name"), Column(title="state")), rows=(("a\nb", "on"), ("abcd", ""))
    )

    assert [*plain_lines(table)] == ["name  state", "a\ufffdb   on", "abcd"]


def test_help_in_a_pipe_has_neither_boxes_nor_colours(main: Main) -> None:
    code, out, _ = main("export", "--help")

    assert code == 0
    assert out.isascii()
    assert "\x1b" not in out


@given(st.text())
def test_no_text_steers_the_terminal_or_breaks_its_line(text: str) -> None:
    shown = printable(text)

    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert "\x9b" not in shown


def test_what_steers_is_replaced_on_every_way_out(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(columns=(Column(title="job"),), rows=(("a\x1b]0;x\x07b\rc",),))

    with terminal.shown(columns=80) as drawn:
        print_table(table)
    print_table(table)
    print_table(table, plain=[table.rows[0][0]])

    plain = capsys.readouterr().out
    assert plain.count("a\ufffd]0;x\ufffdb\ufffdc") == 2
    assert any("a\ufffd]0;x\ufffdb\ufffdc" in line for line in drawn)


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "form"), [("utf-8", KOREAN), ("ascii", "\\ub9e4"), ("latin-1", "\\ub9e4")]
)
def test_json_is_whole_in_every_encoding(
    monkeypatch: pytest.MonkeyPatch, encoding: str, form: str
) -> None:
    document = {"note": KOREAN, "sign": "🚀"}
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))

    print_json(document)
    sys.stdout.flush()

    assert json.loads(raw.getvalue()) == document
    assert form in raw.getvalue().decode(encoding)
    assert raw.getvalue().count(b"\n") == 1


def test_a_locale_without_hangul_does_not_end_the_command(
    main: Main, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setenv("TRADER_CANDLES", "시세.json")
    monkeypatch.setenv("TRADER_PORT", "0")

    assert main.ended("check") == 2
    assert b"\\uc2dc\\uc138.json" in raw.getvalue()


def test_a_reader_that_has_gone_is_no_error_of_the_command(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    with os.fdopen(writing_end, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)

        assert main.ended("version") == 141
