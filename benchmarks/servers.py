"""The measured HTTP servers, each in a process of its own.

`product` is our web application with its middleware and its log, which goes to /dev/null. With a
database address it has the service's pool and the API's part of it. `hello` and `bare` are
handwritten aiohttp applications to compare with.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import aiopg
from aiohttp import web

from benchmarks.hot_list import HOT_LIST
from benchmarks.seeding import MARKETS
from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.app.resources import POOL_API, POOL_MAX, POOL_MIN
from service.config import Config
from service.domain.markets import Market
from service.ops.logs.setup import Log, configure
from service.ops.metrics.counters import Counters
from service.ports.queries import PageKey
from service.settings.settings import Settings
from service.store.database.pool import open_pool
from service.store.queries.lists import PgLists
from service.store.queries.orders import ORDERS, STUCK_ARGS
from service.store.queries.page import INSTANT
from service.store.tables.settings import PgSettingRows
from service.web.keys import CLOCK, CONFIG, LISTS, REAL_CLOCK, SETTINGS
from service.web.protocol.auth import LOCKOUT
from service.web.protocol.lockout import Lockout
from service.web.protocol.paging import encode
from service.web.protocol.request_body import MAX_BODY
from service.web.routes import setup
from service.web.server import ApiRunner


@asynccontextmanager
async def product(dsn: str, _log: Log) -> AsyncIterator[web.Application]:
    app = web.Application(client_max_size=MAX_BODY)
    markets = tuple(Market("KRW", f"C{n}") for n in range(MARKETS))
    app[CONFIG] = Config(_env_file=None, markets=markets)
    real_clock = SystemClock()
    app[CLOCK] = clock = RealTimeMarketClock(real_clock)
    app[REAL_CLOCK], app[LOCKOUT] = real_clock, Lockout(real_clock.monotonic)
    async with AsyncExitStack() as stack:
        if dsn:
            pool = await stack.enter_async_context(
                open_pool(dsn, minsize=POOL_MIN, maxsize=POOL_MAX)
            )
            app[LISTS] = PgLists(pool.sub_pool(POOL_API))
            app[SETTINGS] = Settings(PgSettingRows(pool), clock)
        setup(app, requests=Counters(real_clock).requests)
        yield app


@asynccontextmanager
async def hello(_dsn: str, _log: Log) -> AsyncIterator[web.Application]:
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app.router.add_get("/hello", answer)
    yield app


@asynccontextmanager
async def bare(dsn: str, _log: Log) -> AsyncIterator[web.Application]:
    """The hot list only: no checks, no request ids, no log, no limits."""
    pool = await aiopg.create_pool(dsn, minsize=POOL_MIN, maxsize=POOL_MAX, enable_hstore=False)
    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        limit = int(request.query["limit"])
        args = {
            "instant": INSTANT, "market": None, "status": request.query["status"], "limit": limit,
            "before_at": None, "before_id": None, "now": None, **STUCK_ARGS,
        }  # fmt: skip
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(ORDERS, args)
            items, at, row_id, more = await cursor.fetchone()
        following = f'"{encode(PageKey(at, row_id))}"' if more else "null"
        body = f'{{"items":{items},"next_cursor":{following}}}'.encode()
        return web.Response(body=body, content_type="application/json")

    app.router.add_get(HOT_LIST.partition("?")[0], answer)
    try:
        yield app
    finally:
        pool.terminate()
        await pool.wait_closed()


@contextmanager
def logging() -> Iterator[Log]:
    """Log as the service does, to /dev/null."""
    with Path(os.devnull).open("wb") as void:
        log = configure(level="INFO", mode="sandbox", version="0", stream=void)
        try:
            yield log
        finally:
            log.close()


async def main(log: Log, kind: str, dsn: str = "") -> None:
    async with {"product": product, "hello": hello, "bare": bare}[kind](dsn, log) as app:
        is_product = kind == "product"
        runner = ApiRunner(app) if is_product else web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with logging() as log:
        asyncio.run(main(log, *sys.argv[1:]))
