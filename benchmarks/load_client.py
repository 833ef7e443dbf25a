"""A light HTTP client: kept-alive connections on raw sockets, each with one request in flight.

The client costs a fraction of any server's answer. On two cores the server is the bottleneck.
"""

import re
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self

PATIENCE_S: Final = 30.0
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_END: Final = b"\r\n\r\n"


@dataclass(slots=True)
class _Connection:
    """A socket and the received part of its answer."""

    peer: socket.socket
    got: bytearray = field(default_factory=bytearray)
    whole: int = 0  #: bytes of the answer, 0 until its head has arrived

    def is_complete(self) -> bool:
        if not self.whole:
            head, end, _ = self.got.partition(_END)
            if not end:
                return False
            found = _LENGTH.search(head)
            if not head.startswith(b"HTTP/1.1 200") or found is None:
                raise RuntimeError(f"not the answer of a list: {bytes(self.got[:400])!r}")
            self.whole = len(head) + len(_END) + int(found[1])
        return len(self.got) >= self.whole


class LoadClient:
    """Request the paths in turn, over all connections at once."""

    def __init__(self, port: int, paths: Sequence[str], connections: int) -> None:
        self._requests = [
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths
        ]
        self._connections = [_Connection(_connected(port)) for _ in range(connections)]
        self._selector = selectors.DefaultSelector()
        for connection in self._connections:
            self._selector.register(connection.peer, selectors.EVENT_READ, connection)
        self._turn = 0

    @classmethod
    @contextmanager
    def open(cls, port: int, *paths: str, connections: int = 10) -> Iterator[Self]:
        client = cls(port, paths, connections)
        try:
            yield client
        finally:
            client.close()

    def close(self) -> None:
        self._selector.close()
        for connection in self._connections:
            connection.peer.close()

    def body(self) -> bytes:
        """Return the body of one answer."""
        connection = self._connections[0]
        self._ask(connection)
        while not connection.is_complete():
            _read(connection)
        return bytes(connection.got.partition(_END)[2])

    def ask(self, requests: int) -> float:
        """Send so many requests and return the answers a second.

        Raises: RuntimeError, for any answer but 200; TimeoutError.
        """
        began, left, waiting = time.perf_counter(), requests, 0
        for connection in self._connections[:requests]:
            self._ask(connection)
            left, waiting = left - 1, waiting + 1
        while waiting:
            ready = self._selector.select(PATIENCE_S)
            if not ready:
                raise TimeoutError(f"no answer within {PATIENCE_S:g} s")
            for key, _ in ready:
                connection = key.data
                _read(connection)
                if not connection.is_complete():
                    continue
                if left:
                    self._ask(connection)
                    left -= 1
                else:
                    waiting -= 1
        return requests / (time.perf_counter() - began)

    def _ask(self, connection: _Connection) -> None:
        connection.got.clear()
        connection.whole = 0
        connection.peer.sendall(self._requests[self._turn % len(self._requests)])
        self._turn += 1


def _read(connection: _Connection) -> None:
    piece = connection.peer.recv(262_144)
    if not piece:
        raise RuntimeError("the server closed a connection")
    connection.got += piece


def _connected(port: int) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer
