"""A WebSocket client for the tests, written from the documentation and nothing of the service."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp

from tests.integration.sandbox.client import Client

PATIENCE_S = 30.0
STEP_S = 10  #: market seconds between two prints of the sandbox

TICKER = {"type": "ticker", "codes": ["KRW-BTC"]}
TRADE = {"type": "trade", "codes": ["KRW-BTC"]}
ORDERS = {"type": "myOrder"}
ASSETS = {"type": "myAsset"}


class Streamed:
    """One connection; what it reads are binary frames, numbers as exact decimals."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, *types: dict[str, Any], style: str | None = None) -> None:
        parts: list[dict[str, Any]] = [{"ticket": "test"}, *types]
        await self.socket.send_str(json.dumps([*parts, *([{"format": style}] if style else [])]))

    async def read(self) -> Any:
        message = await self.socket.receive(timeout=PATIENCE_S)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        return json.loads(message.data, parse_float=Decimal)

    async def error(self) -> str:
        name: str = (await self.read())["error"]["name"]
        return name

    async def end(self) -> aiohttp.WSMessage:
        """Return the message that ends the connection, after whatever comes before it."""
        message = await self.socket.receive(timeout=PATIENCE_S)
        while message.type is aiohttp.WSMsgType.BINARY:
            message = await self.socket.receive(timeout=PATIENCE_S)
        return message

    async def is_alone(self) -> bool:
        """Return whether nothing came before the answer to a listing asked for now."""
        await self.ask({"method": "LIST_SUBSCRIPTIONS"})
        return "method" in await self.read()


@asynccontextmanager
async def public(client: Client, **options: Any) -> AsyncIterator[Streamed]:
    url = client.url.replace("http", "ws") + "/websocket/v1"
    async with client.session.ws_connect(url, max_msg_size=0, **options) as socket:
        yield Streamed(socket)


@asynccontextmanager
async def private(client: Client, *, token: str | None = None) -> AsyncIterator[Streamed]:
    url = client.url.replace("http", "ws") + "/websocket/v1/private"
    headers = {"Authorization": token or client.bearer()}
    async with client.session.ws_connect(url, headers=headers) as socket:
        yield Streamed(socket)


async def advance(client: Client, steps: int = 1) -> None:
    await client.control("POST", "clock", json={"advance_s": steps * STEP_S})
