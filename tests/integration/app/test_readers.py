"""Those who only look share one answer, and no order waits for them. Real sockets on both sides."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from service.adapters.upbit.rest import UpbitRest
from service.domain.orders import OrderStatus
from tests.builders import an_intent
from tests.integration.adapters import recorded
from tests.integration.adapters.upbit_stub import ACCESS_KEY, SECRET_KEY
from tests.unit.web.world import World

READERS: Final = 40
SAFETY_S: Final = 20
BALANCE: Final = "/api/v1/trading/balance"


class HeldAccounts:
    """An exchange that takes orders at once, and once held, tells balances when it is let go."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()
        self.let_go.set()

    def hold(self) -> None:
        self.calls.clear()
        self.asked.clear()
        self.let_go.clear()

    async def handle(self, request: web.Request) -> web.Response:
        self.calls[f"{request.method} {request.path}"] += 1
        if request.path == "/v1/accounts":
            self.asked.set()
            await self.let_go.wait()
            return web.json_response(text=recorded.ACCOUNTS)
        if request.path.startswith("/v1/orders/"):
            return web.json_response([])
        order = json.loads(recorded.BID_PLACED)
        if request.method == "POST":
            return web.json_response(order | await request.json(), status=201)
        return web.json_response(order | dict(request.query))


@asynccontextmanager
async def service_over(exchange: HeldAccounts) -> AsyncIterator[tuple[World, TestClient[Any, Any]]]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", exchange.handle)
    world = World()
    world.setting_rows.stored["trading_enabled"] = True
    async with (
        TestServer(app) as stub,
        aiohttp.ClientSession() as trading,
        aiohttp.ClientSession() as watching,
    ):
        address = str(stub.make_url("")).rstrip("/")
        upbit = UpbitRest(
            trading,
            quotation_url=address,
            exchange_url=address,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            real_clock=world.real_clock,
        )
        world.trading, world.watching = upbit, upbit.watching(watching)
        served = world.app()
        await world.bound.trading_switch.load()
        await world.bound.leadership.renew()
        await world.bound.leadership.settle()
        exchange.hold()
        async with TestClient(TestServer(served)) as client:
            yield world, client


async def read(client: TestClient[Any, Any]) -> Any:
    async with client.get(BALANCE) as answer:
        assert answer.status == 200
        return await answer.json()


@pytest.mark.filterwarnings("error")
async def test_forty_readers_of_the_balance_cost_one_call_and_an_order_does_not_wait() -> None:
    """They were forty calls in trading's own limit and session: its orders failed."""
    exchange = HeldAccounts()
    async with service_over(exchange) as (world, client), asyncio.timeout(SAFETY_S):
        readers = [asyncio.create_task(read(client)) for _ in range(READERS)]
        await exchange.asked.wait()

        order = await world.bound.pipeline._executor.execute(an_intent(), decision_id=1)
        unread = [reader for reader in readers if not reader.done()]
        exchange.let_go.set()
        bodies = await asyncio.gather(*readers)

    assert len(unread) == READERS, "the order did not wait for one of them"
    assert order.status is OrderStatus.SUBMITTED
    assert exchange.calls["POST /v1/orders"] == 1
    assert exchange.calls["GET /v1/accounts"] == 1
    assert {body["items"][0]["currency"] for body in bodies} == {"APENFT"}
    assert {body["age_seconds"] for body in bodies} == {bodies[0]["age_seconds"]}
