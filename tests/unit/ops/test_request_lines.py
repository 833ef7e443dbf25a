"""The line of a request goes past loguru, into the same stream by the same rules."""

import asyncio
import itertools
import threading
from typing import Any, Final

import pytest
from loguru import logger

from service.ops.logs import formatter as lines
from service.ops.logs.setup import Log
from service.ops.logs.writer import LINES
from service.ports.requests import REQUEST, AnsweredRequest
from tests.fakes.logs import Logs
from tests.unit.ops.logs.test_writer import Pipe, explained

SECRET: Final = "canary-viewer-token"
ANSWERED: Final = AnsweredRequest(
    method="GET", route="/api/v1/signals/{id}", status=404, duration_ms=1.25, size=96,
    request_id="r-1", error="NotFound",
)  # fmt: skip


def requested(log: Log, **fields: Any) -> None:
    log.request(ANSWERED._replace(**fields))


def test_it_has_the_contracts_fields_and_its_own(logs: Logs) -> None:
    requested(logs.log)

    (line,) = logs.lines
    assert list(line) == [
        "timestamp", "level", "event", "message", "service", "version", "mode", "instance",
        "boot_id", "seq", "method", "route", "status", "duration_ms", "bytes", "request_id",
        "error",
    ]  # fmt: skip
    assert line | {"timestamp": "", "boot_id": ""} == {
        "timestamp": "", "level": "INFO", "event": "http", "message": "request",
        "service": "upbit-ai-trader", "version": "0.0.0", "mode": "sandbox", "instance": "test",
        "boot_id": "", "seq": 1, "method": "GET", "route": "/api/v1/signals/{id}", "status": 404,
        "duration_ms": 1.25, "bytes": 96, "request_id": "r-1", "error": "NotFound",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("level", "written"),
    [("DEBUG", [200, 500]), ("INFO", [200, 500]), ("WARNING", [500]), ("CRITICAL", [])],
)
def test_only_our_own_failures_are_more_than_info(level: str, written: list[int]) -> None:
    with Logs.captured(level=level) as logs:
        requested(logs.log, status=200)
        requested(logs.log, status=500)

    assert [line["status"] for line in logs.lines] == written
    assert {line["level"] for line in logs.lines if line["status"] == 500} <= {"ERROR"}


def test_it_shares_its_numbers_with_other_lines_of_any_thread(logs: Logs) -> None:
    def log_some() -> None:
        for _ in range(50):
            logger.info("another")
            requested(logs.log)

    threads = [threading.Thread(target=log_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [line["seq"] for line in logs.lines] == list(range(1, 401))


@pytest.mark.parametrize("field", ["method", "request_id"])
@pytest.mark.parametrize(
    "text", [SECRET, f"x{SECRET}y", "lone \ud800", 'quo"te\nline', "x" * 20_000]
)
def test_nothing_in_it_breaks_the_line_or_shows_a_secret(field: str, text: str) -> None:
    with Logs.captured(secrets=[SECRET]) as logs:
        requested(logs.log, **{field: text})
        raw = logs.raw

    (line,) = logs.lines
    assert SECRET.encode() not in raw
    assert raw.count(b"\n") == 1
    assert line["event"] == "http"


def test_one_that_cannot_be_made_is_an_error_with_the_next_number(logs: Logs) -> None:
    requested(logs.log, size=object())
    requested(logs.log)

    unmade, line = logs.lines
    assert unmade["level"] == "ERROR"
    assert unmade["message"] == "a log line could not be made"
    assert [unmade["seq"], line["seq"]] == [1, 2]


def test_what_is_logged_while_it_is_made_has_a_number_of_its_own(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, times = lines._now, itertools.count()

    def interrupted() -> str:
        if next(times) == 0:
            logger.warning("a destructor in mid-line")
        return now()

    monkeypatch.setattr(lines, "_now", interrupted)
    requested(logs.log)
    requested(logs.log)

    assert sorted(line["seq"] for line in logs.lines) == [1, 2, 3]


async def test_what_finds_no_room_is_told_where_it_is_missing() -> None:
    pipe = Pipe()
    for _ in range(LINES + 5_000):
        requested(pipe.log)
    dropped = pipe.log.dropped

    written = await asyncio.to_thread(pipe.finish)

    assert dropped > 0
    assert explained(written) == dropped


def test_the_request_a_task_works_for_is_named_in_its_lines(logs: Logs) -> None:
    token = REQUEST.set("r-7")
    logger.info("inside")
    logger.bind(request_id="r-8").info("bound")
    REQUEST.reset(token)
    logger.info("outside")

    assert [line.get("request_id") for line in logs.lines] == ["r-7", "r-8", None]
