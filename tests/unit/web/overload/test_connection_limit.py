"""Connections: how many are held, and how one ends that nobody reads."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing, suppress

import pytest
from aiohttp import web

from service.web.overload.connection_limit import (
    CONNECTIONS,
    SPARE_LOCAL,
    LimitedSite,
    cut_stalled_readers,
    room,
)
from service.web.overload.overflow import OverflowState

SAFETY_S = 20
ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


GOES_ON = web.AppKey("goes_on", asyncio.Event)


class Served:
    def __init__(self, overflow: OverflowState, runner: web.AppRunner, port: int) -> None:
        self.overflow = overflow
        self.runner = runner
        self.port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    def held(self) -> int:
        assert self.runner.server is not None
        return len(self.runner.server.connections)

    async def until_held(self, number: int) -> None:
        async with asyncio.timeout(SAFETY_S):
            while self.held() != number:  # noqa: ASYNC110 - aiohttp has no event for it
                await asyncio.sleep(0.001)


async def large(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * 64_000_000)


async def small(_: web.Request) -> web.Response:
    return web.Response(body=b"ok")


async def slow(request: web.Request) -> web.Response:
    await request.app[GOES_ON].wait()
    return web.Response(body=b"ok")


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Two connections at most; a reader that takes nothing for 200 ms is cut."""
    app, overflow = web.Application(), OverflowState()
    app.add_routes([web.get("/", small), web.get("/large", large)])
    app.add_routes([web.get("/health", small), web.get("/health/detailed", slow)])
    app[GOES_ON] = asyncio.Event()
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
    await runner.setup()
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        cut_stalled_readers(listener, after_ms=200)
        site = LimitedSite(
            runner, listener, backlog=128, overflow=overflow, connections=2, ask_within_s=60
        )
        await site.start()
        yield Served(overflow, runner, listener.getsockname()[1])
        await runner.cleanup()


async def answer(served: Served, path: bytes = b"/", connection: bytes = b"close") -> bytes:
    reader, writer = await served.connect()
    try:
        ask = ASK.replace(b"/", path, 1)
        writer.write(ask.replace(b"\r\n\r\n", b"\r\nConnection: " + connection + b"\r\n\r\n"))
        async with asyncio.timeout(SAFETY_S):
            return await reader.read()
    finally:
        writer.close()


async def test_a_connection_too_many_is_told_so_and_the_others_are_served(served: Served) -> None:
    held = [await served.connect() for _ in range(2)]
    await served.until_held(2)

    refused = await answer(served)
    reader, writer = held[0]
    writer.write(ASK)
    async with asyncio.timeout(SAFETY_S):
        first = await reader.readuntil(b"ok")
    writer.close()
    await served.until_held(1)
    next_one = await answer(served)
    held[1][1].close()

    head, _, body = refused.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert first.startswith(b"HTTP/1.1 200 ")
    assert next_one.startswith(b"HTTP/1.1 200 ")
    assert served.overflow.refused == 1


async def test_with_no_room_left_health_is_answered_and_nothing_else_is(served: Served) -> None:
    held = [await served.connect() for _ in range(2)]
    await served.until_held(2)

    # Read to the end: the connection is closed after the answer, whatever was asked for.
    healthy = await answer(served, b"/health", connection=b"keep-alive")
    refused = await answer(served, b"/large", connection=b"keep-alive")
    again = await answer(served, b"/health")
    await served.until_held(2)
    for _, writer in held:
        writer.close()

    assert healthy.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in healthy
    assert healthy.endswith(b"ok")
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert again.startswith(b"HTTP/1.1 200 ")
    assert served.overflow.refused == 1


async def test_many_at_the_same_moment_do_not_all_find_the_last_place(served: Served) -> None:
    opened = await asyncio.gather(*(served.connect() for _ in range(30)))
    async with asyncio.timeout(SAFETY_S):
        while len(served.overflow.here) < 28:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)

    assert served.held() == 2
    for _, writer in opened:
        writer.close()


async def test_the_room_for_health_checks_ends_too(served: Served) -> None:
    held = [await served.connect() for _ in range(2)]
    await served.until_held(2)
    asking = []
    for number in range(SPARE_LOCAL):  # one by one: the lobby itself has less room
        asking.append(asyncio.ensure_future(answer(served, b"/health/detailed")))
        await served.until_held(3 + number)

    refused = await answer(served, b"/health")
    served.runner.app[GOES_ON].set()
    answers = await asyncio.gather(*asking)
    for _, writer in held:
        writer.close()

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert {given[:12] for given in answers} == {b"HTTP/1.1 200"}


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
async def test_a_reader_that_takes_nothing_of_a_large_answer_is_cut(served: Served) -> None:
    with closing(socket.socket()) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        with suppress(BlockingIOError):
            peer.connect(("127.0.0.1", served.port))
        await served.until_held(1)
        await asyncio.get_running_loop().sock_sendall(peer, ASK.replace(b"/ ", b"/large ", 1))

        # Nothing is read: only the cut ends the connection.
        await served.until_held(0)

    assert served.held() == 0


@pytest.mark.parametrize(("descriptors", "held"), [(100_000, CONNECTIONS), (700, 444), (64, 16)])
def test_connections_leave_descriptors_to_everything_else(descriptors: int, held: int) -> None:
    assert room(descriptors) == held
