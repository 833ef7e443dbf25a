import asyncio
import logging
import sys
import threading
import warnings

import psycopg2.errors
import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadStatusLine
from aiohttp.pytest_plugin import AiohttpServer
from loguru import logger

from service.ops.logs.stdlib import LEVELS
from tests.fakes.logs import Logs


def test_a_library_logs_through_the_one_sink(logs: Logs) -> None:
    logging.getLogger("some.library").warning("%s of {} %%", 3)

    (line,) = logs.lines
    assert (line["level"], line["message"]) == ("WARNING", "3 of {} %")
    assert (line["logger"], line["event"]) == ("some.library", "app")


def test_arguments_that_do_not_fit_still_make_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    # Inside the test: pytest's own handler, which would raise, joins the root after fixtures.
    with Logs.captured() as logs:
        logging.getLogger("x").warning("%d items", "many")

    assert logs.messages == ["%d items (its arguments do not fit)"]
    assert capsys.readouterr().err == ""


def test_a_level_of_a_librarys_own_is_kept(logs: Logs) -> None:
    logging.addLevelName(25, "NOTICE")

    logging.getLogger("x").log(25, "noted")

    assert logs.levels == ["Level 25"]


@pytest.mark.parametrize("name", ["aiohttp.access", "backoff"])
def test_loggers_that_print_what_we_log_ourselves_are_off(logs: Logs, name: str) -> None:
    logging.getLogger(name).critical("x")

    assert logs.lines == []


@pytest.mark.parametrize("name", [name for name, at in LEVELS.items() if at == logging.WARNING])
def test_chatty_libraries_are_heard_from_warning_up(logs: Logs, name: str) -> None:
    logging.getLogger(f"{name}.client").info("HTTP Request: GET https://x/?key=abc")
    logging.getLogger(f"{name}.client").warning("trouble")

    assert logs.messages == ["trouble"]


def test_a_warning_becomes_a_line(logs: Logs) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)  # pytest's recorder stands in between
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)

    (line,) = logs.lines
    assert line["level"] == "WARNING"
    assert line["logger"] == "py.warnings"
    assert "DeprecationWarning: old thing" in line["message"]


async def test_a_request_that_is_not_http_is_a_warning_without_a_traceback(logs: Logs) -> None:
    error = BadStatusLine("\x16\x03\x01 gibberish")

    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=error)

    (line,) = logs.lines
    assert (line["level"], line["message"]) == ("WARNING", "a request was not HTTP: BadStatusLine")
    assert "traceback" not in line


async def test_gibberish_on_a_real_socket_is_no_error(
    logs: Logs, aiohttp_server: AiohttpServer
) -> None:
    server = await aiohttp_server(web.Application())
    reader, writer = await asyncio.open_connection(server.host, server.port)

    writer.write(b"\x16\x03\x01 gibberish\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), timeout=5)
    writer.close()
    await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.0 400")
    assert "ERROR" not in logs.levels


async def test_a_cancelled_statement_is_not_told_past_its_caller(logs: Logs) -> None:
    error = psycopg2.errors.QueryCanceled("canceling statement due to statement timeout")

    # What aiopg does beside telling its caller, who gets StoreTimeout.
    asyncio.get_running_loop().call_exception_handler({"message": "ERROR: …", "exception": error})

    assert logs.lines == []


async def test_another_error_nobody_waits_for_is_still_told(logs: Logs) -> None:
    error = psycopg2.OperationalError("server closed the connection")

    asyncio.get_running_loop().call_exception_handler({"message": "lost", "exception": error})

    assert [(line["level"], line["error_type"]) for line in logs.lines] == [
        ("ERROR", "OperationalError")
    ]


def test_an_error_in_a_thread_becomes_a_line(
    logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("in a thread")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    assert [(line["level"], line["error"]) for line in logs.lines] == [("ERROR", "in a thread")]
    assert capsys.readouterr().err == ""


def test_the_error_that_ends_the_process_becomes_a_line(logs: Logs) -> None:
    error = ValueError("the end")

    sys.excepthook(ValueError, error, None)

    assert [(line["level"], line["error"]) for line in logs.lines] == [("CRITICAL", "the end")]


def test_closing_gives_logging_back_as_it_was() -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)

    with Logs.captured():
        assert root.handlers[:] != before[0]

    assert (root.handlers[:], root.level, sys.excepthook, threading.excepthook) == before
    assert logging.getLogger("aiohttp.access").level == logging.NOTSET
    assert not logging.getLogger("aiohttp.server").filters
    assert not logging.getLogger("asyncio").filters


def test_closing_after_somebody_removed_all_sinks_is_fine() -> None:
    with Logs.captured():
        logger.remove()
