"""Bodies: small, in time, JSON, or a clear refusal."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.web.world import Client, Serve, World

URL = "/api/v1/config"
AS_JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"{'a': 1}",
        b'{"min_confidence": NaN}',
        b'{"min_confidence": Infinity}',
        b'{"min_confidence": 1e999}',
        b'{"min_confidence": 1e-999}',
        b'{"min_confidence": -0.001E-400}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": "\xff"}',
        b'{"ai_model": "\\ud800"}',
        b'{"ai_model": "a\\u0000b"}',
        b"[" * 60_000,  # json.loads would answer with RecursionError
        b'{"a":' * 10_000,
        b"[1]",
        b'"text"',
        b"null",
        b"1",
    ],
)
async def test_what_is_no_json_object_is_refused(client: Client, world: World, raw: bytes) -> None:
    answer = await client.patch(URL, data=raw, headers=AS_JSON)

    body = await answer.json()
    assert answer.status == 400
    assert body["type"].endswith(":invalid-request")
    assert body["detail"]
    assert world.setting_rows.history == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_a_body_that_a_form_could_send_is_refused(
    client: Client, world: World, content_type: str
) -> None:
    raw = b'{"trading_enabled": true}'

    answer = await client.patch(URL, data=raw, headers={"Content-Type": content_type})

    assert answer.status == 415
    assert (await answer.json())["type"].endswith(":not-json")
    assert world.setting_rows.history == []


async def test_a_charset_beside_the_type_is_fine(client: Client) -> None:
    answer = await client.patch(
        URL,
        data=b'{"trading_enabled": true}',
        headers={"Content-Type": "Application/JSON; charset=utf-8"},
    )

    assert answer.status == 200


async def test_a_body_over_the_bound_is_refused(client: Client) -> None:
    answer = await client.patch(URL, data=b'"' + b"a" * 70_000 + b'"', headers=AS_JSON)

    assert answer.status == 413
    assert (await answer.json())["type"].endswith(":body-too-large")


async def test_a_body_that_grows_over_the_bound_on_the_way_is_refused(client: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b"a" * 1000

    answer = await client.patch(URL, data=pieces(), headers=AS_JSON)

    body = await answer.json()
    assert answer.status == 413
    assert body["type"].endswith(":body-too-large")
    assert body["detail"] == "a body may have 65536 bytes"
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize("zero", [b"0.0", b"-0.0", b"0e-999", b"0.00E5"])
async def test_a_zero_may_be_written_in_any_way(client: Client, zero: bytes) -> None:
    answer = await client.patch(URL, data=b'{"min_confidence": %b}' % zero, headers=AS_JSON)

    assert answer.status == 200


async def test_a_compressed_body_counts_as_what_it_becomes(client: Client) -> None:
    bomb = gzip.compress(b" " * 5_000_000)

    answer = await client.patch(URL, data=bomb, headers=AS_JSON | {"Content-Encoding": "gzip"})

    assert answer.status == 413


async def test_a_body_that_is_not_compressed_as_it_says_is_refused(client: Client) -> None:
    answer = await client.patch(
        URL, data=b'{"a": 1}', headers=AS_JSON | {"Content-Encoding": "gzip"}
    )

    assert answer.status == 400


async def test_a_body_that_does_not_arrive_in_time_is_given_up(world: World, serve: Serve) -> None:
    world.body_within_s = 0.05
    client = await serve(world)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        b"PATCH /api/v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 100\r\n\r\n{"half":'
    )

    async with asyncio.timeout(10):
        status = await reader.readline()
        rest = await reader.readuntil(b"\r\n\r\n")

    assert status == b"HTTP/1.1 408 Request Timeout\r\n"
    assert b"application/problem+json" in rest
    writer.close()
    await writer.wait_closed()


async def test_a_caller_who_hangs_up_in_the_middle_is_no_bug_of_ours(
    client: Client, world: World, lines: list[dict[str, Any]]
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        b"PATCH /api/v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 100\r\n\r\n{"half":'
    )
    await writer.drain()

    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(10):
        await world.log.heard.wait()

    assert [line["status"] for line in world.log.lines] == [400]
    assert lines == []


# --- what two programs could read differently -------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (b'{"min_confidence": 0.7, "min_confidence": 0.2}', "min_confidence"),
        (b'{"trading_enabled": false, "trading_\\u0065nabled": true}', "trading_enabled"),
        (b'{"": 1, "": 2}', ""),
        (b'{"a": [{"b": {"c": 1, "c": 1}}]}', "c"),
        (b'{"' + b"k" * 500 + b'": 1, "' + b"k" * 500 + b'": 2}', "k" * 40),
    ],
)
async def test_a_key_that_stands_twice_is_refused(
    client: Client, world: World, raw: bytes, key: str
) -> None:
    answer = await client.patch(URL, data=raw, headers=AS_JSON)

    body = await answer.json()
    assert (answer.status, body["type"]) == (400, "urn:trader:problem:invalid-request")
    assert body["detail"] == f"the body has {key!r} twice: each key stands once"
    assert world.setting_rows.history == []


async def test_the_same_key_in_two_objects_stands_once_in_each(client: Client) -> None:
    answer = await client.patch(URL, data=b'{"a": {"b": 1}, "c": {"b": 1}}', headers=AS_JSON)

    assert "twice" not in (await answer.json())["detail"]


async def test_a_number_of_many_digits_is_no_bug_of_ours(client: Client) -> None:
    raw = b'{"min_confidence": ' + b"9" * 60_000 + b"}"

    assert (await client.patch(URL, data=raw, headers=AS_JSON)).status in {400, 422}


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "us-ascii", "utf-7", "x", "\xff"])
async def test_another_charset_than_utf_8_is_refused(
    client: Client, world: World, charset: str
) -> None:
    as_other = {"Content-Type": f"application/json; charset={charset}"}

    answer = await client.patch(URL, data=b'{"min_confidence": 0.7}', headers=as_other)

    assert answer.status == 415
    assert world.setting_rows.history == []


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8"])
async def test_utf_8_may_be_said(client: Client, charset: str) -> None:
    as_utf_8 = {"Content-Type": f"application/json; charset={charset}"}

    answer = await client.patch(URL, data=b'{"min_confidence": 0.7}', headers=as_utf_8)

    assert answer.status == 200


@pytest.mark.parametrize(
    "coding", ["deflate", "br", "zstd", "x-gzip", "gzip, gzip", "gzip, identity", "rot13", ""]
)
async def test_a_coding_that_is_not_unpacked_here_is_refused(
    client: Client, world: World, coding: str
) -> None:
    raw = b'{"min_confidence": 0.7}'

    answer = await client.patch(URL, data=raw, headers=AS_JSON | {"Content-Encoding": coding})

    assert answer.status == 415
    assert (await answer.json())["type"].endswith(":not-json")
    assert world.setting_rows.history == []


@pytest.mark.parametrize("coding", ["gzip", "GZip"])
async def test_a_packed_body_is_unpacked(client: Client, world: World, coding: str) -> None:
    packed = gzip.compress(b'{"min_confidence": 0.7}')

    answer = await client.patch(URL, data=packed, headers=AS_JSON | {"Content-Encoding": coding})

    assert answer.status == 200
    assert [row.key for row in world.setting_rows.history] == ["min_confidence"]


@pytest.mark.parametrize("cut", [1, 8, 12])
async def test_a_packed_body_that_is_cut_short_is_refused(
    client: Client, world: World, cut: int
) -> None:
    packed = gzip.compress(b'{"min_confidence": 0.7}')[:-cut]

    answer = await client.patch(URL, data=packed, headers=AS_JSON | {"Content-Encoding": "gzip"})

    assert answer.status == 400
    assert world.setting_rows.history == []


@pytest.mark.parametrize("more", [b"x", gzip.compress(b" ", mtime=0), b"\x00" * 8], ids=repr)
async def test_more_after_the_end_of_a_packed_body_is_refused(
    client: Client, world: World, more: bytes
) -> None:
    packed = gzip.compress(b'{"min_confidence": 0.7}') + more

    answer = await client.patch(URL, data=packed, headers=AS_JSON | {"Content-Encoding": "gzip"})

    assert answer.status == 400
    assert world.setting_rows.history == []
