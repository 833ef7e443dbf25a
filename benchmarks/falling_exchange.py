"""An exchange of its own process whose markets fall to their stops: a stream, and a bare server.

Both ends are seen here, by one clock: when a price that reaches a stop is written to the stream,
and when the order that it leads to arrives. `python -m benchmarks.falling_exchange SECONDS`.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from benchmarks.stream import MARKETS, ticker_frame
from service.domain.markets import Market

A_SECOND: Final = 2_000  #: frames
TURN_S: Final = 0.001  #: between two looks at which frames are due
BASE: Final = 1_000_000.0  #: at which everything was bought
FALLEN: Final = 940_000.0  #: below the stop, and near enough to be believed at once
FEE_RATIO: Final = Decimal("0.0005")


class FallingExchange:
    """Lets each market fall once, at even distances, after the stream is subscribed to."""

    def __init__(self, lasts_s: float) -> None:
        self._lasts_s = lasts_s
        self._sent = 0
        self._sent_s = 0.0
        self._fell_at: dict[str, float] = {}
        self._took_ms: dict[str, float] = {}
        self._orders: dict[str, Mapping[str, str]] = {}
        self._is_over = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/websocket/v1", self.stream)
        app.router.add_post("/v1/orders", self.place)
        app.router.add_get("/v1/order", self.find)
        app.router.add_get("/v1/market/all", self.markets)
        app.router.add_get("/took", self.took)
        return app

    # --- the stream -----------------------------------------------------------------------

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.receive()  # the subscription
        sending = asyncio.create_task(self._send(socket))
        async for message in socket:  # pings are answered meanwhile
            if message.type is WSMsgType.ERROR:
                break
        sending.cancel()
        return socket

    async def _send(self, socket: web.WebSocketResponse) -> None:
        """Send frames of all markets in turn, evenly, until the subscriber goes."""
        every_s = self._lasts_s / len(MARKETS)
        began = time.perf_counter()
        while not socket.closed:
            passed_s = time.perf_counter() - began
            while self._sent < passed_s * A_SECOND:
                if len(self._fell_at) < min(len(MARKETS), passed_s // every_s):
                    await self._fall(socket, MARKETS[len(self._fell_at)])
                else:
                    await self._tell(socket, MARKETS[self._sent % len(MARKETS)])
                self._sent_s = time.perf_counter() - began
            await asyncio.sleep(TURN_S)

    async def _fall(self, socket: web.WebSocketResponse, market: Market) -> None:
        self._fell_at[str(market)] = time.perf_counter()
        await self._tell(socket, market)

    async def _tell(self, socket: web.WebSocketResponse, market: Market) -> None:
        price = FALLEN if str(market) in self._fell_at else BASE
        at_ms = int(time.time() * 1000)
        self._sent += 1
        await socket.send_bytes(ticker_frame(market, price, base=BASE, at_ms=at_ms))

    # --- requests -------------------------------------------------------------------------

    async def place(self, request: web.Request) -> web.Response:
        arrived_at = time.perf_counter()
        sent = await request.json()
        market = sent["market"]
        self._took_ms.setdefault(market, (arrived_at - self._fell_at[market]) * 1000)
        self._orders[sent["identifier"]] = sent
        if len(self._took_ms) == len(MARKETS):
            self._is_over.set()
        return _answer(_order(sent, is_done=False), status=201)

    async def find(self, request: web.Request) -> web.Response:
        return _answer(_order(self._orders[request.query["identifier"]], is_done=True))

    async def markets(self, _: web.Request) -> web.Response:
        names = (
            {"market": str(market), "korean_name": "-", "english_name": "-"} for market in MARKETS
        )
        return _answer(list(names))

    async def took(self, _: web.Request) -> web.Response:
        """Answer how long each order took, in the order of the falls, once all have arrived."""
        await self._is_over.wait()
        times = [self._took_ms[market] for market in self._fell_at]
        return _answer({"took_ms": times, "a_second": self._sent / self._sent_s})


def _order(sent: Mapping[str, str], *, is_done: bool) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    volume, price = Decimal(sent["volume"]), Decimal(int(FALLEN))
    trade = {
        "market": sent["market"], "uuid": f"trade-{sent['identifier']}", "price": str(price),
        "volume": str(volume), "funds": str(price * volume), "side": "ask", "created_at": now,
    }  # fmt: skip
    return dict(sent) | {
        "uuid": f"order-{sent['identifier']}", "created_at": now,
        "state": "done" if is_done else "wait",
        "executed_volume": str(volume if is_done else 0),
        "remaining_volume": str(0 if is_done else volume),
        "paid_fee": str(price * volume * FEE_RATIO if is_done else 0),
        "trades_count": int(is_done),
        "trades": [trade] if is_done else [],
    }  # fmt: skip


def _answer(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


async def main(lasts_s: float) -> None:
    runner = web.AppRunner(FallingExchange(lasts_s).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
