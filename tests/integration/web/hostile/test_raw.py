"""Bytes to the port: requests cut, mixed and mutated. Each connection ends, and none breaks it."""

import asyncio
import random
from typing import Final

from tests.integration.web.hostile.conftest import Attacked
from tests.unit.web.raw_http import SAFETY_S, answers_in, passes
from tests.unit.web.test_server import UNREADABLE

SEED: Final = 20261128
MUTATIONS: Final = 1_500
TIDY: Final = (
    b"GET /api/v1/config HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET /api/v1/signals?limit=5 HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, br\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\nabc",
    (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nabc"
    ),
    (
        b"PATCH /api/v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 8\r\n\r\n{"a": 1}'
    ),
    (
        b"POST /api/v1/risk/resume HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'4\r\n{"a"\r\n4;x=y\r\n: 1}\r\n0\r\nX: y\r\n\r\n'
    ),
    (
        b"POST /api/v1/trading/orders HTTP/1.1\r\nHost: localhost\r\n"
        b'Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{"'
    ),
)
PIECES: Final = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b" ",
    b"\t",
    b":",
    b"0\r\n\r\n",
    b"\r\n\r\n",
    b"HTTP/1.1",
    b"HTTP/9.9",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"Host: evil\r\n",
    b"Expect: x\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Upgrade: h2c\r\n",
    b"ffffffffffffffff\r\n",
    b"X-Forwarded-For: 1\r\n",
    b"Range: bytes=0-\r\n",
    b'If-None-Match: "\r\n',
    b"Cookie: a=b; \xff\r\n",
)


async def statuses(port: int, raw: bytes, *, cut_at: int) -> list[int]:
    """Send it in two parts, then nothing more; the server has to end the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in (raw[:cut_at], raw[cut_at:]):
            writer.write(part)
            await passes()
        writer.write_eof()
        async with asyncio.timeout(SAFETY_S):
            return [answer.status for answer in answers_in(await reader.read())]
    except (ConnectionError, OSError):
        return []
    finally:
        writer.close()


async def test_no_mutation_of_requests_hangs_or_breaks_the_service(attacked: Attacked) -> None:
    rng = random.Random(SEED)
    heard: list[int] = []
    for _ in range(MUTATIONS):
        raw = _mutated(rng)
        heard += await statuses(attacked.port, raw, cut_at=rng.randrange(len(raw) + 1))

    assert len(heard) > MUTATIONS // 3
    assert [status for status in heard if status >= 500] == []
    assert {200, 400} <= set(heard)


async def test_what_is_no_request_ends_its_connection_only(attacked: Attacked) -> None:
    kept = await asyncio.open_connection("127.0.0.1", attacked.port)
    for raw in UNREADABLE.values():
        assert await statuses(attacked.port, raw, cut_at=len(raw)) == [400]

    reader, writer = kept
    writer.write(TIDY[0])
    async with asyncio.timeout(SAFETY_S):
        line = await reader.readline()
    writer.close()
    assert line == b"HTTP/1.1 200 OK\r\n"


def _mutated(rng: random.Random) -> bytes:
    raw = bytearray(b"".join(rng.choices(TIDY, k=rng.choice((1, 1, 1, 2)))))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(raw))
        match rng.randrange(5):
            case 0:
                raw[at] = rng.randrange(256)
            case 1:
                del raw[at : at + rng.randrange(1, 9)]
            case 2:
                raw[at:at] = rng.choice(PIECES)
            case 3:
                line = raw.find(b"\r\n", at)
                raw[line + 2 : line + 2] = rng.choice(PIECES)
            case _:
                raw[at:at] = raw[at : at + rng.randrange(1, 40)] * rng.choice((1, 1, 300))
        if not raw:
            return b"\r\n"
    return bytes(raw)
