"""Lines for people at a terminal. FR-011 holds for them too."""

import io
import json
import os
import pty
import re

import pytest
from loguru import logger

from service.ops.logs.setup import LogFormat, configure
from tests.fakes.logs import Logs
from tests.unit.ops.test_canaries import DSN, KNOWN, ROUTES, Route, leaked, sing

COLOUR = re.compile(r"\x1b\[[0-9;]+m")


def on_a_terminal(form: LogFormat = "auto") -> str:
    """Return what a terminal is shown of one line."""
    terminal, process = pty.openpty()
    with (
        os.fdopen(process, "wb", buffering=0) as stream,
        configure(level="INFO", mode="sandbox", version="0", stream=stream, form=form) as log,
    ):
        logger.bind(event="job", job="send_alerts", run_id="r", error=None).warning("late")
        assert log.flush()
        shown = os.read(terminal, 65_536).decode()
    os.close(terminal)
    return shown


def test_a_terminal_is_shown_time_level_event_message_and_main_fields_in_colour() -> None:
    shown = on_a_terminal()

    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} WARNING  job    late job=send_alerts\r\n", COLOUR.sub("", shown)
    )
    assert "\x1b[33mWARNING" in shown


def test_with_no_color_it_is_text_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    shown = on_a_terminal()

    assert "WARNING  job    late" in shown
    assert "\x1b" not in shown


def test_a_terminal_gets_json_where_json_is_set() -> None:
    assert json.loads(on_a_terminal("json"))["message"] == "late"


def test_what_is_no_terminal_gets_json_of_itself() -> None:
    with Logs.captured(form="auto") as logs:
        logger.info("x")

    assert logs.messages == ["x"]


def test_text_can_be_set_for_a_pipe_and_has_no_colours() -> None:
    with Logs.captured(form="text") as logs:
        logger.bind(event="order", market="KRW-BTC", why="two words", n=1.5).info("moved")

    assert logs.raw.endswith(b' INFO     order  moved market=KRW-BTC why="two words" n=1.5\n')


@pytest.mark.parametrize(
    "text", ["\x1b[2Jgone", "two\nlines", "\x9b1A", "\u202eabc", "lone \ud800"]
)
def test_nothing_that_is_logged_steers_the_terminal(text: str) -> None:
    with Logs.captured(form="text") as logs:
        logger.bind(value=text, **{text: 1}).info(text)

    shown = logs.raw.decode()
    assert shown.count("\n") == 1
    assert shown[:-1].isprintable()


def test_a_traceback_stands_below_its_line() -> None:
    with Logs.captured(form="text") as logs:
        try:
            raise ValueError("no such thing")  # noqa: TRY301 - it is the traceback we look at
        except ValueError:
            logger.exception("it failed")

    first, *rest = logs.raw.decode().splitlines()
    assert first.endswith('it failed error_type=ValueError error="no such thing"')
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == "    ValueError: no such thing"


@pytest.mark.proves("S7.3", "FR-011")
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.__name__)
async def test_no_canary_leaves_in_a_text_line(route: Route) -> None:
    stream = io.BytesIO()
    with configure(
        level="DEBUG", mode="sandbox", version="0", stream=stream, form="text",
        secrets=[*KNOWN.values(), DSN],
    ):  # fmt: skip
        await sing(route)

    assert stream.getvalue()
    assert leaked(stream.getvalue()) == set()
