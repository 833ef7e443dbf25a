"""What happens to a connection for which there is no room, by what it asks and where it is from."""

import asyncio

import pytest

from service.web.overload.overflow import MOST, OverflowConnection, OverflowState

HERE, ELSEWHERE = "127.0.0.1", "203.0.113.9"
HOST = b"Host: localhost\r\n"


class FakeTransport(asyncio.Transport):
    def __init__(self, peer: str) -> None:
        super().__init__(extra={"peername": (peer, 50_000)})
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
    """Stands for aiohttp's own."""

    def __init__(self) -> None:
        self.heard = b""
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data


class House:
    """A door with room for some health checks more; `asked` is from where."""

    def __init__(self) -> None:
        self.door = OverflowState()
        self.room = 1
        self.asked: list[bool] = []
        self.answering = Answering()

    def spare(self, is_local: bool) -> asyncio.Protocol | None:
        self.asked.append(is_local)
        self.room -= 1
        return self.answering if self.room >= 0 else None

    @property
    def waiting(self) -> int:
        return len(self.door.here) + len(self.door.elsewhere)

    def comes(
        self, peer: str = HERE, *, ask_within_s: float = 60
    ) -> tuple[OverflowConnection, FakeTransport]:
        lobby = OverflowConnection(self.door, self.spare, ask_within_s=ask_within_s)
        transport = FakeTransport(peer)
        lobby.connection_made(transport)
        return lobby, transport


@pytest.fixture
async def house() -> House:
    return House()


@pytest.mark.parametrize(
    "line",
    [
        b"GET /health HTTP/1.1",
        b"HEAD /health HTTP/1.0",
        b"GET /health/ready HTTP/1.1",
        b"GET /health/detailed?pretty=1 HTTP/1.1",
    ],
)
async def test_a_health_check_is_answered_and_ends_with_its_answer(
    house: House, line: bytes
) -> None:
    lobby, transport = house.comes()

    lobby.data_received(line + b"\r\n" + HOST + b"Connection: keep-alive\r\nKeep-Alive: 9\r\n\r\n")

    assert house.answering.transport is transport
    assert transport.protocol is house.answering
    assert house.answering.heard == line + b"\r\nConnection: close\r\n" + HOST + b"\r\n"
    assert (house.door.refused, house.waiting) == (0, 0)


async def test_it_may_come_byte_by_byte_and_nothing_after_it_is_heard(house: House) -> None:
    lobby, _ = house.comes()
    asked = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"

    for n in range(len(asked) - 1):
        lobby.data_received(asked[n : n + 1])
    before = house.answering.heard
    lobby.data_received(asked[-1:] + b"GET /api/v1/config HTTP/1.1\r\n\r\n")

    assert before == b""
    assert (
        house.answering.heard == b"GET /health HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    )


async def test_a_request_without_headers_stays_one(house: House) -> None:
    lobby, _ = house.comes()

    lobby.data_received(b"GET /health HTTP/1.0\r\n\r\n")

    assert house.answering.heard == b"GET /health HTTP/1.0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "asked",
    [
        b"GET / HTTP/1.1\r\n",
        b"GET /api/v1/signals HTTP/1.1\r\n",
        b"POST /health HTTP/1.1\r\n",
        b"GET /healthy HTTP/1.1\r\n",
        b"GET /health/../metrics HTTP/1.1\r\n",
        b"GET /health /api HTTP/1.1\r\n",
        b"GET /health\r\n",
        b"\x16\x03\x01\r\n",
        b"GET /health HTTP/1.1\r\nX: " + b"x" * 9_000,
        b"x" * 9_000,
    ],
)
async def test_anything_else_is_refused_as_soon_as_it_is_clear(house: House, asked: bytes) -> None:
    lobby, transport = house.comes()

    lobby.data_received(asked)
    lobby.data_received(b"more\r\n\r\n")

    assert transport.written.startswith(b"HTTP/1.1 503 ")
    assert transport.written.count(b"HTTP/1.1") == 1
    assert transport.ended
    assert house.asked == []
    assert house.door.refused == 1
    lobby.connection_lost(None)
    assert house.waiting == 0


async def test_a_health_check_too_many_is_refused_too(house: House) -> None:
    house.room = 0
    lobby, transport = house.comes()

    lobby.data_received(b"GET /health HTTP/1.1\r\n\r\n")

    assert transport.written.startswith(b"HTTP/1.1 503 ")
    assert house.door.refused == 1


async def test_who_says_nothing_is_refused(house: House) -> None:
    _, transport = house.comes(ask_within_s=0)

    async with asyncio.timeout(20):
        while not transport.written:  # noqa: ASYNC110 - a timer, and no event for it
            await asyncio.sleep(0)

    assert transport.written.startswith(b"HTTP/1.1 503 ")


async def test_in_a_full_lobby_the_one_who_stood_there_longest_goes(house: House) -> None:
    others = [house.comes(ELSEWHERE)[1] for _ in range(MOST)]
    before = [transport.aborted for transport in others]

    lobby, newest = house.comes(ELSEWHERE)
    lobby.data_received(b"GET /health HTTP/1.1\r\n\r\n")

    assert before == [False] * MOST
    assert [transport.aborted for transport in others] == [True] + [False] * (MOST - 1)
    assert newest.protocol is house.answering
    assert (house.door.refused, house.waiting) == (1, MOST - 1)


async def test_no_number_of_strangers_sends_this_machine_away(house: House) -> None:
    lobby, transport = house.comes(HERE)
    for _ in range(5 * MOST):
        house.comes(ELSEWHERE)

    lobby.data_received(b"GET /health HTTP/1.1\r\n\r\n")

    assert not transport.aborted
    assert transport.protocol is house.answering
    assert house.waiting == MOST


async def test_who_was_refused_is_counted_once_though_cut_before_it_went(house: House) -> None:
    lobby, transport = house.comes()
    lobby.data_received(b"GET / HTTP/1.1\r\n")

    house.door.clear()

    assert transport.aborted
    assert (house.door.refused, house.waiting) == (1, 0)


@pytest.mark.parametrize(("peer", "is_local"), [(HERE, True), ("::1", True), (ELSEWHERE, False)])
async def test_the_room_for_health_checks_is_asked_for_by_where_they_are_from(
    house: House, peer: str, *, is_local: bool
) -> None:
    lobby, _ = house.comes(peer)

    lobby.data_received(b"GET /health HTTP/1.1\r\n\r\n")

    assert house.asked == [is_local]


async def test_who_goes_before_asking_leaves_nothing_behind(house: House) -> None:
    lobby, transport = house.comes(ask_within_s=0)

    lobby.connection_lost(None)
    await asyncio.sleep(0.001)

    assert transport.written == b""
    assert (house.door.refused, house.waiting) == (0, 0)
