"""`trader check` against a real database, and a real exchange and model on loopback."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.app.check import document, findings
from service.app.checks.finding import CheckResult
from service.config import Config, Mode
from service.sandbox.faults import Faults
from service.sandbox.options import SandboxOptions
from service.sandbox.server import Sandbox, open_sandbox
from service.store.database.dsn import connect, parameters

CANARY = "canary-7f3a9e51c04d"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with open_sandbox(SandboxOptions()) as sandbox:
        yield sandbox


def a_config(tmp_path: Path, **overrides: Any) -> Config:
    given: dict[str, Any] = {"data_dir": tmp_path / "var", "port": 0}
    return Config(**given | overrides)


def pointed_at(sandbox: Sandbox, tmp_path: Path, **overrides: Any) -> Config:
    given: dict[str, Any] = {
        "mode": Mode.LIVE,
        "upbit_base_url": sandbox.upbit_url,
        "upbit_access_key": sandbox.access_key,
        "upbit_secret_key": sandbox.secret_key,
        "gemini_base_url": sandbox.gemini_url,
        "gemini_api_key": CANARY,
        "alert_urls": "json://127.0.0.1/",
        "admin_token": "a-token-of-many-letters",
    }
    return a_config(tmp_path, **given | overrides)


async def found(config: Config) -> dict[str, CheckResult]:
    return {finding.item: finding for finding in await findings(config)}


def script(faults: Faults, path: str, *, status: int, body: Any, **more: Any) -> None:
    fault = {"method": "GET", "path": path, "status": status, "body": json.dumps(body), **more}
    faults.add_json(json.dumps([fault]).encode())


async def test_everything_at_hand_is_ok(sandbox: Sandbox, tmp_path: Path, dsn: str) -> None:
    seen = await found(pointed_at(sandbox, tmp_path, database_url=dsn))

    not_ok = {item for item, finding in seen.items() if finding.level != "ok"}
    assert not_ok - {"disk"} == {"upbit key rights"}
    assert "PostgreSQL 18" in seen["database"].text
    assert "none to come" in seen["migrations"].text
    assert "gemini-" in seen["gemini"].text
    assert "in 36" in seen["upbit key expiry"].text


async def test_no_secret_is_printed_in_either_form(
    sandbox: Sandbox, tmp_path: Path, dsn: str
) -> None:
    config = pointed_at(sandbox, tmp_path, database_url=dsn, admin_token=CANARY + "t")

    seen = await findings(config)

    for text in ("\n".join(f.line for f in seen), json.dumps(document(seen))):
        for secret in (sandbox.access_key, sandbox.secret_key, CANARY, dsn):
            assert secret not in text


async def test_the_json_form_says_the_same(tmp_path: Path) -> None:
    seen = await findings(a_config(tmp_path, candles=tmp_path / "nowhere.json"))

    told = document(seen)

    assert told["ok"] is False
    assert [(f["level"], f["item"]) for f in told["findings"]] == [(f.level, f.item) for f in seen]
    assert all(f["text"] for f in told["findings"])


async def test_our_own_sandbox_is_said_to_be_it_and_nothing_is_made(tmp_path: Path) -> None:
    seen = await found(a_config(tmp_path))

    assert seen["upbit"].text == "own sandbox"
    assert seen["gemini"].text == "own stand-in"
    assert "made at the first start" in seen["database"].text
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - in a coroutine, where Path is told off


async def test_a_wrong_secret_is_a_failure_with_its_remedy(
    sandbox: Sandbox, tmp_path: Path, dsn: str
) -> None:
    seen = await found(pointed_at(sandbox, tmp_path, database_url=dsn, upbit_secret_key=CANARY * 3))

    assert seen["upbit"].level == "ok"
    assert seen["upbit key"].line == (
        "FAIL upbit key: Upbit refused: jwt_verification; check UPBIT_SECRET_KEY"
    )
    assert seen["upbit key expiry"].level == "warn"


async def test_a_key_that_ends_soon_and_a_clock_that_is_off_are_told(
    sandbox: Sandbox, tmp_path: Path, dsn: str
) -> None:
    ends_at = (datetime.now(UTC) + timedelta(days=5)).isoformat()
    body = [{"access_key": sandbox.access_key, "expire_at": ends_at}]
    for path in ("/v1/api_keys", "/v1/accounts", "/v1/market/all"):
        answer = body if path == "/v1/api_keys" else []
        late = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
        script(sandbox.faults, path, status=200, body=answer, headers=late)

    seen = await found(pointed_at(sandbox, tmp_path, database_url=dsn))

    assert seen["upbit key expiry"].level == "warn"
    assert "ahead" in seen["upbit clock"].text
    assert seen["upbit clock"].level == "FAIL"
    assert "KRW-BTC" in seen["upbit"].text


async def test_a_model_that_is_not_there_and_a_key_that_is_not_taken_are_failures(
    sandbox: Sandbox, tmp_path: Path, dsn: str
) -> None:
    config = pointed_at(sandbox, tmp_path, database_url=dsn)
    route = "/v1/models/gemini-3.8-flash"
    error = {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}}
    script(sandbox.faults, route, status=403, body=error, times=1)

    refused = (await found(config))["gemini"]
    script(sandbox.faults, route, status=404, body={"error": {"code": 404}}, times=1)
    unknown = (await found(config))["gemini"]

    assert (refused.level, unknown.level) == ("FAIL", "FAIL")
    assert "GEMINI_API_KEY" in refused.line
    assert "ai_model" in unknown.line


async def test_the_model_that_is_set_is_the_one_asked_for(
    sandbox: Sandbox, tmp_path: Path, dsn: str
) -> None:
    connection = connect(parameters(dsn))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO system_configs (key, value, updated_by, updated_at)"
            " VALUES ('ai_model', '\"gemini-set\"', 'test', now())"
        )
    connection.close()

    seen = await found(pointed_at(sandbox, tmp_path, database_url=dsn))

    assert "gemini-set" in seen["gemini"].text


async def test_a_database_of_another_mode_is_a_failure(
    sandbox: Sandbox, tmp_path: Path, dsn: str
) -> None:
    connection = connect(parameters(dsn))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trading_state SET mode = 'sandbox'")
    connection.close()

    seen = await found(pointed_at(sandbox, tmp_path, database_url=dsn))

    assert seen["database"].level == "FAIL"
    assert "sandbox mode's orders" in seen["database"].text


async def test_what_is_to_come_is_told_and_is_no_failure(tmp_path: Path, empty_dsn: str) -> None:
    seen = await found(a_config(tmp_path, database_url=empty_dsn))

    assert seen["database"].level == "ok"
    assert "to come" in seen["migrations"].text


async def test_an_embedded_server_is_started_asked_and_stopped_again(open_folder: Any) -> None:
    from service.store.embedded.server import EmbeddedPostgres  # noqa: PLC0415 - used here only
    from service.store.migrations.migrate import migrate, migrations_folder  # noqa: PLC0415 - as above

    folder = open_folder()
    server = EmbeddedPostgres(folder / "postgres")
    await asyncio.to_thread(server.start)
    unused = await found(Config(data_dir=folder, port=0))
    await asyncio.to_thread(server.ensure_database, "trader_sandbox")
    await asyncio.to_thread(migrate, server.dsn("trader_sandbox"), migrations_folder())
    shared = await found(Config(data_dir=folder, port=0))
    await asyncio.to_thread(server.stop)
    alone = await found(Config(data_dir=folder, port=0))

    assert "has not used it yet" in unused["database"].text
    assert "PostgreSQL 18" in shared["database"].text
    assert shared["database"] == alone["database"]
    assert "none to come" in alone["migrations"].text
    assert not (folder / "postgres" / "cluster" / "postmaster.pid").exists()


async def test_an_address_for_alerts_that_cannot_be_used_is_a_failure(tmp_path: Path) -> None:
    seen = await found(a_config(tmp_path, alert_urls=f"slak://{CANARY}/b/c"))

    assert seen["alerts"].level == "FAIL"
    assert CANARY not in seen["alerts"].line
