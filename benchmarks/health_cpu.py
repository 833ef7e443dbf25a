"""Server CPU for one `/health`, against an aiohttp hello: two processes, one client."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.rounds import Result, medians

REQUESTS: Final = 3_000
ANSWER: Final = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Server:
    """One of benchmarks.servers, and a kept-alive connection to it."""

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.servers", kind], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        self._peer = socket.create_connection(("127.0.0.1", port))
        self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def cpu_us(self) -> float:
        """Return the server's CPU microseconds for one request."""
        before = self._used_ns()
        for _ in range(REQUESTS):
            self._peer.sendall(ANSWER)
            head = self._peer.recv(65536)
            assert head.startswith(b"HTTP/1.1 200"), head
        return (self._used_ns() - before) / REQUESTS / 1000

    def _used_ns(self) -> int:
        # Nanoseconds on a processor, all threads: the first field of schedstat.
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def close(self) -> None:
        self._peer.close()
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def _server(kind: str) -> Iterator[Server]:
    server = Server(kind)
    try:
        yield server
    finally:
        server.close()


def measure() -> Result:
    with _server("house") as house, _server("hello") as hello:
        took = medians({"ours": house.cpu_us, "hello": hello.cpu_us})
    return Result(
        name="/health / aiohttp hello, server CPU",
        ours=took["ours"],
        theirs=took["hello"],
        unit="us",
        at_most=1.3,
    )
