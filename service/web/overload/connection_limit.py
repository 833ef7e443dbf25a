"""How many connections are held at once, and for how long one that does not read.

aiohttp counts neither. A connection costs a descriptor, and without descriptors the service can
reach neither its database nor the exchange.
"""

import asyncio
import resource
import socket
from collections.abc import Callable
from typing import Final

from aiohttp import web

from service.web.overload.overflow import ASK_WITHIN_S, OverflowConnection, OverflowState

CONNECTIONS: Final = 1_000
DESCRIPTORS: Final = 256  #: left to everything else: pool, exchange, files
STALLED_MS: Final = 30_000  #: for a reader that takes nothing of its answer

#: Beyond them for health checks alone, each gone with its answer. The last ones are this
#: machine's: its own check must get through whatever strangers do.
SPARE: Final = 40
SPARE_LOCAL: Final = 50


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


class LimitedSite(web.SockSite):
    """A site that holds so many connections; of the next ones it hears health checks alone.

    Anybody else is told with 503 to come back, and closed.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        listener: socket.socket,
        *,
        backlog: int,
        door: OverflowState,
        connections: int | None = None,
        ask_within_s: float = ASK_WITHIN_S,
    ) -> None:
        super().__init__(runner, listener, backlog=backlog)
        self._door = door
        self._ask_within_s = ask_within_s
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limit = room(soft) if connections is None else connections

    async def start(self) -> None:
        """Listen. Raises OSError."""
        # As SockSite does, with our factory before aiohttp's own: it has no hook for that.
        await web.BaseSite.start(self)
        self._server = await asyncio.get_running_loop().create_server(
            self._entrance, sock=self._sock, backlog=self._backlog
        )

    async def stop(self) -> None:
        self._door.clear()
        await super().stop()

    def _entrance(self) -> asyncio.BaseProtocol:
        return _Arrival(self._protocol)

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._limit:
            return OverflowConnection(self._door, self._spare, ask_within_s=self._ask_within_s)
        return server()

    def _spare(self, is_local: bool) -> asyncio.Protocol | None:  # noqa: FBT001 - see Spare
        server = self._runner.server
        most = self._limit + (SPARE_LOCAL if is_local else SPARE)
        return server() if server is not None and len(server.connections) < most else None


class _Arrival(asyncio.Protocol):
    """Decides when the connection is there.

    asyncio asks for the protocols of all who wait in the backlog before the first of them counts
    as connected: a hundred would find the same last place free.
    """

    def __init__(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        protocol = self._protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
