"""Limits the number of open connections, and how long a peer may leave its answer unread.

aiohttp limits neither. Each connection costs a file descriptor. Without free descriptors the
service cannot open a connection to its database or to the exchange.
"""

import asyncio
import resource
import socket
from collections.abc import Callable
from typing import Final

from aiohttp import web

from service.web.overload.overflow import ASK_WITHIN_S, OverflowConnection, OverflowState

CONNECTIONS: Final = 1_000
DESCRIPTORS: Final = 256  #: reserved for everything else: pool, exchange, files
STALLED_MS: Final = 30_000  #: for a peer that reads nothing of its answer

#: Extra connections for health checks only; each closes with its answer. Those above SPARE are
#: reserved for this machine, so that remote peers cannot block its own health check.
SPARE: Final = 40
SPARE_LOCAL: Final = 50


def room(descriptors: int) -> int:
    """Return the connection limit for a process with so many descriptors (-1: unlimited)."""
    if descriptors == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(16, min(CONNECTIONS, descriptors - DESCRIPTORS))


def cut_stalled_readers(listener: socket.socket, *, after_ms: int = STALLED_MS) -> None:
    """Have the kernel close connections that the peer does not read; aiohttp waits for ever.

    Connections inherit the option from the listening socket. It also closes connections to a
    peer that vanished silently. Source: tcp(7), TCP_USER_TIMEOUT, "due to zero window size".
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, after_ms)


class LimitedSite(web.SockSite):
    """A site with a connection limit. Beyond the limit only health checks are served.

    Every other request gets a 503 with Retry-After, and its connection is closed.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        listener: socket.socket,
        *,
        backlog: int,
        overflow: OverflowState,
        connections: int | None = None,
        ask_within_s: float = ASK_WITHIN_S,
    ) -> None:
        super().__init__(runner, listener, backlog=backlog)
        self._overflow = overflow
        self._ask_within_s = ask_within_s
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limit = room(soft) if connections is None else connections

    async def start(self) -> None:
        """Listen. Raises OSError."""
        # A copy of SockSite.start with our protocol factory: aiohttp has no hook for one.
        await web.BaseSite.start(self)
        self._server = await asyncio.get_running_loop().create_server(
            self._deferred, sock=self._sock, backlog=self._backlog
        )

    async def stop(self) -> None:
        self._overflow.clear()
        await super().stop()

    def _deferred(self) -> asyncio.BaseProtocol:
        return _DeferredProtocol(self._protocol)

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._limit:
            return OverflowConnection(self._overflow, self._spare, ask_within_s=self._ask_within_s)
        return server()

    def _spare(self, is_local: bool) -> asyncio.Protocol | None:  # noqa: FBT001 - see Spare
        server = self._runner.server
        most = self._limit + (SPARE_LOCAL if is_local else SPARE)
        return server() if server is not None and len(server.connections) < most else None


class _DeferredProtocol(asyncio.Protocol):
    """Chooses the protocol once the connection is made, not when asyncio asks for it.

    asyncio creates the protocols of the whole backlog before the first connection counts as
    open. A hundred connections would all find the same last place free.
    """

    def __init__(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        protocol = self._protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
