"""SIGTERM under load: who was let in gets a whole answer, who comes later is turned away."""

import asyncio
import json
import signal
import socket
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.processes import Service, WatchedService

PATHS = ("/api/v1/market", "/health/ready")
WORKERS = 10
EVERY_S = 0.05  #: of each worker: 200 requests a second in all
TURN = 300  #: answers, when SIGTERM is sent
ENOUGH = 600  #: requests, when a service that does not stop has had its chance


class Load:
    """Clients that speak plain HTTP/1.1 and hide nothing: no retry, no pool.

    `complete`: a whole answer came. `refused`: no connection could be opened. `lost`: a
    connection was open, the request was written, and no whole answer came.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").rpartition(":")
        self.host, self.port = host, int(port)
        self.seen: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.losses: list[str] = []
        self.turned = asyncio.Event()

    async def run(self) -> None:
        await asyncio.gather(*(self._worker(number) for number in range(WORKERS)))

    async def _worker(self, number: int) -> None:
        """Ask on the beat; even numbers keep their connection, odd ones open a new one each."""
        loop, keeps = asyncio.get_running_loop(), number % 2 == 0
        began = loop.time() + number * EVERY_S / WORKERS
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for turn in range(ENOUGH // WORKERS):
            await asyncio.sleep(max(0.0, began + turn * EVERY_S - loop.time()))
            if stream is None:
                try:
                    stream = await asyncio.open_connection(self.host, self.port)
                except ConnectionRefusedError:
                    self.seen["refused"] += 1
                    continue
            is_over = await self._asked(*stream, path=PATHS[turn % 2], keeps=keeps)
            if is_over or not keeps:
                stream[1].close()
                stream = None
        if stream is not None:
            stream[1].close()

    async def _asked(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        path: str,
        keeps: bool,
    ) -> bool:
        """Ask once, count the outcome, and return whether the connection has ended."""
        close = "" if keeps else "Connection: close\r\n"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n{close}\r\n".encode())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
            body = await reader.readexactly(int(fields["content-length"]))
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            self.seen["lost"] += 1
            self.losses.append(f"{path} keeps={keeps} {exc!r}")
            return True
        json.loads(body)
        self.statuses[int(head.split()[1])] += 1
        self.seen["complete"] += 1
        if self.seen["complete"] == TURN:
            self.turned.set()
        return fields.get("connection") == "close"


@pytest.mark.slow
async def test_a_rolling_restart_under_load_loses_no_request_that_was_let_in(folder: Path) -> None:
    async with WatchedService(folder) as service:
        await service.ready()
        load = Load(service.address)

        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(load.run())
            await load.turned.wait()
            service.tell(signal.SIGTERM)
            code = await service.ended()
            await running

    assert load.losses == []
    assert code == 0
    assert load.seen["complete"] >= TURN
    assert load.seen["refused"], "new connections are turned away"
    assert set(load.statuses) <= {200, 503}, "503 is readiness while it drains, or a full queue"
    assert service.left_open() == []

    async with Service(folder) as again:
        await again.ready()

        assert (await again.ask("GET", "/health/ready"))[0] == 200
        assert await again.get("/api/v1/market")


async def test_a_kept_alive_connection_is_told_that_its_answer_was_the_last(folder: Path) -> None:
    async with Service(folder) as service:
        await service.ready()
        host, _, port = service.address.removeprefix("http://").rpartition(":")
        with closing(socket.create_connection((host, int(port)))) as idle:
            idle.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=idle)
            ask = f"GET /health/ready HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            writer.write(ask)
            before = await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"}")

            service.tell(signal.SIGTERM)
            heads: list[bytes] = []
            while not heads or b"Connection: close" not in heads[-1]:
                writer.write(ask)
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readuntil(b"}")
            rest = await reader.read()
            writer.close()
        code = await service.ended()

    assert b"Connection: close" not in before
    assert heads[-1].startswith(b"HTTP/1.1 503"), "it is not ready any more, and says so"
    assert rest == b""
    assert code == 0
