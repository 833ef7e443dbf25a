"""The command line: one sentence on stderr and exit code 2; a health check that trusts nobody."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner, Result

from service import __version__, cli
from tests.unit.cli.conftest import Main

COMMANDS: Final = (
    "run",
    "check",
    "migrate",
    "sandbox",
    "healthcheck",
    "system",
    "stats",
    "export",
    "verify",
    "backup",
    "restore",
    "halt",
    "resume",
    "flatten",
    "version",
    "settings",
    "order",
    "alert",
    "jobs",
)


def trader(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(cli.app, arguments, env=variables)


# --- what needs no service -----------------------------------------------------------------------


@pytest.mark.parametrize("word", ["version", "--version"])
def test_version_prints_the_version_and_nothing_else(word: str) -> None:
    result = trader(word)

    assert (result.exit_code, result.stdout) == (0, f"{__version__}\n")


def test_version_as_json_is_one_document() -> None:
    assert json.loads(trader("version", "--json").stdout) == {"version": __version__}


def test_help_names_every_command() -> None:
    result = trader("--help")

    assert result.exit_code == 0
    for command in COMMANDS:
        assert command in result.stdout


def test_without_a_command_the_help_is_shown() -> None:
    result = trader()

    assert "Usage:" in result.output


def test_an_unknown_command_or_option_ends_with_2(main: Main) -> None:
    assert main("serve")[0] == 2
    assert main("run", "--prot", "1")[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("check",),
        ("migrate",),
        ("sandbox",),
        ("healthcheck",),
        ("system",),
        ("halt", "why"),
        ("resume",),
        ("flatten", "--confirm", "FLATTEN"),
        ("jobs", "list"),
        ("jobs", "run", "collect_market_data"),
        ("settings", "list"),
        ("settings", "get", "min_confidence"),
        ("settings", "set", "min_confidence", "0.7"),
    ],
)
def test_a_wrong_variable_is_one_sentence_on_stderr_for_every_command(
    main: Main, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TRADER_PORT", "http")

    assert main(*arguments) == (2, "", "TRADER_PORT: write a whole number\n")


def test_every_wrong_variable_has_its_line(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADER_PROT", "1")
    monkeypatch.setenv("TRADER_SEED", "x")

    code, out, err = main("check")

    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "TRADER_PROT: no such variable; did you mean TRADER_PORT?",
        "TRADER_SEED: write a whole number",
    ]


def test_live_without_keys_does_not_start(main: Main) -> None:
    code, _, err = main("run", "--mode", "live")

    assert code == 2
    assert err == "TRADER_MODE=live needs UPBIT_ACCESS_KEY, UPBIT_SECRET_KEY, GEMINI_API_KEY\n"


# --- check -------------------------------------------------------------------------------------


def a_free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def test_check_prints_every_variable_and_hides_the_secrets() -> None:
    result = trader("check", TRADER_PORT=str(a_free_port()), GEMINI_API_KEY="canary-7f3a9e51c04d")

    assert result.exit_code == 0, result.output
    assert "ok   TRADER_MODE: sandbox" in result.stdout
    assert "ok   GEMINI_API_KEY: set (hidden)" in result.stdout
    assert "ok   UPBIT_ACCESS_KEY: not set" in result.stdout
    assert "canary" not in result.output


def test_check_touches_nothing(folder: Path) -> None:
    trader("check", TRADER_PORT=str(a_free_port()))

    assert list(folder.iterdir()) == []


def test_check_fails_on_a_taken_port_and_a_missing_candle_file() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        result = trader("check", TRADER_PORT=str(port), TRADER_CANDLES="nowhere.json")

    assert result.exit_code == 2
    failed = [line for line in result.stdout.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 2
    assert f"Port {port} on 127.0.0.1 is taken" in failed[0]
    assert "nowhere.json does not exist" in failed[1]


def test_what_a_command_logs_is_masked_json_on_stderr(folder: Path) -> None:
    rows = [
        {
            "market": "KRW-BTC",
            "candle_date_time_utc": f"2026-01-24T09:0{minute}:00",
            "opening_price": 100,
            "high_price": 100,
            "low_price": 100,
            "trade_price": 100,
            "candle_acc_trade_volume": 1,
        }
        for minute in (0, 1, 5)
    ]
    (folder / "c.json").write_text(json.dumps(rows))

    result = trader("check", TRADER_PORT=str(a_free_port()), TRADER_CANDLES="c.json")

    (line,) = result.stderr.splitlines()
    assert json.loads(line)["message"] == "the candle file has gaps: nothing trades in them"
    assert "ok   candle file: 3 candles" in result.stdout


def test_check_of_a_database_that_is_down_hides_its_password() -> None:
    result = trader(
        "check",
        TRADER_PORT=str(a_free_port()),
        DATABASE_URL=f"postgresql://me:canary-7f3a@127.0.0.1:{a_free_port()}/x",
    )

    assert result.exit_code == 2
    assert "FAIL database: " in result.stdout
    assert "canary" not in result.output


# --- healthcheck ---------------------------------------------------------------------------------


@contextmanager
def answering(body: bytes, *, status: int = 200) -> Iterator[str]:
    """Serve the same answer to everybody, on loopback; yield the address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    asked: list[str] = []
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
    assert set(asked) <= {"/health/detailed"}


@pytest.mark.parametrize("status", ["healthy", "degraded"])
def test_a_service_that_answers_200_is_well(status: str) -> None:
    with answering(f'{{"status": "{status}", "components": {{}}}}'.encode()) as address:
        result = trader("healthcheck", "--url", address)

    assert (result.exit_code, result.stdout) == (0, f"{status}\n")


