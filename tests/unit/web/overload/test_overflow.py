"""Connections beyond the limit, by their request and their origin."""

import asyncio

import pytest

from service.web.overload.overflow import (
    MOST,
    OverflowConnection,
    OverflowState,
    is_health_check,
)
from service.web.protocol.peers import THIS_MACHINE, Peer
from tests.unit.web.raw_http import answers_in

HERE, ELSEWHERE = THIS_MACHINE, Peer("203.0.113.9", is_local=False)
HOST = b"Host: localhost\r\n"
TOKEN = b"Authorization: Bearer the-admins-token\r\n"


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.BaseProtocol | None = None
        self.written = b""
        self.ended = self.aborted = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True


class Answering(asyncio.Protocol):
    """Stands for aiohttp's own protocol."""

    def __init__(self) -> None:
        self.heard = b""
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data


class Site:
    """A site with places for some more health checks, and for what has the admin's token.

    Attributes:
        asked: the peer and the head of each call.
    """

    def __init__(self) -> None:
        self.state = OverflowState()
        self.room = 1
        self.asked: list[tuple[Peer, bytes]] = []
        self.answering = Answering()

    def spare(self, peer: Peer, head: bytes) -> asyncio.Protocol | None:
        self.asked.append((peer, head))
        if not is_health_check(head) and TOKEN not in head:
            return None
        self.room -= 1
        return self.answering if self.room >= 0 else None

    @property
    def waiting(self) -> int:
        return len(self.state.here) + len(self.state.elsewhere)

    def comes(
        self, peer: Peer = HERE, *, ask_within_s: float = 60
    ) -> tuple[OverflowConnection, FakeTransport]:
        connection = OverflowConnection(self.state, self.spare, peer, ask_within_s=ask_within_s)
        transport = FakeTransport()
        connection.connection_made(transport)
        return connection, transport


@pytest.fixture
async def site() -> Site:
    return Site()


@pytest.mark.parametrize(
    "line",
    [
        b"GET /health HTTP/1.1",
        b"HEAD /health HTTP/1.0",
        b"GET /health/ready HTTP/1.1",
        b"GET /health/detailed?pretty=1 HTTP/1.1",
    ],
)
async def test_a_health_check_is_answered_and_ends_with_its_answer(site: Site, line: bytes) -> None:
    connection, transport = site.comes()

    connection.data_received(
        line + b"\r\n" + HOST + b"Connection: keep-alive\r\nKeep-Alive: 9\r\n\r\n"
    )

    assert site.answering.transport is transport
    assert transport.protocol is site.answering
    assert site.answering.heard == line + b"\r\nConnection: close\r\n" + HOST + b"\r\n"
    assert (site.state.refused, site.waiting) == (0, 0)


async def test_it_may_come_byte_by_byte_and_nothing_after_it_is_heard(site: Site) -> None:
    connection, _ = site.comes()
    asked = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"

    for n in range(len(asked) - 1):
        connection.data_received(asked[n : n + 1])
    before = site.answering.heard
    connection.data_received(asked[-1:] + b"GET /api/v1/config HTTP/1.1\r\n\r\n")

    assert before == b""
    assert site.answering.heard == b"GET /health HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"


async def test_a_request_without_headers_stays_one(site: Site) -> None:
    connection, _ = site.comes()

    connection.data_received(b"GET /health HTTP/1.0\r\n\r\n")

    assert site.answering.heard == b"GET /health HTTP/1.0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "asked",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /api/v1/signals HTTP/1.1\r\n\r\n",
        b"POST /health HTTP/1.1\r\n\r\n",
        b"GET /healthy HTTP/1.1\r\n\r\n",
        b"GET /health/../metrics HTTP/1.1\r\n\r\n",
        b"GET /health /api HTTP/1.1\r\n",
        b"get / HTTP/1.1\r\n",
        b"GET /health\r\n",
        b"\x16\x03\x01\r\n",
        b"GET /health HTTP/1.1\r\nX: " + b"x" * 9_000,
        b"x" * 9_000,
    ],
)
async def test_anything_else_is_refused_as_soon_as_it_is_clear(site: Site, asked: bytes) -> None:
    connection, transport = site.comes()

    connection.data_received(asked)
    connection.data_received(b"more\r\n\r\n")

    assert transport.written.startswith(b"HTTP/1.1 503 ")
    assert transport.written.count(b"HTTP/1.1") == 1
    assert transport.ended
    assert site.answering.heard == b""
    assert site.state.refused == 1
    connection.connection_lost(None)
    assert site.waiting == 0


