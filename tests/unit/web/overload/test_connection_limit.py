"""Connections: how many are held, and how one ends that nobody reads."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

import pytest
from aiohttp import web

from service.web.overload.connection_limit import (
    CONNECTIONS,
    SPARE_ADMIN,
    SPARE_LOCAL,
    ConnectionRules,
    LimitedSite,
    connection_rules,
    cut_stalled_readers,
    room,
)
from service.web.overload.held_connections import HeldConnections
from service.web.overload.overflow import OverflowState
from service.web.protocol.peers import THIS_MACHINE, Peer, peer_of

SAFETY_S = 20
ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
TOKEN = b"Authorization: Bearer the-admins-token"


GOES_ON = web.AppKey("goes_on", asyncio.Event)


class Served:
    def __init__(self, overflow: OverflowState, runner: web.AppRunner, port: int) -> None:
        self.overflow = overflow
        self.runner = runner
        self.port = port

    async def connect(
        self, peer: str = "127.0.0.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(peer, 0))

    def held(self) -> int:
        assert self.runner.server is not None
        return len(self.runner.server.connections)

    async def until_open(self, number: int) -> None:
        assert self.runner.server is not None
        async with asyncio.timeout(SAFETY_S):
            while number != sum(  # noqa: ASYNC110 - aiohttp has no event for it
                one.transport is not None for one in self.runner.server.connections
            ):
                await asyncio.sleep(0.001)

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
    app.add_routes([web.get("/", small), web.get("/large", large), web.get("/slow", slow)])
    app.add_routes([web.get("/health", small), web.get("/health/detailed", slow)])
    app[GOES_ON] = asyncio.Event()
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
    await runner.setup()
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        cut_stalled_readers(listener, after_ms=200)
        rules = ConnectionRules(limit=2, ask_within_s=60, is_from_admin=is_from_admin)
        site = LimitedSite(
            runner, listener, backlog=128, overflow=overflow, held=HeldConnections(), rules=rules
        )
        await site.start()
        yield Served(overflow, runner, listener.getsockname()[1])
        app[GOES_ON].set()
        await runner.cleanup()


def is_from_admin(head: bytes, _: Peer) -> bool:
    return TOKEN in head


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


async def test_admins_have_places_of_their_own_beyond_those_of_health_checks(
    served: Served,
) -> None:
    held = [await served.connect() for _ in range(2)]
    await served.until_held(2)
    asking = []
    for number in range(SPARE_LOCAL):
        asking.append(asyncio.ensure_future(answer(served, b"/health/detailed")))
        await served.until_held(3 + number)
    admins = b"close\r\n" + TOKEN

    refused = await answer(served, b"/")
    admitted = await answer(served, b"/", connection=admins)
    for number in range(SPARE_ADMIN - SPARE_LOCAL):
        asking.append(asyncio.ensure_future(answer(served, b"/slow", connection=admins)))
        await served.until_held(3 + SPARE_LOCAL + number)
    too_many = await answer(served, b"/", connection=admins)
    served.runner.app[GOES_ON].set()
    await asyncio.gather(*asking)
    for _, writer in held:
        writer.close()

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert admitted.startswith(b"HTTP/1.1 200 ")
    assert too_many.startswith(b"HTTP/1.1 503 ")


# --- shares ---------------------------------------------------------------------------------------


async def lost_at_work(served: Served, *, times: int) -> None:
    """Ask so often for what takes long, as an admin, and hang up each time."""
    slow = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n" + TOKEN + b"\r\n\r\n"
    for number in range(times):
        _, writer = await served.connect()
        writer.write(slow)
        await served.until_held(number + 1)
        writer.transport.abort()
        await served.until_open(0)


async def test_a_lost_connection_takes_no_place_while_its_request_is_at_work(
    served: Served,
) -> None:
    await lost_at_work(served, times=2)

    told = await answer(served)
    served.runner.app[GOES_ON].set()

    assert told.startswith(b"HTTP/1.1 200 ")


async def test_lost_connections_take_none_of_the_admins_places(served: Served) -> None:
    await lost_at_work(served, times=2 + SPARE_ADMIN)
    held = [await served.connect() for _ in range(2)]
    await served.until_open(2)

    reader, writer = await served.connect()
    writer.write(ASK.replace(b"\r\n\r\n", b"\r\n" + TOKEN + b"\r\n\r\n"))
    async with asyncio.timeout(SAFETY_S):
        told = await reader.read()
    served.runner.app[GOES_ON].set()
    for one in (writer, *(writer for _, writer in held)):
        one.close()

    assert told.startswith(b"HTTP/1.1 200 ")


def a_peer(name: str, *, is_local: bool = False) -> Peer:
    return Peer(name, is_local=is_local)


ONE, OTHER = a_peer("192.0.2.1"), a_peer("192.0.2.2")


@pytest.mark.parametrize(("limit", "share", "for_others"), [(1_000, 250, 875), (16, 4, 14)])
def test_another_machine_gets_a_share_and_this_one_has_a_reserve(
    limit: int, share: int, for_others: int
) -> None:
    rules = ConnectionRules(limit=limit)

    assert rules.share == share
    assert (rules.most(ONE), rules.most(THIS_MACHINE)) == (for_others, limit)


def test_the_rules_of_a_process_tell_peers_apart_by_their_addresses() -> None:
    rules = connection_rules(is_from_admin)

    assert 16 <= rules.limit <= CONNECTIONS
    assert rules.peer_of is peer_of
    assert rules.is_from_admin is is_from_admin


def by_last_number(address: str | None) -> Peer:
    """Take 127.0.0.1 for this machine and every other address of loopback for another one."""
    assert address is not None
    return Peer(address, is_local=address == "127.0.0.1")


class Shared(Served):
    """Sixteen connections, four of them for one peer, two kept for 127.0.0.1."""

    def __init__(self, overflow: OverflowState, runner: web.AppRunner, port: int) -> None:
        super().__init__(overflow, runner, port)
        self.silent: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, peer: str) -> bytes:
        """Return the status line of an answer."""
        reader, writer = await self.connect(peer)
        writer.write(ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        async with asyncio.timeout(SAFETY_S):
            told = await reader.read()
        writer.close()
        return told.partition(b"\r\n")[0]

    async def stay_silent(self, peer: str, *, times: int) -> None:
        for _ in range(times):
            self.silent.append(await self.connect(peer))

    async def until_refused(self, number: int) -> None:
        """Wait for so many overflow connections: they stay silent too."""
        async with asyncio.timeout(SAFETY_S):
            while len(self.overflow.elsewhere) < number:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.001)


@asynccontextmanager
async def sharing(*, silent_after_s: float) -> AsyncIterator[Shared]:
    app, overflow = web.Application(), OverflowState()
    app.add_routes([web.get("/", small)])
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
    await runner.setup()
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        rules = ConnectionRules(limit=16, ask_within_s=silent_after_s, peer_of=by_last_number)
        site = LimitedSite(
            runner, listener, backlog=128, overflow=overflow, held=HeldConnections(), rules=rules
        )
        await site.start()
        shared = Shared(overflow, runner, listener.getsockname()[1])
        yield shared
        for _, writer in shared.silent:
            writer.close()
        await runner.cleanup()


async def test_one_peer_cannot_use_up_the_places_of_the_others() -> None:
    async with sharing(silent_after_s=60) as shared:
        await shared.stay_silent("127.0.0.2", times=40)
        await shared.until_refused(36)

        told = [await shared.ask(f"127.0.0.{number}") for number in (1, 2, 3)]
        held = shared.held()

    assert held == 4
    assert [line[9:12] for line in told] == [b"200", b"503", b"200"]


async def test_that_there_is_no_room_is_one_warning_with_the_peer(
    lines: list[dict[str, Any]],
) -> None:
    async with sharing(silent_after_s=60) as shared:
        await shared.stay_silent("127.0.0.2", times=4)
        before = list(lines)
        await shared.stay_silent("127.0.0.2", times=20)
        await shared.until_refused(20)

    assert before == []
    assert [(line["level"], line["peer"], line["held"]) for line in lines] == [
        ("WARNING", "127.0.0.2", 4)
    ]


async def test_all_other_machines_together_leave_this_one_a_reserve() -> None:
    async with sharing(silent_after_s=60) as shared:
        for number in range(2, 12):
            await shared.stay_silent(f"127.0.0.{number}", times=4)
        await shared.until_refused(26)

        told = [await shared.ask(f"127.0.0.{number}") for number in (1, 2, 50)]
        held = shared.held()

    assert held == 14
    assert [line[9:12] for line in told] == [b"200", b"503", b"503"]


async def test_a_peers_own_silent_connection_goes_when_its_share_is_used_up() -> None:
    async with sharing(silent_after_s=0) as shared:
        await shared.stay_silent("127.0.0.2", times=40)

        told = await shared.ask("127.0.0.2")
        held = shared.held()

    assert told[9:12] == b"200"
    assert held <= 4
    assert shared.overflow.refused == 0


async def test_with_no_room_left_a_silent_connection_of_the_largest_peer_goes() -> None:
    async with sharing(silent_after_s=0) as shared:
        await shared.stay_silent("127.0.0.1", times=13)
        await shared.stay_silent("127.0.0.2", times=1)

        told = await shared.ask("127.0.0.3")
        reader, writer = shared.silent[-1]  # the small peer's
        writer.write(ASK)
        async with asyncio.timeout(SAFETY_S):
            kept = await reader.readuntil(b"ok")

    assert told[9:12] == b"200"
    assert kept.startswith(b"HTTP/1.1 200 ")
    assert shared.overflow.refused == 0


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
