"""A light client: kept-alive connections on raw sockets, each with one request under way.

It costs a fraction of what any server needs to answer, so that on two cores the server is what is
measured.
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
class _Line:
    """A connection and what has come of its answer."""

    peer: socket.socket
    got: bytearray = field(default_factory=bytearray)
    whole: int = 0  #: bytes of the answer, 0 until its head is here

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


class Visitors:
    """Ask for the paths in turn, over all connections at once."""

    def __init__(self, port: int, paths: Sequence[str], connections: int) -> None:
        self._requests = [
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths
        ]
        self._lines = [_Line(_connected(port)) for _ in range(connections)]
        self._selector = selectors.DefaultSelector()
        for line in self._lines:
            self._selector.register(line.peer, selectors.EVENT_READ, line)
        self._turn = 0

    @classmethod
    @contextmanager
    def open(cls, port: int, *paths: str, connections: int = 10) -> Iterator[Self]:
        visitors = cls(port, paths, connections)
        try:
            yield visitors
        finally:
            visitors.close()

    def close(self) -> None:
        self._selector.close()
        for line in self._lines:
            line.peer.close()

    def body(self) -> bytes:
        """Return what is answered to the next request."""
        line = self._lines[0]
        self._ask(line)
        while not line.is_complete():
            _read(line)
        return bytes(line.got.partition(_END)[2])

    def ask(self, requests: int) -> float:
        """Send so many requests; return how many were answered a second.

        Raises: RuntimeError, for any answer but 200; TimeoutError.
        """
        began, left, waiting = time.perf_counter(), requests, 0
        for line in self._lines[:requests]:
            self._ask(line)
            left, waiting = left - 1, waiting + 1
        while waiting:
            ready = self._selector.select(PATIENCE_S)
            if not ready:
                raise TimeoutError(f"no answer within {PATIENCE_S:g} s")
            for key, _ in ready:
                line = key.data
                _read(line)
                if not line.is_complete():
                    continue
                if left:
                    self._ask(line)
                    left -= 1
                else:
                    waiting -= 1
        return requests / (time.perf_counter() - began)

    def _ask(self, line: _Line) -> None:
        line.got.clear()
        line.whole = 0
        line.peer.sendall(self._requests[self._turn % len(self._requests)])
        self._turn += 1


def _read(line: _Line) -> None:
    piece = line.peer.recv(262_144)
    if not piece:
        raise RuntimeError("the server closed a connection")
    line.got += piece


def _connected(port: int) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer
