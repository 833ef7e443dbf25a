"""Health over HTTP: who sees what, and with which status."""

import pytest

from tests.fakes.health import a_component
from tests.unit.web.world import Client, Serve, World, a_config

BEHIND_A_PROXY = {"X-Forwarded-For": "192.0.2.7"}


async def test_alive_is_the_same_bytes_whatever_is_broken(client: Client, world: World) -> None:
    world.health.snapshot["status"] = "unhealthy"
    world.health.ready = False

    answer = await client.get("/health")

    assert answer.status == 200
    assert await answer.read() == b'{"status":"alive"}'
    assert answer.content_type == "application/json"


async def test_ready_is_503_until_traffic_may_come(client: Client, world: World) -> None:
    world.health.ready = False
    before = await client.get("/health/ready")
    world.health.ready = True
    after = await client.get("/health/ready")

    assert (before.status, await before.json()) == (503, {"status": "not_ready"})
    assert (after.status, await after.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize(
    ("status", "expected"), [("healthy", 200), ("degraded", 200), ("unhealthy", 503)]
)
async def test_only_unhealthy_is_a_503(
    client: Client, world: World, status: str, expected: int
) -> None:
    world.health.snapshot["status"] = status  # type: ignore[typeddict-item]

    answer = await client.get("/health/detailed")

    assert answer.status == expected
    assert (await answer.json())["status"] == status


async def test_details_are_the_whole_snapshot_for_this_machine(
    client: Client, world: World
) -> None:
    answer = await client.get("/health/detailed")

    assert await answer.json() == world.health.snapshot
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_stranger_sees_statuses_only(client: Client, world: World) -> None:
    world.health.snapshot["components"]["upbit_api"] = a_component(
        status="warning", reason="key_expiring", message="the key expires in 3 days"
    )

    answer = await client.get("/health/detailed", headers=BEHIND_A_PROXY)

    body = await answer.json()
    assert set(body) == {"status", "components"}
    assert body["components"]["upbit_api"] == {"status": "warning"}


async def test_a_token_shows_a_stranger_everything(world: World, serve: Serve) -> None:
    world.config = a_config(viewer_token="look-and-no-more")
    client = await serve(world)

    answer = await client.get(
        "/health/detailed",
        headers=BEHIND_A_PROXY | {"Authorization": "Bearer look-and-no-more"},
    )

    assert await answer.json() == world.health.snapshot


async def test_a_head_request_is_answered_without_a_body(client: Client) -> None:
    answer = await client.head("/health")

    assert answer.status == 200
    assert await answer.read() == b""
