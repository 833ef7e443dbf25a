"""What health_cpu measures, each in a process of its own: `hello` or `house`."""

import asyncio
import sys

from aiohttp import web

from service.adapters.clock import SystemClock
from service.config import Config
from service.ops.meters import Meters
from service.web.body import MAX_BODY
from service.web.keys import CONFIG
from service.web.routes import setup


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


def build(kind: str) -> web.Application:
    app = web.Application(client_max_size=MAX_BODY)
    if kind == "house":
        app[CONFIG] = Config(_env_file=None)
        setup(app, requests=Meters(SystemClock()).requests)
    else:
        app.router.add_get("/health", hello)
    return app


async def main(kind: str) -> None:
    runner = web.AppRunner(build(kind), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
