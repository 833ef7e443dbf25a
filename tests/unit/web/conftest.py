"""The web room on its fakes, served on loopback."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from loguru import logger

from service.ports.requests import REQUEST
from service.web.server import ApiRunner
from tests.unit.web.world import Client, Serve, World

if TYPE_CHECKING:
    from loguru import Message


class AsInProduction(TestServer):
    """Runs with the production's runner."""

    async def _make_runner(self, **options: Any) -> web.BaseRunner:
        del options  # aiohttp's own for tests
        return ApiRunner(self.app)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start the web room on a world's fakes; closed after the test."""
    clients: list[Client] = []

    sinks: list[int] = []

    async def start(world: World) -> Client:
        sinks.append(logger.add(world.log, level="DEBUG", format=""))
        client: Client = TestClient(AsInProduction(world.app()))
        await world.lead()
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()
    for number in sinks:
        logger.remove(number)


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is logged during the test but lines of requests: message, level, exception, fields."""
    heard: list[dict[str, Any]] = []

    def hear(message: "Message") -> None:
        record = message.record
        if record["extra"].get("event") == "http":
            return
        fields: dict[str, Any] = {"message": record["message"], "level": record["level"].name}
        fields["request_id"] = REQUEST.get()
        heard.append(record["extra"] | fields | {"exception": record["exception"]})

    number = logger.add(hear, level="DEBUG", format="{message}")
    yield heard
    logger.remove(number)


@pytest.fixture
async def client(world: World, serve: Serve) -> Client:
    return await serve(world)
