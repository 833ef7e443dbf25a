"""ports.LiveStreams over Upbit's WebSocket: one connection for all markets, one for our orders.

Source: Upbit docs, "WebSocket guide" and "myOrder" (v1.6.4); captures of March 2026.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar
from uuid import uuid4

import aiohttp
import orjson

from service.adapters.answers import retry_after_s, strip_secrets
from service.adapters.upbit.errors import ErrorAnswer, translated
from service.adapters.upbit.market_events import MarketEvents
from service.adapters.upbit.sign import Signer
from service.adapters.upbit.stream.reader import FrameReader, OrderReader, PriceReader
from service.domain.markets import Market

#: Real seconds without a byte until a ping, and half of that until its answer is overdue. So a
#: socket that is open and silent is found within 7.5 s.
PING_EVERY_S: Final = 5.0
OPEN_WITHIN_S: Final = 5.0  #: real seconds for the handshake
CLOSE_WITHIN_S: Final = 1.0
#: Bytes of one frame; the longest real one is a hundredth of it. A longer one ends the connection.
LONGEST_FRAME: Final = 256 * 1024
_PRIVATE: Final = "/private"
R = TypeVar("R", bound=FrameReader)


class UpbitStreams:
    """Satisfies ports.LiveStreams. The caller owns the session and closes it.

    Args:
        url: of the public stream; the private one is below it.
        market_events: hears what tickers say of a market's state and end.
        ping_every_s: real seconds.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        signer: Signer,
        market_events: MarketEvents | None = None,
        ping_every_s: float = PING_EVERY_S,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._signer = signer
        self._market_events = market_events
        self._ping_every_s = ping_every_s

    @asynccontextmanager
    async def prices(self, markets: Sequence[Market]) -> AsyncIterator[PriceReader]:
        request = {"type": "ticker", "codes": [str(market) for market in markets]}
        async with self._open(self._url, {}) as socket:
            await _subscribe(socket, request)
            async with _read(PriceReader(socket, markets, self._market_events)) as reader:
                yield reader

    @asynccontextmanager
    async def orders(self) -> AsyncIterator[OrderReader]:
        # Each handshake uses up a nonce.
        headers = {"Authorization": self._signer.authorization({})}
        async with self._open(self._url + _PRIVATE, headers) as socket:
            await _subscribe(socket, {"type": "myOrder"})
            async with _read(OrderReader(socket)) as reader:
                yield reader

    @asynccontextmanager
    async def _open(
        self, url: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse[bool]]:
        with translated(writing=False):
            socket = await self._connected(url, headers)
        try:
            yield socket
        finally:
            # The connection may be lost already, and a lost one has nothing to say at its end.
            with suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                await socket.close()

    async def _connected(
        self, url: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientWebSocketResponse[bool]:
        """Raises: ErrorAnswer, aiohttp's errors and TimeoutError."""
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                return await self._session.ws_connect(
                    url,
                    headers=headers,
                    heartbeat=self._ping_every_s,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_WITHIN_S),
                    max_msg_size=LONGEST_FRAME,
                    decode_text=False,
                )
        except aiohttp.WSServerHandshakeError as exc:
            strip_secrets(exc)  # it holds the request, and so the signature
            wait_s = retry_after_s(exc.headers or {})
            raise ErrorAnswer(exc.status, retry_after_s=wait_s) from None


async def _subscribe(
    socket: aiohttp.ClientWebSocketResponse[bool], request: Mapping[str, object]
) -> None:
    parts = [{"ticket": str(uuid4())}, request, {"format": "DEFAULT"}]
    with translated(writing=False):
        await socket.send_str(orjson.dumps(parts).decode())


@asynccontextmanager
async def _read(reader: R) -> AsyncIterator[R]:
    """Read beside the taker, whose waits are cut short and must lose no frame."""
    reading = asyncio.create_task(reader.read(), name="stream.read")
    try:
        yield reader
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
