"""Outputs of the process: log, answers, page. None may block it or contain a secret."""

import asyncio
import json
import os
import re
import shutil
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.fakes.webhook import Webhook, open_webhook
from tests.faults.amounts import amounts_of, bodies_that_are_shipped, planted, search
from tests.faults.conftest import Keeper, open_folder
from tests.faults.stack import PipedService, Stack, canary
from tests.faults.waits import until

CROWD = 500
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TEXTS = """
    SELECT table_name, column_name
      FROM information_schema.columns
     WHERE table_schema = 'public'
     ORDER BY table_name, ordinal_position
"""


TOLD = "SELECT title, body FROM alerts"


# --- F56: the reader of the log -------------------------------------------------------------------


async def _stuck(service: PipedService) -> None:
    """Wait until the pipe is full and stays so: the next write would block."""
    seen = [0]

    async def look() -> bool:
        seen.append(service.waiting())
        return seen[-1] == seen[-2] > PipedService.PIPE // 2

    await until(look, what="nobody can write to stdout any more")


async def _works(stack: Stack) -> None:
    """Ask until a job has run again, by what the service itself says."""
    job = "collect_market_data"

    def at(body: dict[str, Any]) -> str:
        last: str | None = body["components"]["scheduler"]["jobs"][job]["last_success_at"]
        return last or ""  # a service that has just started has none yet

    _, before = await stack.health()
    await stack.until_health(
        lambda code, body: code == 200 and at(body) > at(before), "jobs go on while stdout is stuck"
    )


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_f56_a_reader_of_the_log_that_stalls_or_goes_stops_nobody() -> None:
    folder = open_folder()
    async with Stack.opened(folder, kind=PipedService) as stack:
        service = stack.service
        assert isinstance(service, PipedService)

        await _stuck(service)
        await _works(stack)
        raw = bytearray()
        reader = threading.Thread(target=_read, args=(service.reading, raw, 200))
        reader.start()
        await asyncio.to_thread(reader.join, 60)
        await _stuck(service)
        service.tell(signal.SIGTERM)
        code = await service.ended()

        await stack.start_service()
        again = stack.service
        assert isinstance(again, PipedService)
        os.close(again.reading)
        await _works(stack)
        again.tell(signal.SIGTERM)
        code_again = await again.ended()
        said = again.stderr()
    shutil.rmtree(folder, ignore_errors=True)

    numbers = [int(n) for n in re.findall(rb'"seq":(\d+)', bytes(raw))]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "no line is missing"
    assert (code, code_again) == (0, 0)
    assert said.count("the log stream fails (BrokenPipeError)") == 1


def _read(pipe: int, raw: bytearray, lines: int) -> None:
    while raw.count(b"\n") < lines:
        raw += os.read(pipe, 4096)


# --- F58: the target of alerts --------------------------------------------------------------------


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_f58_an_alert_outlives_a_webhook_that_refuses_and_one_that_redirects() -> None:
    folder, token = open_folder(), canary("hook")
    async with open_webhook() as thief, open_webhook() as hook:
        urls = {"TRADER_ALERT_URLS": f"{hook.address}{token}"}
        async with Stack.opened(folder, **urls) as stack:
            stack.canaries.secrets["hook"] = token
            hook.status = 500
            await stack.change(alert_min_severity="warning")
            await stack.plan({"path": "*:generateContent", "status": 403})
            await until(partial(_asked, hook, 1), what="the webhook is asked")
            refused = len(hook.paths)
            hook.status, hook.headers = 307, {"Location": f"http://127.0.0.1:{thief.port}/"}
            await until(partial(_asked, hook, refused + 1), what="it is asked again")
            hook.status, hook.headers = 200, {}
            await until(partial(_nothing_waits, stack, "gemini"), what="the alert is delivered")
            await stack.clear_plan()
            await stack.until_healthy()
            await until(partial(_nothing_waits, stack, ""), what="the outbox is empty")
            sent = await stack.sql("SELECT title FROM alerts WHERE state = 'SENT'")
            await stack.until_balanced()
            told = stack.service.out.read_bytes() + stack.service.err.read_bytes()
    shutil.rmtree(folder, ignore_errors=True)

    assert thief.paths == [], "a redirect is not followed"
    assert len(hook.got) >= len(sent) > 0
    assert token.encode() not in told