async def test_a_health_check_too_many_is_refused_too(site: Site) -> None:
    site.room = 0
    connection, transport = site.comes()

    connection.data_received(b"GET /health HTTP/1.1\r\n\r\n")

    assert transport.written.startswith(b"HTTP/1.1 503 ")
    assert site.state.refused == 1


async def test_who_says_nothing_is_refused(site: Site) -> None:
    _, transport = site.comes(ask_within_s=0)

    async with asyncio.timeout(20):
        while not transport.written:  # noqa: ASYNC110 - a timer, and no event for it
            await asyncio.sleep(0)

    assert transport.written.startswith(b"HTTP/1.1 503 ")


async def test_in_a_full_lobby_the_one_who_stood_there_longest_goes(site: Site) -> None:
    others = [site.comes(ELSEWHERE)[1] for _ in range(MOST)]
    before = [transport.aborted for transport in others]

    connection, newest = site.comes(ELSEWHERE)
    connection.data_received(b"GET /health HTTP/1.1\r\n\r\n")

    assert before == [False] * MOST
    assert [transport.aborted for transport in others] == [True] + [False] * (MOST - 1)
    assert newest.protocol is site.answering
    assert (site.state.refused, site.waiting) == (1, MOST - 1)


async def test_no_number_of_strangers_sends_this_machine_away(site: Site) -> None:
    connection, transport = site.comes(HERE)
    for _ in range(5 * MOST):
        site.comes(ELSEWHERE)

    connection.data_received(b"GET /health HTTP/1.1\r\n\r\n")

    assert not transport.aborted
    assert transport.protocol is site.answering
    assert site.waiting == MOST


async def test_who_was_refused_is_counted_once_though_cut_before_it_went(site: Site) -> None:
    connection, transport = site.comes()
    connection.data_received(b"GET / HTTP/1.1\r\n\r\n")

    site.state.clear()

    assert transport.aborted
    assert (site.state.refused, site.waiting) == (1, 0)


@pytest.mark.parametrize("peer", [HERE, ELSEWHERE])
async def test_a_place_is_asked_for_with_the_peer_and_the_whole_head(
    site: Site, peer: Peer
) -> None:
    connection, _ = site.comes(peer)

    connection.data_received(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\nmore")

    assert site.asked == [(peer, b"GET /health HTTP/1.1\r\n" + HOST)]


@pytest.mark.parametrize("peer", [HERE, ELSEWHERE])
async def test_an_admins_change_is_handed_on_with_its_body(site: Site, peer: Peer) -> None:
    connection, transport = site.comes(peer)
    head = b"PATCH /api/v1/config HTTP/1.1\r\n" + HOST + TOKEN + b"Content-Length: 8\r\n"

    connection.data_received(head[:40])
    connection.data_received(head[40:] + b'\r\n{"a":')

    line, _, fields = head.partition(b"\r\n")
    assert transport.protocol is site.answering
    assert site.answering.heard == line + b"\r\nConnection: close\r\n" + fields + b'\r\n{"a":'
    assert (site.state.refused, site.waiting) == (0, 0)


async def test_a_peer_with_many_connections_loses_its_own_and_not_another_ones(site: Site) -> None:
    admin, transport = site.comes(Peer("192.0.2.1", is_local=False))
    for _ in range(5 * MOST):
        site.comes(ELSEWHERE)

    admin.data_received(b"GET /api/v1/config HTTP/1.1\r\n" + TOKEN + b"\r\n")

    assert not transport.aborted
    assert transport.protocol is site.answering


async def test_who_goes_before_asking_leaves_nothing_behind(site: Site) -> None:
    connection, transport = site.comes(ask_within_s=0)

    connection.connection_lost(None)
    await asyncio.sleep(0.001)

    assert transport.written == b""
    assert (site.state.refused, site.waiting) == (0, 0)


async def test_a_refusal_has_the_form_of_every_problem_and_an_id_of_its_own() -> None:
    site = Site()
    said = []
    for _ in range(2):
        connection, transport = site.comes()
        connection.data_received(b"GET /canary-token HTTP/1.1\r\n" + HOST + b"\r\n")
        said.append(transport.written)

    first, second = (answers_in(raw)[0] for raw in said)
    assert first.headers["x-request-id"] == first.json()["request_id"]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["content-type"] == "application/problem+json"
    assert first.headers["x-frame-options"] == "DENY"
    assert first.headers["cache-control"] == "no-store"
    assert b"canary" not in said[0]
