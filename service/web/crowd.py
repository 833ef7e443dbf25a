"""How many connections are held at once, and for how long one that does not read.

aiohttp counts neither. A connection costs a descriptor, and without descriptors the service can
reach neither its database nor the exchange.
"""

import asyncio
import resource
import socket
from typing import Final, cast

from aiohttp import web

from service.web.bodies import encoded
from service.web.problems import PROBLEM_TYPE, TYPE_PREFIX

CONNECTIONS: Final = 1_000
DESCRIPTORS: Final = 256  #: left to everything else: pool, exchange, files
STALLED_MS: Final = 30_000  #: for a reader that takes nothing of its answer

_LINGERING: Final = 64  #: refused connections that may still read why
_LINGER_S: Final = 1.0

_WHY: Final = encoded(
    {
        "type": f"{TYPE_PREFIX}overloaded",
        "title": "The service is busy",
        "status": 503,
        "detail": "too many connections are open: ask again in a second",
    }
)
_REFUSAL: Final = (
    "HTTP/1.1 503 Service Unavailable\r\n"
    f"Content-Type: {PROBLEM_TYPE}\r\n"
    "Retry-After: 1\r\n"
    "Connection: close\r\n"
    f"Content-Length: {len(_WHY)}\r\n\r\n"
).encode() + _WHY


def room(descriptors: int) -> int:
    """Return how many connections a process with so many descriptors (-1: endless) may hold."""
    if descriptors == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(16, min(CONNECTIONS, descriptors - DESCRIPTORS))


def cut_stalled_readers(listener: socket.socket, *, after_ms: int = STALLED_MS) -> None:
    """Let the kernel end connections whose peer takes nothing, as aiohttp would wait for ever.

    Connections inherit it from the socket that listens. It also ends those whose peer is gone
    without a word. Source: tcp(7), TCP_USER_TIMEOUT, "due to zero window size".
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, after_ms)


class CrowdedSite(web.SockSite):
    """A site that holds so many connections and answers the next one with 503 at once.

    Attributes:
        refused: connections sent away since the start.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        listener: socket.socket,
        *,
        backlog: int,
        connections: int | None = None,
    ) -> None:
        super().__init__(runner, listener, backlog=backlog)
        self.refused = 0
        self._lingering: set[asyncio.Transport] = set()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limit = room(soft) if connections is None else connections

    async def start(self) -> None:
        """Listen. Raises OSError."""
        # As SockSite does, with our factory before aiohttp's own: it has no hook for that.
        await web.BaseSite.start(self)
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, sock=self._sock, backlog=self._backlog
        )

    async def stop(self) -> None:
        for transport in tuple(self._lingering):
            transport.abort()
        await super().stop()

    def _protocol(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._limit:
            self.refused += 1
            return _Refusing(self._lingering)
        return server()


class _Refusing(asyncio.Protocol):
    """Says why, and waits a moment for the peer to go.

    Closed at once, with its request unread, the kernel would reset the connection and the
    peer might see neither.
    """

    def __init__(self, lingering: set[asyncio.Transport]) -> None:
        self._lingering = lingering

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._lingering) >= _LINGERING:
            self._transport.abort()
            return
        self._lingering.add(self._transport)
        self._transport.write(_REFUSAL)
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER_S, self._transport.abort)

    def connection_lost(self, _: Exception | None) -> None:
        self._lingering.discard(self._transport)
