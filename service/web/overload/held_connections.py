"""The connections that are served, by peer, and which of them have been silent for longest.

aiohttp counts connections only. It closes a silent one after 75 seconds, and none whose request
comes slowly.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import web

from service.web.protocol.peers import Peer

_SLACK: Final = 256  #: so many closed connections may still be on record


class HeldConnections:
    """Closed connections drop out when they are counted next: aiohttp does not report their end.

    Args: now: real seconds, never going back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._peer_of: dict[web.RequestHandler, Peer] = {}
        #: Of each peer: since when a connection has been silent, None with a request at work. A
        #: connection moves to the end as its request ends, so the first silent one is the oldest.
        self._of: dict[Peer, dict[web.RequestHandler, float | None]] = {}
        self._sweep_at = _SLACK

    @property
    def on_record(self) -> int:
        """How many connections are on record, closed ones included."""
        return len(self._peer_of)

    def add(self, connection: web.RequestHandler, peer: Peer) -> None:
        if len(self._peer_of) >= self._sweep_at:
            self._drop_closed(tuple(self._peer_of))
            self._sweep_at = 2 * len(self._peer_of) + _SLACK
        self._peer_of[connection] = peer
        self._of.setdefault(peer, {})[connection] = self._now()

    def request_began(self, connection: web.RequestHandler) -> None:
        if (peer := self._peer_of.get(connection)) is not None:
            self._of[peer][connection] = None

    def request_ended(self, connection: web.RequestHandler) -> None:
        if (peer := self._peer_of.get(connection)) is not None:
            held = self._of[peer]
            del held[connection]
            held[connection] = self._now()

    def count(self, peer: Peer) -> int:
        """Return how many open connections the peer has."""
        self._drop_closed(tuple(self._of.get(peer, ())))
        return len(self._of.get(peer, ()))

    def close_silent_of(self, peer: Peer, *, for_s: float) -> bool:
        """Close the peer's connection that has been silent for longest, `for_s` at least.

        Returns: whether there was one.
        """
        before = self._now() - for_s
        for connection, since in tuple(self._of.get(peer, {}).items()):
            transport = connection.transport
            if transport is None:
                self._drop_closed((connection,))
            elif since is not None and since > before:
                return False  # those behind it were heard later
            elif since is not None and not transport.get_write_buffer_size():
                connection.force_close()
                self._drop_closed((connection,))
                return True
        return False

    def close_silent(self, *, for_s: float) -> bool:
        """Close one silent connection, of the peer that holds most if it has one."""
        peers = sorted(self._of, key=lambda peer: len(self._of[peer]), reverse=True)
        return any(self.close_silent_of(peer, for_s=for_s) for peer in peers)

    def _drop_closed(self, connections: Iterable[web.RequestHandler]) -> None:
        for connection in connections:
            if connection.transport is None:
                peer = self._peer_of.pop(connection)
                held = self._of[peer]
                del held[connection]
                if not held:
                    del self._of[peer]


HELD_CONNECTIONS = web.AppKey("held_connections", HeldConnections)
