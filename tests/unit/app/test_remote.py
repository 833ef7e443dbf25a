"""`trader jobs` against what may answer: one sentence, and the token goes nowhere else."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from service import cli

JOB = {
    "name": "collect_market_data", "period_s": 10.0, "enabled": True, "running": False,
    "last_start_at": None, "last_success_at": "2026-01-24T09:00:00.000Z", "last_failure_at": None,
    "last_duration_ms": 3.0, "next_run_at": None, "consecutive_failures": 2, "runs": 1,
    "skipped": 0, "restarts": 1, "last_error": "StoreDown",
}  # fmt: skip


SYSTEM: dict[str, Any] = {
    "cpu": {"count": 2, "used_pct": 12.5, "process_pct": 3.1, "load_1m": 0.4, "load_5m": 0.3,
            "load_15m": 0.2},
    "memory": {"total_bytes": 8 * 2**30, "available_bytes": 2**30, "used_pct": 87.5,
               "process_bytes": 2**28},
    "disk": {"total_bytes": 40 * 2**30, "free_bytes": 10 * 2**30, "used_pct": 75.0,
             "status": "warning"},
    "files": {"open": 41, "limit": 1024}, "event_loop_lag_s": 0.003, "age_seconds": 4.2,
    "version": "1.2.3", "python": "3.13.5", "mode": "paper", "time": "2026-01-24T09:00:00.000Z",
    "uptime_seconds": 3723, "pool": {"size": 4, "free": 3, "max": 10, "waiting": 0},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("TRADER_", "UPBIT_", "GEMINI_", "DATABASE_URL")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class Trader:
    """`trader jobs …`, or another group, where errors become sentences."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.group = "jobs"

    def __call__(self, *arguments: str, **variables: str) -> tuple[object, str, str]:
        """Return exit code, stdout and stderr."""
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        self._monkeypatch.setattr("sys.argv", ["trader", self.group, *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self._capsys.readouterr()
        return ended.value.code, out, err


@pytest.fixture
def trader(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trader:
    return Trader(monkeypatch, capsys)


class Service:
    """Gives everybody the same answer and remembers the questions."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.port = address.rpartition(":")[2]
        self.asked: list[tuple[str, str, str | None]] = []


@contextmanager
def answering(body: object, *, status: int = 200, **headers: str) -> Iterator[Service]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.asked.append((self.command, self.path, self.headers.get("Authorization")))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET  # noqa: N815 - its name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        service = Service(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


def problem(detail: str) -> dict[str, Any]:
    return {"type": "urn:trader:problem:x", "title": "No", "detail": detail, "request_id": "r-1"}


def test_the_list_is_a_table_with_a_line_for_each_job(trader: Trader) -> None:
    items = [JOB, JOB | {"name": "other", "enabled": False}, JOB | {"name": "x", "running": True}]
    with answering({"items": items, "next_cursor": None}) as service:
        code, out, err = trader("list", TRADER_PORT=service.port)

    assert (code, err) == (0, "")
    titles, *rows = out.splitlines()
    assert " ".join(titles.split()) == ("name period state last success next run failures restarts")
    assert [row.split()[:4] for row in rows] == [
        ["collect_market_data", "10", "s", "waiting"],
        ["other", "10", "s", "off"],
        ["x", "10", "s", "running"],
    ]
    assert "2 StoreDown" in rows[0]


def test_the_json_forms_are_the_services_own_answers(trader: Trader) -> None:
    page = {"items": [JOB], "next_cursor": None}
    with answering(page) as service:
        _, listed, _ = trader("list", "--json", TRADER_PORT=service.port)
    with answering(JOB, status=202) as service:
        _, ran, _ = trader("run", "collect_market_data", "--json", TRADER_PORT=service.port)

    assert (json.loads(listed), json.loads(ran)) == (page, JOB)
    assert (listed.count("\n"), ran.count("\n")) == (1, 1)


def test_a_refusal_leaves_standard_output_empty_in_the_json_form_too(trader: Trader) -> None:
    with answering(problem("a viewer may look"), status=403) as service:
        code, out, err = trader("list", "--json", TRADER_PORT=service.port)

    assert (code, out) == (2, "")
    assert err.endswith("says no (403): a viewer may look\n")


def test_a_pass_is_asked_for_with_the_admins_token(trader: Trader) -> None:
    with answering(JOB, status=202) as service:
        code, out, _ = trader(
            "run",
            "collect_market_data",
            TRADER_PORT=service.port,
            TRADER_ADMIN_TOKEN="an-admins-token",
        )

    assert (code, out) == (0, "collect_market_data: accepted; starts now\n")
    assert service.asked == [
        ("POST", "/api/v1/admin/jobs/collect_market_data/run", "Bearer an-admins-token")
    ]


def test_an_alert_is_acknowledged_by_its_id(trader: Trader) -> None:
    alert = {"id": 17, "acknowledged_by": "admin@127.0.0.1"}
    trader.group = "alert"
    with answering(alert) as service:
        said = trader("acknowledge", "17", TRADER_PORT=service.port)
        _, out, _ = trader("acknowledge", "17", "--json")

    assert said == (0, "17: acknowledged by admin@127.0.0.1; its end is still told\n", "")
    assert json.loads(out) == alert
    assert service.asked[0][:2] == ("POST", "/api/v1/alerts/17/acknowledge")


@pytest.mark.parametrize("alert_id", ["0", "-1", "seven", "1/../2", ""])
def test_what_is_no_id_of_an_alert_is_not_sent(trader: Trader, alert_id: str) -> None:
    trader.group = "alert"
    with answering({}) as service:
        code, out, err = trader("acknowledge", "--", alert_id, TRADER_PORT=service.port)

    assert (code, out, service.asked) == (2, "", [])
    assert err.count("\n") == 1


def test_a_viewers_token_is_enough_to_look_and_not_sent_to_change(trader: Trader) -> None:
    with answering({"items": []}) as service:
        trader("list", TRADER_PORT=service.port, TRADER_VIEWER_TOKEN="viewer-token-123")
        trader("run", "x")

    assert [token for _, _, token in service.asked] == ["Bearer viewer-token-123", None]


def test_a_name_cannot_lead_to_another_address(trader: Trader) -> None:
    with answering(JOB) as service:
        trader("run", "../../config/reset?x=#", TRADER_PORT=service.port)

    (asked,) = service.asked
    assert asked[1] == "/api/v1/admin/jobs/..%2F..%2Fconfig%2Freset%3Fx%3D%23/run"


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, problem("this token is not known here"), "set TRADER_ADMIN_TOKEN here as well"),
        (403, problem("a viewer may look"), "says no (403): a viewer may look"),
        (404, problem("there is no job 'x'; there is a, b"), "there is no job 'x'; there is a, b"),
        (409, problem("another process trades"), "says no (409): another process trades"),
        (404, b"<html>", "answers 404: is that the trader service?"),
        (200, b"<html>", "is not this service"),
        (200, [], "is not this service"),
        (200, {}, "is not this service"),
    ],
)
def test_a_no_is_one_sentence(trader: Trader, status: int, body: object, sentence: str) -> None:
    with answering(body, status=status) as service:
        code, out, err = trader("run", "x", TRADER_PORT=service.port)

    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_nobody_there_is_one_sentence_with_the_remedy(trader: Trader) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        code, out, err = trader("list", TRADER_PORT=str(port))

    assert (code, out) == (2, "")
    assert f"Nobody answers at http://127.0.0.1:{port}" in err
    assert "start the service" in err


def test_the_token_follows_no_redirect(trader: Trader) -> None:
    with (
        answering({"items": []}) as elsewhere,
        answering(b"", status=307, Location=f"{elsewhere.address}/") as service,
    ):
        code, _, err = trader(
            "list", TRADER_PORT=service.port, TRADER_ADMIN_TOKEN="an-admins-token"
        )

    assert code == 2
    assert "answers 307" in err
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://192.0.2.1:8080", "plain http is for this machine only"),
        ("file:///etc/passwd", "write a whole address"),
        ("127.0.0.1:8080", "write a whole address"),
        ("http://127.0.0.1:99999", "write a whole address"),
        ("http://me:pw@127.0.0.1", "write a whole address"),
    ],
)
def test_the_token_goes_to_no_odd_address(trader: Trader, url: str, sentence: str) -> None:
    code, _, err = trader("list", "--url", url, TRADER_ADMIN_TOKEN="an-admins-token")

    assert code == 2
    assert sentence in err


def test_any_free_port_is_no_address_to_ask_at(trader: Trader) -> None:
    code, _, err = trader("list", TRADER_PORT="0")

    assert (code, err) == (
        2,
        "TRADER_PORT=0 takes any free port: name the service's with --url\n",
    )


# --- the machine ---------------------------------------------------------------------------------


@pytest.fixture
def trader_system(trader: Trader) -> Trader:
    trader.group = "system"
    return trader


def test_the_machine_is_printed_with_a_line_for_each_part(trader_system: Trader) -> None:
    with answering(SYSTEM) as service:
        code, out, err = trader_system(TRADER_PORT=service.port, TRADER_VIEWER_TOKEN="v" * 40)

    assert (code, err) == (0, "")
    assert service.asked == [("GET", "/api/v1/admin/system", f"Bearer {'v' * 40}")]
    assert [line.rstrip() for line in out.splitlines()] == [
        "item                   found",
        "service                1.2.3, paper, Python 3.13.5",
        "time                   2026-01-24T09:00:00.000Z, up 1:02:03",
        "cpu                    12.5 % of 2, load 0.4 0.3 0.2",
        "cpu of the service     3.1 % of one",
        "memory                 87.5 % of 8.00 GiB",
        "memory of the service  0.25 GiB",
        "disk of the data       warning, 75.0 % of 40.00 GiB, 10.00 GiB free",
        "open files             41 of 1024",
        "event loop lag         0.003 s",
        "database connections   4 of 10, 3 free, 0 waiting",
        "age of the numbers     4.2 s",
    ]


def test_the_json_form_of_the_machine_is_the_services_own_answer(trader_system: Trader) -> None:
    with answering(SYSTEM) as service:
        _, out, _ = trader_system("--json", TRADER_PORT=service.port)

    assert json.loads(out) == SYSTEM


@pytest.mark.parametrize("body", [[], SYSTEM | {"disk": 3}, SYSTEM | {"cpu": {"count": 2}}])
def test_an_answer_about_another_machine_is_said_to_be_none_of_ours(
    trader_system: Trader, body: object
) -> None:
    with answering(body) as service:
        code, out, err = trader_system(TRADER_PORT=service.port)

    assert (code, out) == (2, "")
    assert "is not this service" in err