async def _asked(hook: Webhook, times: int) -> bool:
    return len(hook.paths) >= times


async def _nothing_waits(stack: Stack, about: str) -> bool:
    """Whether what was told about `about` has been delivered, and something was."""
    rows = await stack.sql(f"SELECT state FROM alerts WHERE key LIKE '%{about}%'")
    return bool(rows) and all(row["state"] not in {"PENDING", "SENDING"} for row in rows)


# --- F63: a crowd ---------------------------------------------------------------------------------


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_f63_five_hundred_clients_at_once_get_answers_or_are_told_when_to_come_again(
    keeper: Keeper,
) -> None:
    """Slow bodies and slow readers come with the part that sheds load."""
    stack = await keeper.stack()
    headers = {"Authorization": f"Bearer {stack.canaries.secrets['viewer']}"}
    paths = ["/api/v1/signals?limit=100", "/api/v1/dashboard/summary", "/api/v1/trading/orders"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def visit(number: int) -> tuple[int, bool]:
            url = stack.service.address + paths[number % len(paths)]
            async with session.get(url, headers=headers) as answer:
                await answer.read()
                return answer.status, "Retry-After" in answer.headers

        answers = await asyncio.gather(*(visit(n) for n in range(CROWD)))

    await stack.until_healthy()
    statuses = Counter(status for status, _ in answers)
    print(f"F63 {CROWD} clients at once: {dict(statuses)}")  # noqa: T201
    assert set(statuses) <= {200, 503}
    assert statuses[200] > 0
    assert all(says_when for status, says_when in answers if status == 503)
    await stack.until_balanced()


# --- reasons that only a start can show -----------------------------------------------------------


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_a_service_that_starts_while_the_model_is_away_says_so() -> None:
    folder = open_folder()
    plan = [
        {"path": "*:generateContent", "status": 503},
        {"method": "GET", "path": "/v1/models/*", "delay_s": 3},
    ]
    async with Stack.opened(folder, plan=plan) as stack:
        _, first = await stack.health()
        part = first["components"]["gemini_api"]
        assert (part["status"], part["reason"]) == ("warning", "starting")
        await stack.until_health(
            lambda code, body: (
                code == 200
                and body["components"]["recent_signal"]["reason"] == "no_signal_yet"
                and body["status"] == "degraded"
            ),
            "an hour without a signal is told",
        )
        await stack.clear_plan()
        await stack.until_healthy()
        await stack.until_balanced()
    shutil.rmtree(folder, ignore_errors=True)


# --- F34: the page --------------------------------------------------------------------------------


@asynccontextmanager
async def _as_admin(stack: Stack) -> AsyncIterator[str]:
    """Yield an address that adds the token to whatever a browser asks."""

    async def passed_on(request: web.Request) -> web.Response:
        headers = {"Authorization": f"Bearer {stack.canaries.secrets['admin']}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(stack.service.address + request.path_qs, headers=headers) as answer,
        ):
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name in {"Content-Type", "Content-Security-Policy", "X-Content-Type-Options"}
            }
            return web.Response(body=await answer.read(), status=answer.status, headers=kept)

    app = web.Application()
    app.router.add_get("/{path:.*}", passed_on)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look at the page with")
