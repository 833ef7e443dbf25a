"""A running service checks itself, and can be checked while it runs."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.e2e.processes import Program, SandboxProgram, Service


async def test_a_key_that_ends_soon_is_in_the_log_and_in_health_and_the_check_agrees(
    folder: Path,
) -> None:
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        ends_at = (datetime.now(UTC) + timedelta(days=9)).isoformat()
        keys = [{"access_key": sandbox.ready_line["access_key"], "expire_at": ends_at}]
        fault = {"method": "GET", "path": "/v1/api_keys", "status": 200, "body": json.dumps(keys)}
        await sandbox.ask("POST", "/__sandbox__/faults", [fault])
        async with Service(folder / "s", **sandbox.for_service()) as service:
            await service.ready()
            body = await service.until(
                "/health/detailed",
                lambda body: body["components"]["upbit_api"]["reason"] == "key_expiring",
            )
            port = service.address.rpartition(":")[2]
            variables = service.variables | {"TRADER_PORT": port}
            async with Program(folder / "c", "check", **variables) as check:
                code = await check.ended()
        told = [line for line in service.lines() if line.get("check") == "upbit key expiry"]

    lines = check.out.read_text().splitlines()
    assert body["status"] == "degraded"
    assert [line["level"] for line in told] == ["WARNING"]
    assert code == 0, lines
    assert [line[:4] for line in lines if " upbit key expiry: " in line] == ["warn"]
    assert any("held by a running service of ours" in line for line in lines)
    assert any("PostgreSQL" in line and line.startswith("ok   database") for line in lines)
    secrets = (sandbox.ready_line["access_key"], sandbox.ready_line["secret_key"])
    for output in (check.out, check.err, service.out, service.err):
        assert not any(secret in output.read_text() for secret in secrets)


async def test_a_fresh_start_in_the_sandbox_finds_nothing_but_room(folder: Path) -> None:
    os.mkdir(folder / "var", 0o755)  # noqa: PTH102 - in a coroutine, where Path is told off
    async with Service(folder) as service:
        await service.ready()
        code = await service.stop()

    found = {line["check"] for line in service.lines() if "check" in line}
    assert code == 0
    assert found <= {"disk"}, "a disk may be full; the rest is as it should be"
