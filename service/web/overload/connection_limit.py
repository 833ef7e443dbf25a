"""Limits the number of open connections, and how long a peer may leave its answer unread.

aiohttp limits neither. Each connection costs a file descriptor. Without free descriptors the
service cannot open a connection to its database or to the exchange.
"""

import asyncio
import math
import resource
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from loguru import logger

from service.web.overload.held_connections import HeldConnections
from service.web.overload.overflow import (
    ASK_WITHIN_S,
    OverflowConnection,
    OverflowState,
    is_health_check,
)
from service.web.protocol.peers import Peer, peer_of

CONNECTIONS: Final = 1_000
SHARE: Final = 4  #: one peer of another machine gets at most this part of them
RESERVE: Final = 8  #: and this part of them is kept for this machine
TOLD_EVERY_S: Final = 60.0  #: real seconds between two warnings that there is no room
DESCRIPTORS: Final = 256  #: reserved for everything else: pool, exchange, files
STALLED_MS: Final = 30_000  #: for a peer that reads nothing of its answer

#: Extra connections for single requests; each closes with its answer. Health checks of other
#: machines get SPARE. Those above are for this machine's, which remote peers cannot block so. The
#: last ones are for admins: they switch trading off while all else is full.
SPARE: Final = 40
SPARE_LOCAL: Final = 50
SPARE_ADMIN: Final = 66


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


def _open_now(server: web.Server) -> int:
    """Return how many connections hold a descriptor.

    aiohttp counts a lost connection until its handler ends. Counted here, those that were closed
    to make room would keep admins and health checks out.
    """
    return sum(one.transport is not None for one in server.connections)


def _of_no_admin(_head: bytes, _peer: Peer) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRules:
    """Attributes:
    limit: how many connections are served at once.
    ask_within_s: a connection that is silent for so long may be closed for another one, when
        there is no room.
    peer_of: returns the peer behind an address.
    is_from_admin: whether a request's head, sent by a peer, has an admin's rights.
    """

    limit: int
    ask_within_s: float = ASK_WITHIN_S
    peer_of: Callable[[str | None], Peer] = peer_of
    is_from_admin: Callable[[bytes, Peer], bool] = _of_no_admin

    @property
    def share(self) -> int:
        """How many of them one peer of another machine may have."""
        return max(1, self.limit // SHARE)

    def most(self, peer: Peer) -> int:
        """Return how many there may be, all peers together, for `peer` to get one more."""
        return self.limit if peer.is_local else self.limit - self.limit // RESERVE


def connection_rules(is_from_admin: Callable[[bytes, Peer], bool]) -> ConnectionRules:
    """Return the rules for this process, by the number of files that it may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ConnectionRules(limit=room(soft), is_from_admin=is_from_admin)


class LimitedSite(web.SockSite):
    """A site with a connection limit. Beyond it only health checks and admins are served.

    Every other request gets a 503 with Retry-After, and its connection is closed.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        listener: socket.socket,
        *,
        backlog: int,
        overflow: OverflowState,
        held: HeldConnections,
        rules: ConnectionRules,
    ) -> None:
        super().__init__(runner, listener, backlog=backlog)
        self._overflow = overflow
        self._held = held
        self._rules = rules
        self._told_at = -math.inf

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

    def _protocol(self, transport: asyncio.BaseTransport) -> asyncio.Protocol:
        name = transport.get_extra_info("peername")
        peer = self._rules.peer_of(name[0] if name else None)
        server = self._runner.server
        if server is None or not self._has_room(peer, open_now=_open_now(server)):
            self._warn(peer)
            within_s = self._rules.ask_within_s
            return OverflowConnection(self._overflow, self._spare, peer, ask_within_s=within_s)
        connection = server()
        self._held.add(connection, peer)
        return connection

    def _warn(self, peer: Peer) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            logger.bind(event="app", peer=peer.name, held=self._held.count(peer)).warning(
                "a connection finds no room: its peer or all together hold too many"
            )

    def _has_room(self, peer: Peer, *, open_now: int) -> bool:
        """Return whether one more connection of the peer is served.

        Without room, a silent connection is closed for it: one of the peer's own when its share
        is used up, else one of the peer that holds most.
        """
        silent_s = self._rules.ask_within_s
        if not peer.is_local and self._held.count(peer) >= self._rules.share:
            return self._held.close_silent_of(peer, for_s=silent_s)
        return open_now < self._rules.most(peer) or self._held.close_silent(for_s=silent_s)

    def _spare(self, peer: Peer, head: bytes) -> asyncio.Protocol | None:
        server, limit = self._runner.server, self._rules.limit
        if server is None:
            return None
        if is_health_check(head):
            most = limit + (SPARE_LOCAL if peer.is_local else SPARE)
        elif self._rules.is_from_admin(head, peer):
            most = limit + SPARE_ADMIN
        else:
            return None
        return server() if _open_now(server) < most else None


class _DeferredProtocol(asyncio.Protocol):
    """Chooses the protocol once the connection is made, not when asyncio asks for it.

    asyncio creates the protocols of the whole backlog before the first connection counts as
    open. A hundred connections would all find the same last place free.
    """

    def __init__(self, protocol: Callable[[asyncio.BaseTransport], asyncio.Protocol]) -> None:
        self._protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        protocol = self._protocol(transport)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
