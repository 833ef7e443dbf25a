"""`trader halt`, `resume` and `flatten`: what they ask of the service, and what they print."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service import cli

HALTED: dict[str, Any] = {
    "state": "REDUCING",
    "reason": "by \x1b[2Jhand",
    "since": "2026-01-24T09:00:00.000Z",
    "stored": False,
    "halts": [{"state": "HALTED", "market": "KRW-ETH", "reason": "books"}],
    "flatten": {
        "running": True,
        "markets": [{"market": "KRW-BTC", "status": "DUST", "detail": "below the smallest order"}],
    },
}
Asked = list[tuple[str, Any]]


@contextmanager
def a_service(body: bytes) -> Iterator[tuple[str, Asked]]:
    """Answer each POST with `body`; yield the address and what was asked."""
    asked: Asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            assert self.headers["Content-Type"] == "application/json"
            asked.append((self.path, json.loads(self.rfile.read(length))))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def trader(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (("halt", "why"), "halt", {"reason": "why", "protection": True, "market": None}),
        (
            ("halt", "why", "--no-protection", "--market", "KRW-ETH"),
            "halt",
            {"reason": "why", "protection": False, "market": "KRW-ETH"},
        ),
        (("resume",), "resume", {"reasons": None}),
        (("resume", "--reason", "a", "--reason", "b"), "resume", {"reasons": ["a", "b"]}),
        (("flatten", "--confirm", "FLATTEN"), "flatten", {"markets": None, "confirm": "FLATTEN"}),
        (
            ("flatten", "--confirm", "FLATTEN", "--market", "KRW-BTC"),
            "flatten",
            {"markets": ["KRW-BTC"], "confirm": "FLATTEN"},
        ),
    ],
)
def test_a_command_asks_for_what_its_words_say(
    arguments: tuple[str, ...], path: str, body: dict[str, Any]
) -> None:
    with a_service(json.dumps(HALTED).encode()) as (address, asked):
        result = trader(*arguments, "--url", address)

    assert result.exit_code == 0, result.output
    assert asked == [(f"/api/v1/risk/{path}", body)]


def test_the_state_is_printed_with_each_halt_and_nothing_that_steers_a_terminal() -> None:
    with a_service(json.dumps(HALTED).encode()) as (address, _):
        result = trader("halt", "why", "--url", address)

    assert result.stdout.splitlines() == [
        "trading: REDUCING (by �[2Jhand)",
        "KRW-ETH: HALTED (books)",
        "KRW-BTC: DUST (below the smallest order)",
        "the database does not have every halt yet; the service writes it when it answers",
    ]


def test_the_json_form_is_the_services_own_answer() -> None:
    with a_service(json.dumps(HALTED).encode()) as (address, _):
        result = trader("resume", "--json", "--url", address)

    assert json.loads(result.stdout) == HALTED


def test_flatten_without_the_word_asks_nothing() -> None:
    with a_service(b"{}") as (address, asked):
        result = trader("flatten", "--url", address)

    assert result.exit_code == 2
    assert asked == []


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"<html>"])
def test_an_answer_that_is_not_ours_is_said_to_be_none(body: bytes) -> None:
    with a_service(body) as (address, _):
        result = trader("halt", "why", "--url", address)

    assert result.exit_code != 0
    assert "is not this service" in str(result.exception)
