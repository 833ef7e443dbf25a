"""The whole service in the test's own process, with its API on a port of loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from service import config as configuration
from service.app.serve import SERVICES, build_app
from service.app.services import Services
from service.web.server import ApiRunner


@dataclass(frozen=True, slots=True)
class Composed:
    services: Services
    client: aiohttp.ClientSession

    @property
    def exchange_url(self) -> str:
        """Where the sandbox exchange is, with its control."""
        upbit: Any = self.services.ports.exchange
        return str(upbit._client._exchange_url)

    async def get(self, path: str) -> Any:
        async with self.client.get(path) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    async def exposed(self) -> dict[tuple[str, ...], float]:
        """Return the samples of /metrics by name and label values."""
        async with self.client.get("/metrics") as answer:
            families = text_string_to_metric_families(await answer.text())
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }

    async def post(self, path: str, **body: object) -> Any:
        async with self.client.post(path, json=body) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    async def change(self, key: str, value: object) -> None:
        async with self.client.patch(f"/api/v1/config/{key}", json={"value": value}) as answer:
            assert answer.ok, await answer.text()


@asynccontextmanager
async def composed(folder: Path, dsn: str, **options: Any) -> AsyncIterator[Composed]:
    """Open everything that `trader run` opens, with a sandbox of its own."""
    config = configuration.load(
        mode="sandbox", database_url=dsn, data_dir=folder / "var", port=0, **options
    )
    runner = ApiRunner(build_app(config))
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(address) as client:
            yield Composed(runner.app[SERVICES], client)
    finally:
        await runner.cleanup()
