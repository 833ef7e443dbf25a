"""`trader alert test`: what it prints, and what it never prints."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from service import cli
from service.config import Config
from service.domain.errors import ConfigError
from service.ops.logs.masking import Masker

CANARY = "canary-7f3a9e51c04d"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRADER_ALERT_URLS", raising=False)


@pytest.fixture
def hook() -> Iterator[str]:
    """A webhook in a thread of its own: the command brings its own loop. Yields host and port."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def alert_test(urls: str, *options: str) -> Result:
    arguments = ["alert", "test", *options]
    return CliRunner().invoke(cli.app, arguments, env={"TRADER_ALERT_URLS": urls})


def test_a_line_for_each_address_that_took_it(hook: str) -> None:
    result = alert_test(f"json://{hook}/{CANARY} json://{hook}")

    assert result.exit_code == 0, result.output
    assert result.stdout == f"ok     1:json://{hook}\nok     2:json://{hook}\n"


def test_one_that_fails_is_named_with_its_reason_and_ends_with_1(hook: str) -> None:
    result = alert_test(f"json://{hook} json://u:{CANARY}@127.0.0.1:1/{CANARY}")

    assert result.exit_code == 1
    assert result.stdout.splitlines()[1] == "FAILED 2:json://127.0.0.1:1 (refused)"
    assert CANARY not in result.output


def test_the_json_form_says_the_same_and_hides_the_same(hook: str) -> None:
    result = alert_test(f"json://{hook} json://u:{CANARY}@127.0.0.1:1/{CANARY}", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "items": [
            {"target": f"1:json://{hook}", "ok": True, "error": None},
            {"target": "2:json://127.0.0.1:1", "ok": False, "error": "refused"},
        ]
    }
    assert CANARY not in result.output


def test_a_bad_address_and_none_at_all_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, none = alert_test(f"foo://{CANARY}"), alert_test("")

    assert isinstance(bad.exception, ConfigError)
    assert "number 1 cannot be used" in str(bad.exception)
    assert str(none.exception) == "TRADER_ALERT_URLS is not set: nobody is told of anything"


def test_each_token_of_an_address_is_masked_wherever_it_turns_up() -> None:
    urls = f"json://127.0.0.1:8443/hooks, slack://T1JJ3T3L2/A1BRTD4JD/{CANARY}"
    config = Config(_env_file=None, alert_urls=SecretStr(urls))

    masker = Masker(config.secrets())

    shown = masker.text(f"POST https://example.com/services/T1JJ3T3L2/x/{CANARY} from 127.0.0.1")
    assert shown == "POST https://example.com/services/***/x/*** from 127.0.0.1"
