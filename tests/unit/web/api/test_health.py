"""Health over HTTP: who sees what, and with which status."""

from typing import Literal

import pytest

from service.domain.errors import ExchangeUnavailable, StoreDown
from service.ops.health.monitor import HealthMonitor
from service.ops.health.probe import FAILURES
from tests.builders import a_config
from tests.unit.web.world import Client, Serve, World

BEHIND_A_PROXY = {"X-Forwarded-For": "192.0.2.7"}
Part = Literal["database", "upbit_api"]


def broken(health: HealthMonitor, part: Part) -> None:
    """Have `part` fail as often as makes it unhealthy."""
    down = StoreDown("no answer") if part == "database" else ExchangeUnavailable("no answer")
    for _ in range(FAILURES):
        health.heard_from(part, error=down)


async def test_alive_is_the_same_bytes_whatever_is_broken(client: Client, world: World) -> None:
    broken(world.bound.health, "database")
    assert not world.bound.health.is_ready()

    answer = await client.get("/health")

    assert answer.status == 200
    assert await answer.read() == b'{"status":"alive"}'
    assert answer.content_type == "application/json"


async def test_ready_is_503_until_traffic_may_come(client: Client, world: World) -> None:
    broken(world.bound.health, "database")
    before = await client.get("/health/ready")
    world.bound.health.proved("database")
    after = await client.get("/health/ready")

    assert (before.status, await before.json()) == (503, {"status": "not_ready"})
    assert (after.status, await after.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize(
    ("down", "status", "expected"),
    [(None, "healthy", 200), ("upbit_api", "degraded", 200), ("database", "unhealthy", 503)],
)
async def test_only_unhealthy_is_a_503(
    client: Client, world: World, down: Part | None, status: str, expected: int
) -> None:
    if down is not None:
        broken(world.bound.health, down)

    answer = await client.get("/health/detailed")

    assert answer.status == expected
    assert (await answer.json())["status"] == status


async def test_details_are_the_whole_snapshot_for_this_machine(
    client: Client, world: World
) -> None:
    answer = await client.get("/health/detailed")

    assert await answer.json() == world.bound.health.body()
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_stranger_sees_statuses_only(client: Client, world: World) -> None:
    world.bound.health.note("upbit_api", "key_expiring", holds=True)

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

    assert await answer.json() == world.bound.health.body()


async def test_a_head_request_is_answered_without_a_body(client: Client) -> None:
    answer = await client.head("/health")

    assert answer.status == 200
    assert await answer.read() == b""
