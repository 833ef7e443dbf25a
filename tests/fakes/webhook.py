"""A webhook on loopback: it records its requests and sends scripted answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class Webhook:
    """Accepts the messages of apprise's json://.

    Attributes:
        got: bodies, in order.  paths: of the requests, in order.
        status, headers: of every answer.
        open: cleared, every answer waits until it is set.
    """

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.port = 0

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.port}/"

    @property
    def titles(self) -> list[str]:
        return [body["title"] for body in self.got]

    async def _answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        body = await request.json() if request.can_read_body else {}
        self.asked.set()
        await self.open.wait()
        if self.status < 300:
            self.got.append(body)
        return web.Response(status=self.status, headers=self.headers)


@asynccontextmanager
async def open_webhook() -> AsyncIterator[Webhook]:
    hook = Webhook()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook._answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        hook.port = runner.addresses[0][1]
        yield hook
    finally:
        hook.open.set()
        await runner.cleanup()