def test_an_address_may_end_in_a_slash() -> None:
    with answering(b'{"status": "healthy"}') as address:
        result = trader("healthcheck", "--url", f"{address}/")

    assert result.exit_code == 0, result.output


def test_503_is_unhealthy() -> None:
    with answering(b'{"status": "unhealthy", "components": {}}', status=503) as address:
        result = trader("healthcheck", "--url", address)

    assert result.exit_code == 1
    assert result.stdout.endswith(": HTTP Error 503: Service Unavailable\n")


def test_nobody_there_is_unhealthy() -> None:
    result = trader("healthcheck", "--url", f"http://127.0.0.1:{a_free_port()}")

    assert result.exit_code == 1
    assert "Connection refused" in result.stdout


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"', b"{}", b"null", b"\xff\xfe"])
def test_an_answer_that_is_not_ours_is_unhealthy(body: bytes) -> None:
    with answering(body) as address:
        result = trader("healthcheck", "--url", address)

    assert result.exit_code == 1, result.exception
    assert result.stdout.startswith("unhealthy: ")


def test_the_json_form_is_the_services_own_answer() -> None:
    told = {"status": "degraded", "components": {"store": {"note": "느림"}}}
    with answering(json.dumps(told).encode()) as address:
        result = trader("healthcheck", "--json", "--url", address)

    assert (result.exit_code, json.loads(result.stdout)) == (0, told)


def test_the_json_form_of_a_503_says_what_is_wrong_and_ends_with_1() -> None:
    told = {"status": "unhealthy", "components": {"store": {"status": "unhealthy"}}}
    with answering(json.dumps(told).encode(), status=503) as address:
        result = trader("healthcheck", "--json", "--url", address)

    assert (result.exit_code, json.loads(result.stdout)) == (1, told)


@pytest.mark.parametrize(("body", "status"), [(b"", 200), (b"<html>", 503), (b"[]", 503)])
def test_without_an_answer_of_ours_the_json_form_has_a_status_too(body: bytes, status: int) -> None:
    with answering(body, status=status) as address:
        result = trader("healthcheck", "--json", "--url", address)

    told = json.loads(result.stdout)
    assert (result.exit_code, told["status"]) == (1, "unhealthy")
    assert told["error"].startswith(f"{address}/health/detailed: ")


def test_silence_is_unhealthy() -> None:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        result = trader(
            "healthcheck",
            "--url",
            f"http://127.0.0.1:{listening.getsockname()[1]}",
            "--timeout",
            "0.05",
        )

    assert result.exit_code == 1
    assert "timed out" in result.stdout


def test_it_asks_where_the_service_is_configured_to_be() -> None:
    with answering(b'{"status": "healthy"}') as address:
        port = address.rpartition(":")[2]

        result = trader("healthcheck", TRADER_PORT=port, TRADER_HOST="0.0.0.0")

    assert result.exit_code == 0, result.output


def test_it_asks_no_proxy() -> None:
    proxy = f"http://127.0.0.1:{a_free_port()}"
    with answering(b'{"status": "healthy"}') as address:
        result = trader("healthcheck", "--url", address, http_proxy=proxy, HTTP_PROXY=proxy)

    assert result.exit_code == 0, result.output


def test_an_address_of_another_kind_is_refused(main: Main) -> None:
    code, _, err = main("healthcheck", "--url", "file:///etc/passwd")

    assert (code, err) == (2, "--url: write a whole address, like http://127.0.0.1:8080\n")


def test_an_address_with_a_password_is_refused_and_not_repeated(main: Main) -> None:
    code, out, err = main("healthcheck", "--url", "http://me:canary-7f3a@127.0.0.1:8080")

    assert code == 2
    assert "canary" not in out + err


# --- check, as one document ----------------------------------------------------------------------


def test_check_prints_one_json_document_when_asked_for() -> None:
    result = trader("check", "--json", TRADER_PORT=str(a_free_port()), TRADER_CANDLES="none.json")

    told = json.loads(result.stdout)
    assert result.exit_code == 2
    assert told["ok"] is False
    assert {"level": "ok", "item": "TRADER_MODE", "text": "sandbox", "remedy": None} in told[
        "findings"
    ]
    assert {f["level"] for f in told["findings"]} <= {"ok", "warn", "FAIL"}


# --- stats ---------------------------------------------------------------------------------------

PASS: Final = {
    "timestamp": "2026-01-24T09:00:00.000Z", "event": "job", "service": "upbit-ai-trader",
    "job": "collect_market_data", "run_id": "r", "duration_ms": 12.5, "success": True,
    "attempts": 1, "error": None,
}  # fmt: skip


def test_stats_needs_a_log_and_nothing_else(folder: Path) -> None:
    (folder / "t.log").write_text(json.dumps(PASS) + "\nnot ours\n")

    result = trader("stats", "--log", "t.log", TRADER_PORT="http")

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("2 lines read, 1 of them not of this service and left out; 1 ")
    assert lines[1:] == [
        "",
        "Jobs",
        "  job                  passes  success  p50 ms  p95 ms  p99 ms  max ms  mean ms",
        "  collect_market_data       1  100.00%  12.500  12.500  12.500  12.500   12.500",
        "",
    ]


def test_stats_reads_standard_input(folder: Path) -> None:
    line = json.dumps(PASS)

    result = CliRunner().invoke(cli.app, ["stats", "--log", "-", "--json"], input=line)

    assert json.loads(result.stdout)["jobs"][0]["p95_ms"] == 12.5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--log", "nowhere.log"), "--log: nowhere.log cannot be opened"),
        (("--log", "nowhere.log", "--since", "soon"), "--since: write an instant like"),
    ],
)
def test_stats_says_what_is_wrong(main: Main, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = main("stats", *arguments)

    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
