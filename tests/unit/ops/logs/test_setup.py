import io
import json
import logging
import re
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from service.ops.logs.formatter import LONGEST_LINE
from service.ops.logs.masking import Masker
from service.ops.logs.patcher import EVENTS, MaskingPatcher
from service.ops.logs.setup import configure
from service.ports.requests import REQUEST
from tests.fakes.logs import Logs


def test_a_line_is_one_flat_json_object_with_the_contracts_fields(logs: Logs) -> None:
    logger.bind(event="job", job="collect_market_data", attempts=1, error=None).info("pass")

    (line,) = logs.lines
    assert list(line) == [
        "timestamp", "level", "event", "message", "service", "version", "mode", "instance",
        "boot_id", "seq", "job", "attempts", "error",
    ]  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    assert line | {"timestamp": "", "boot_id": ""} == {
        "timestamp": "", "level": "INFO", "event": "job", "message": "pass",
        "service": "upbit-ai-trader", "version": "0.0.0", "mode": "sandbox", "instance": "test",
        "boot_id": "", "seq": 1, "job": "collect_market_data", "attempts": 1, "error": None,
    }  # fmt: skip


def test_lines_are_numbered_without_a_gap_from_many_threads(logs: Logs) -> None:
    def log_some() -> None:
        for n in range(50):
            logger.bind(n=n).info("from a thread")

    threads = [threading.Thread(target=log_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [line["seq"] for line in logs.lines] == list(range(1, 401))


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_a_bound_event_becomes_the_lines_event(logs: Logs, event: str) -> None:
    logger.bind(event=event).info("x")

    assert [line["event"] for line in logs.lines] == [event]


@pytest.mark.parametrize("event", ["metric", 7, None, ["app"]])
def test_an_event_outside_the_contract_is_no_event(logs: Logs, event: object) -> None:
    logger.bind(event=event).info("x")

    (line,) = logs.lines
    assert line["event"] == "app"
    assert line["x_event"] == event


def test_a_bound_value_cannot_pose_as_a_field_of_the_contract(logs: Logs) -> None:
    logger.bind(level="DEBUG", seq=99, mode="live", timestamp="x", message="y").error("z")

    (line,) = logs.lines
    assert (line["level"], line["seq"], line["mode"], line["message"]) == (
        "ERROR", 1, "sandbox", "z",
    )  # fmt: skip
    assert (line["x_level"], line["x_seq"], line["x_mode"], line["x_message"]) == (
        "DEBUG", 99, "live", "y",
    )  # fmt: skip


def test_an_exception_is_told_by_type_text_and_traceback(logs: Logs) -> None:
    try:
        raise ValueError("no such thing")  # noqa: TRY301 - it is the traceback we look at
    except ValueError:
        logger.bind(error="bound").exception("it failed")

    (line,) = logs.lines
    assert line["error_type"] == "ValueError"
    assert line["error"] == "no such thing"
    assert line["traceback"].startswith("Traceback (most recent call last)")
    assert "test_setup.py" in line["traceback"]
    assert line["x_error"] == "bound"


def test_logging_an_exception_when_there_is_none_writes_a_line(logs: Logs) -> None:
    logger.exception("nothing failed")

    assert logs.messages == ["nothing failed"]
    assert "error_type" not in logs.lines[0]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("never")


def test_an_exception_that_cannot_be_printed_writes_a_line(
    logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.opt(exception=Unspeakable()).error("it failed")

    assert logs.lines[0]["error"] == "<unprintable Unspeakable>"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines\r\n",
        "tab\tnul\0",
        "\x1b[31mred",
        "lone \ud800",
        "line sep \u2028 \u2029 \x85",
        "원화",
    ],
)
def test_no_text_breaks_a_line_in_two(logs: Logs, text: str) -> None:
    logger.bind(value=text, **{text: 1}).info(text)

    assert len(logs.raw.decode().splitlines()) == 1
    assert len(logs.lines) == 1


@pytest.mark.parametrize(
    "extra",
    [
        {"value": "x" * 1_000_000},
        {"value": "\0" * 100_000},
        {"value": "원" * 100_000},
        {f"value_{n}": "y" * 500 for n in range(500)},
        {"value": {str(n): "z" * 1000 for n in range(1000)}},
        {"k" * 100_000: 1},
    ],
    ids=["long", "escaped", "wide", "many", "nested", "name"],
)
def test_a_line_never_outgrows_what_runtimes_pass_on_whole(
    logs: Logs, extra: dict[str, Any]
) -> None:
    logger.bind(event="order", **extra).info("m" * 100_000)

    (line,) = logs.lines
    assert len(logs.raw) <= LONGEST_LINE + 1
    assert line["event"] == "order"
    assert line["seq"] == 1


def test_of_a_long_traceback_the_beginning_and_the_end_stay(logs: Logs) -> None:
    def deeper(n: int) -> None:
        if n == 0:
            raise ValueError("at the bottom")
        if n % 2:
            deeper(n - 1)
        else:  # two lines in turn: Python folds one repeated line by itself
            deeper(n - 1)

    try:
        deeper(200)
    except ValueError:
        logger.exception("deep")

    (line,) = logs.lines
    assert line["traceback"].startswith("Traceback")
    assert line["traceback"].rstrip().endswith("ValueError: at the bottom")
    assert "characters]" in line["traceback"]


def test_braces_in_a_bound_value_are_not_a_template(logs: Logs) -> None:
    logger.bind(body='{"a": 1} {} {x}').info("answer")

    assert logs.lines[0]["body"] == '{"a": 1} {} {x}'


def test_braces_in_a_message_without_arguments_are_not_a_template(logs: Logs) -> None:
    logger.info('{"a": 1} {}')

    assert logs.messages == ['{"a": 1} {}']


def test_braces_in_a_message_with_arguments_raise_in_the_callers_code(logs: Logs) -> None:
    # Loguru's trap, and why foreign text is bound and never a message.
    with pytest.raises(KeyError):
        logger.info('{"a": 1} {}', "x")

    assert logs.lines == []


def test_a_secret_put_together_by_formatting_is_masked() -> None:
    with Logs.captured(secrets=["first-half-second-half"]) as logs:
        logger.info("{}-second-half {k}", "first-half", k=1)

    assert logs.messages == ["*** 1"]


def test_what_is_below_the_level_is_not_written() -> None:
    with Logs.captured(level="WARNING") as logs:
        logger.info("quiet")
        logging.getLogger("x").info("quiet")
        logger.warning("loud")

    assert logs.messages == ["loud"]


def test_configuring_leaves_exactly_one_sink() -> None:
    elsewhere: list[str] = []
    logger.add(elsewhere.append)

    with Logs.captured() as logs:
        logger.info("once")

    assert logs.messages == ["once"]
    assert elsewhere == []


def test_context_is_part_of_the_line(logs: Logs) -> None:
    with logger.contextualize(request_id="r-1"):
        logger.info("inside")
    logger.info("outside")

    assert [line.get("request_id") for line in logs.lines] == ["r-1", None]


def test_the_request_a_task_works_for_is_named_in_its_lines(logs: Logs) -> None:
    token = REQUEST.set("r-7")
    logger.info("inside")
    logger.bind(request_id="r-8").info("bound")
    REQUEST.reset(token)
    logger.info("outside")

    assert [line.get("request_id") for line in logs.lines] == ["r-7", "r-8", None]


@pytest.mark.proves("FR-011")
def test_a_secret_in_the_name_of_the_request_is_masked() -> None:
    token = REQUEST.set("x-canary-secret")
    with Logs.captured(secrets=["canary-secret"]) as logs:
        logger.info("inside")
    REQUEST.reset(token)

    assert logs.lines[0]["request_id"] == "x-***"


def test_a_line_that_cannot_be_made_is_an_error_with_its_own_number(logs: Logs) -> None:
    logger.level("ODD \ud800", no=25)  # no UTF-8, so no JSON

    logger.log("ODD \ud800", "unmade")
    logger.info("made")

    unmade, line = logs.lines
    assert (unmade["level"], unmade["message"]) == ("ERROR", "a log line could not be made")
    assert [unmade["seq"], line["seq"]] == [1, 2]


def test_what_fails_while_it_is_masked_is_not_shown(logs: Logs) -> None:
    class Broken(Masker):
        def text(self, _: str) -> str:
            raise RuntimeError("no mask")

    logger.configure(patcher=MaskingPatcher(Broken()))

    logger.bind(note="canary").opt(exception=ValueError("canary")).info("canary")

    (line,) = logs.lines
    assert (line["message"], line["error_type"]) == ("a log line could not be made", "RuntimeError")
    assert b"canary" not in logs.raw


def test_closing_a_log_leaves_the_mask_of_the_one_that_replaced_it() -> None:
    replaced = configure(level="INFO", mode="sandbox", version="0", stream=io.BytesIO())
    with Logs.captured(secrets=["canary-secret"]) as logs:
        replaced.close()
        logger.info("canary-secret")

    assert logs.messages == ["***"]
    replaced.close()  # once more, because `logs` gave logging back to it


def test_decimals_keep_their_digits(logs: Logs) -> None:
    logger.bind(price=Decimal("100000000.10"), path=Path("a")).info("x")

    assert logs.lines[0]["price"] == "100000000.10"


def test_an_object_that_logs_while_it_is_printed_does_not_hang(logs: Logs) -> None:
    class Chatty:
        def __repr__(self) -> str:
            logger.info("inner")
            return "chatty"

    logger.bind(value=Chatty()).info("outer")

    assert sorted(logs.messages) == ["inner", "outer"]
    assert sorted(line["seq"] for line in logs.lines) == [1, 2]


def test_by_default_the_line_goes_to_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stdout)

    with configure(level="INFO", mode="live", version="1"):
        logger.info("x")

    line = json.loads(stdout.buffer.getvalue())
    assert (line["mode"], line["version"]) == ("live", "1")
    assert line["instance"]