async def test_f34_what_the_model_says_is_text_on_the_page_whatever_it_says(
    keeper: Keeper, tmp_path: Path
) -> None:
    stack = await keeper.stack()
    await stack.plan({"path": "*:generateContent", "model": "hostile"})
    await stack.service.until(
        "/api/v1/signals?limit=1",
        lambda page: any("<script>" in one["reasoning"] for one in page["items"]),
    )

    async with _as_admin(stack) as address:
        browser = await asyncio.create_subprocess_exec(
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
            f"--user-data-dir={tmp_path}", "--virtual-time-budget=4000", address,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        shown, _ = await browser.communicate()
    await stack.clear_plan()
    page = shown.decode()

    assert "&lt;script&gt;" in page, "the words themselves are shown"
    assert "<script>document" not in page
    assert "<img" not in page
    assert "<title>owned" not in page


# --- F64: secrets ---------------------------------------------------------------------------------


async def _dumped(stack: Stack) -> str:
    """Return every value of every table as text."""
    columns = await stack.sql(TEXTS)
    tables = sorted({row["table_name"] for row in columns})
    rows = [await stack.sql(f'SELECT t::text AS line FROM "{name}" AS t') for name in tables]
    return "\n".join(row["line"] for table in rows for row in table)


def _outputs(stack: Stack, dump: str) -> dict[str, bytes]:
    service = stack.service
    log = stack.postgres.log
    return {
        "stdout": service.out.read_bytes(),
        "stderr": service.err.read_bytes(),
        "arguments": (service.proc / "cmdline").read_bytes(),
        "tables": dump.encode(),
        "PostgreSQL's log": log.read_bytes(),
        **{f"answer {path}": body for path, body in service.bodies.items()},
    }


@pytest.mark.proves("S7.3", "FR-011")
@pytest.mark.timeout(600)
async def test_f64_no_secret_turns_up_in_any_output_and_the_search_would_find_it(
    keeper: Keeper,
) -> None:
    stack = await keeper.stack()
    await stack.change(max_orders_per_hour=11)
    await stack.service.ask("GET", "/api/v1/config/changes")
    outputs = _outputs(stack, await _dumped(stack))
    secrets = stack.canaries.secrets

    found = {
        f"{where}: {name}"
        for where, raw in outputs.items()
        for name, secret in secrets.items()
        if secret.encode() in raw
    }

    assert found | stack.service.hits == set()
    # The same search finds what is no secret: a request's id, and the words of each output.
    assert stack.canaries.marker.encode() in outputs["stdout"]
    assert stack.canaries.marker.encode() in outputs["tables"]
    assert b"max_orders_per_hour" in outputs["answer /api/v1/config/changes"]
    assert b"run" in outputs["arguments"]
    assert stack.service.address.encode() in outputs["stderr"]
    planted = {"planted": f"x{secrets['secret']}x".encode()}
    assert [name for name, raw in planted.items() if secrets["secret"].encode() in raw]


@pytest.mark.proves("FR-011", "S7.3")
@pytest.mark.timeout(600)
async def test_f64_no_balance_position_or_prompt_turns_up_outside_of_what_is_meant_to_show_it(
    keeper: Keeper,
) -> None:
    """S7.3, FR-011: the real amounts of a service that trades, and the words the model is told."""
    stack = await keeper.stack()
    await stack.service.until("/api/v1/trading/fills", lambda page: page["items"])
    await stack.service.until("/api/v1/portfolio/summary", lambda told: told["at"])
    # What goes wrong with an order says most: lines, and an alert.
    mark = stack.service.log.mark
    lost = {"method": "POST", "path": "/v1/orders", "drop_after": True, "times": 1}
    await stack.plan(lost)
    await stack.until_lines(
        mark,
        lambda lines: {line.get("status") for line in lines} >= {"UNKNOWN", "EXECUTED"},
        "an order of unknown outcome is settled",
    )
    await stack.clear_plan()
    for path in ("/metrics", "/health/detailed", "/api/v1/trading/balance"):
        await stack.service.ask("GET", path)
    amounts = await amounts_of(stack)
    every = _outputs(stack, await _dumped(stack))
    outputs = {
        **{name: every[name] for name in ("stdout", "stderr", "arguments", "PostgreSQL's log")},
        **bodies_that_are_shipped(stack.service.bodies),
        "alerts": json.dumps([stack.hook.got, await stack.sql(TOLD)]).encode(),
    }

    assert search(outputs, amounts) == set()
    # The same search where it must find something: in what is meant to show them, and planted.
    shows = {name: every[name] for name in ("tables", "answer /api/v1/trading/balance")}
    assert {hit.partition(":")[0] for hit in search(shows, amounts)} == set(shows)
    found = {hit.partition(":")[0] for hit in search(planted(amounts), amounts)}
    assert found == set(planted(amounts))
    assert {"answer /metrics", "answer /health/detailed"} <= set(outputs)
    assert b"may or may not be on the book" in outputs["alerts"]
    assert b'"UNKNOWN"' in outputs["stdout"]
