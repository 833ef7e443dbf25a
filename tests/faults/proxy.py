"""A TCP proxy before PostgreSQL that can be cut, stopped, or cut at a certain word.

TCP on loopback towards the service, the server's own unix socket behind it. Knows of PostgreSQL's
protocol only that a simple query is one message that begins with `Q`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Self

from service.store.database.dsn import parameters, url

CHUNK = 64 * 1024


@dataclass(slots=True)
class Cut:
    """Break the connection on which a statement with `word` passes.

    Attributes:
        when: before the server gets it, or after it was executed and before its answer arrives.
        left: how often.
    """

    word: bytes
    when: Literal["before", "after"]
    left: int = 1
    done: int = 0


class PgProxy:
    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._flows: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.port = 0
        self.cut: Cut | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections from here on, and break those that stand."""
        if self._server is not None:
            self._server.close()
        for flow in tuple(self._flows):
            flow.cancel()
        await asyncio.gather(*self._flows, return_exceptions=True)
        self._server = None

    def stop_flow(self) -> None:
        """Discard all data from here on; nothing is refused."""
        self._open.clear()

    def let_flow(self) -> None:
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_unix_connection(self._socket)
        except OSError:
            writer.close()
            return
        flow = asyncio.current_task()
        assert flow is not None
        self._flows.add(flow)
        try:
            await self._pass(reader, writer, *there)
        except (OSError, asyncio.CancelledError):
            pass  # broken connections are what the proxy is for
        finally:
            self._flows.discard(flow)
            for end in (writer, there[1]):
                end.transport.abort()

    async def _pass(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        """Copy both ways until either end closes or the proxy is cut."""
        broken = asyncio.Event()

        async def asking() -> None:
            while data := await client.read(CHUNK):
                await self._open.wait()
                cut = self._due(data)
                if cut is not None and cut.when == "before":
                    return
                if cut is not None:
                    broken.set()  # the server's answer is discarded
                to_server.write(data)
                await to_server.drain()

        async def answering() -> None:
            while data := await server.read(CHUNK):
                await self._open.wait()
                if broken.is_set():
                    return
                to_client.write(data)
                await to_client.drain()

        both = [asyncio.ensure_future(asking()), asyncio.ensure_future(answering())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in both:
                way.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    def _due(self, data: bytes) -> Cut | None:
        cut = self.cut
        if cut is None or not cut.left or data[:1] != b"Q" or cut.word not in data:
            return None
        cut.left -= 1
        cut.done += 1
        return cut

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self.close()


@asynccontextmanager
async def through_a_proxy(dsn: str) -> AsyncIterator[tuple[PgProxy, str]]:
    """Yield a proxy before the server of `dsn`, and the same database's address through it."""
    given = parameters(dsn)
    async with PgProxy(f"{given['host']}/.s.PGSQL.{given['port']}") as proxy:
        yield (
            proxy,
            url(
                host="127.0.0.1",
                port=proxy.port,
                user=given["user"],
                database=given["dbname"],
            ),
        )
