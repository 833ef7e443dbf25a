"""One WebSocket connection: it reads requests and sends frames, each at its own pace."""

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp import WSMsgType, web
from loguru import logger

STATUS_UP: Final = b'{"status":"UP"}'
_STATUS_EVERY_S: Final = 10.0  #: real seconds, after a text PING
_CLOSE_WITHIN_S: Final = 1.0
_LARGEST_REQUEST: Final = 256 * 1024
#: Bytes that wait for one reader. A jump of an hour of some dozen markets fits.
MOST_QUEUED: Final = 16 * 1024 * 1024
_RESET: Final = struct.pack("ii", 1, 0)  #: SO_LINGER: the connection ends with RST


class StreamConnection:
    """Frames are queued without waiting, so that a slow reader delays no other reader.

    A reader that lets `MOST_QUEUED` bytes pile up is cut off. A close frame would wait behind them.

    Args: idle_s: real seconds without data in either direction until the server closes.
    """

    def __init__(self, *, is_private: bool, idle_s: float) -> None:
        self.is_private = is_private
        self.answers_pings = True
        self._socket = web.WebSocketResponse(
            autoping=False, compress=False, timeout=_CLOSE_WITHIN_S, max_msg_size=_LARGEST_REQUEST
        )
        self._request: web.Request | None = None
        self._idle_s = idle_s
        self._active_at = time.monotonic()
        self._frames: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._status: asyncio.TimerHandle | None = None
        self._is_cut = False
        self.queued_bytes = 0
        self.sent = 0

    async def serve(
        self, request: web.Request, obey: Callable[[str | bytes], None]
    ) -> web.WebSocketResponse:
        """Serve until either side closes; `obey` is called with each request of the client."""
        self._request = request
        await self._socket.prepare(request)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send())
            try:
                await self._read(obey)
            finally:
                sending.cancel()
                if self._status is not None:
                    self._status.cancel()
        return self._socket

    def put(self, frame: bytes) -> None:
        """Queue a frame; cut the connection off when too many bytes wait already."""
        if self._is_cut:
            return
        if self.queued_bytes + len(frame) > MOST_QUEUED:
            logger.bind(event="app").warning("cut off a stream reader that does not keep up")
            self.cut()
            return
        self._frames.append(frame)
        self.queued_bytes += len(frame)
        self._filled.set()

    def cut(self) -> None:
        """End the connection with RST, without a close frame; what is queued is lost."""
        self._is_cut = True
        self._frames.clear()
        transport = None if self._request is None else self._request.transport
        if transport is None:
            return
        if (wire := transport.get_extra_info("socket")) is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()

    async def close(self, code: int) -> None:
        """Say goodbye with a close frame, and wait a second at most for the client's."""
        await self._socket.close(code=code)

    async def _send(self) -> None:
        while not self._socket.closed:
            await self._filled.wait()
            self._filled.clear()
            while self._frames:
                frame = self._frames.popleft()
                try:
                    await self._socket.send_bytes(frame)
                except (ConnectionError, aiohttp.ClientConnectionError):
                    # The client has left, and the reading side ends too.
                    return
                self.queued_bytes -= len(frame)
                self.sent += 1
                self._active_at = time.monotonic()

    async def _read(self, obey: Callable[[str | bytes], None]) -> None:
        while not self._socket.closed:
            left = self._active_at + self._idle_s - time.monotonic()
            if left <= 0:
                await self.close(aiohttp.WSCloseCode.OK)
                return
            try:
                message = await self._socket.receive(timeout=left)
            except TimeoutError:
                continue
            self._active_at = time.monotonic()
            if message.type is WSMsgType.PING:
                await self._pong(message.data)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._take(message.data, obey)

    async def _pong(self, payload: bytes) -> None:
        if not self.answers_pings:
            return
        try:
            await self._socket.pong(payload)
        except (ConnectionError, aiohttp.ClientConnectionError):
            await self.close(aiohttp.WSCloseCode.GOING_AWAY)

    def _take(self, request: str | bytes, obey: Callable[[str | bytes], None]) -> None:
        if request in ("PING", b"PING"):
            self._tell_status()
        else:
            obey(request)

    def _tell_status(self) -> None:
        if self._status is not None:
            self._status.cancel()
        if self.answers_pings:
            self.put(STATUS_UP)
        loop = asyncio.get_running_loop()
        self._status = loop.call_later(_STATUS_EVERY_S, self._tell_status)
