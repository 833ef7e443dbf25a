"""The line of a request, as the log's sink writes it."""

import pytest

from tests.fakes.logs import Logs
from tests.unit.web.world import Client, Serve, World

URL = "/api/v1/signals"
SECRET = "canary-viewer-token"


async def test_it_has_the_contracts_fields_and_its_own(logs: Logs, client: Client) -> None:
    written = len(logs.lines)

    answer = await client.get(f"{URL}/123456")

    (line,) = logs.of("http")
    assert list(line) == [
        "timestamp", "level", "event", "message", "service", "version", "mode", "instance",
        "boot_id", "seq", "method", "route", "status", "duration_ms", "bytes", "request_id",
        "error",
    ]  # fmt: skip
    assert line | {"timestamp": "", "boot_id": ""} == {
        "timestamp": "", "level": "INFO", "event": "http", "message": "request",
        "service": "upbit-ai-trader", "version": "0.0.0", "mode": "sandbox", "instance": "test",
        "boot_id": "", "seq": written + 1, "method": "GET", "route": "/api/v1/signals/{id}",
        "status": 404, "duration_ms": 0, "bytes": len(await answer.read()), "request_id": "r-1",
        "error": "NotFound",
    }  # fmt: skip


async def test_only_a_failure_of_our_own_is_an_error(
    logs: Logs, client: Client, world: World
) -> None:
    await client.get(URL)
    world.lists.fail = RuntimeError("a bug")
    await client.get(URL)

    assert [(line["status"], line["level"]) for line in logs.of("http")] == [
        (200, "INFO"),
        (500, "ERROR"),
    ]


@pytest.mark.proves("FR-011")
@pytest.mark.parametrize("text", [SECRET, f"x{SECRET}y"])
async def test_a_secret_that_a_client_sends_as_a_request_id_is_masked(
    serve: Serve, world: World, text: str
) -> None:
    with Logs.captured(secrets=[SECRET]) as logs:
        client = await serve(world)
        await client.get(URL, headers={"X-Request-ID": text})
        raw = logs.raw

    (line,) = logs.of("http")
    assert SECRET.encode() not in raw
    assert line["request_id"] == text.replace(SECRET, "***")
