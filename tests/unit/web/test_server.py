"""What aiohttp answers by itself, and where its parser is too kind: raw bytes to the port."""

import asyncio
import gzip
from contextlib import suppress

import pytest
from aiohttp.test_utils import TestServer

from service.web.server import KEEP_ALIVE_S, ApiRunner
from tests.fakes.logs import Logs
from tests.unit.web.raw_http import SAFETY_S, RawAnswer, answers_in, exchanged, passes, statuses
from tests.unit.web.world import Client, Serve, World

CANARY = "canary-token"
HOST = b"Host: localhost\r\n"
GET = b"GET /api/v1/config HTTP/1.1\r\n" + HOST
LAST = b"Connection: close\r\n"
PATCH = b"PATCH /api/v1/config HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n"
LINGER_S = 10.0  #: so long aiohttp reads the rest of a body after its answer
TIDY = b'{"min_confidence": 0.7}'
AS_CHUNK = b"%x\r\n%b\r\n" % (len(TIDY), TIDY)
SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
}

#: No requests at all; a token stands in each.
UNREADABLE = {
    "no method": b"Bearer canary-token\r\n\r\n",
    "a line too long": b"GET /" + b"canary-token" * 1000 + b" HTTP/1.1\r\n" + HOST + END,
    "a header without a colon": GET + b"Authorization Bearer canary-token\r\n\r\n",
    "a header too long": GET + b"Authorization: " + b"canary-token" * 1000 + END + END,
    "a control character": GET + b"Authorization: Bearer canary-token\x00\r\n\r\n",
    "a folded header": GET + b"A: b\r\n canary-token\r\n\r\n",
    "too many headers": GET + b"A: canary-token\r\n" * 200 + END,
    "no host": b"GET /canary-token HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"Host: canary-token\r\n\r\n",
    "two lengths": PATCH
    + b"Content-Length: 5\r\nContent-Length: 6\r\nA: canary-token\r\n\r\nabcde",
    "a length that is none": PATCH + b"Content-Length: canary-token\r\n\r\n",
    "a length and chunks": PATCH + b"Content-Length: 5\r\nA: canary-token\r\n" + CHUNKED,
    "another coding of transfer": PATCH + b"Transfer-Encoding: canary-token\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\nHost: localhost\nA: canary-token\n\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00canary-token\r\n\r\n",
    "an address that is none": b"GET http:///canary-token HTTP/1.1\r\n" + HOST + END,
}


def is_problem(answer: RawAnswer, kind: str) -> bool:
    """Whether it has the form of every answer that ends its connection."""
    body = answer.json()
    return (
        answer.headers["content-type"] == "application/problem+json"
        and answer.headers["x-request-id"] == body["request_id"]
        and answer.headers["connection"] == "close"
        and answer.headers.items() >= SECURITY.items()
        and "server" not in answer.headers
        and body["status"] == answer.status
        and body["type"].endswith(f":{kind}")
    )


def port_of(client: Client) -> int:
    assert client.port is not None
    return client.port


# --- what is no request -----------------------------------------------------------------------


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_is_no_request_gets_a_problem_that_repeats_nothing_of_it(
    logs: Logs, client: Client, raw: bytes
) -> None:
    (answer,) = await exchanged(port_of(client), raw)

    assert answer.line == "HTTP/1.1 400 Bad Request"
    assert is_problem(answer, "invalid-request")
    said = f"{answer.line}{answer.headers}{answer.body!r}{logs.raw!r}".lower()
    assert CANARY not in said
    assert "aiohttp" not in said
    assert "python" not in said


async def test_what_is_no_request_is_one_line_and_counted(
    logs: Logs, client: Client, world: World
) -> None:
    await exchanged(port_of(client), UNREADABLE["no method"])

    (line,) = logs.of("http")
    assert line | {"timestamp": "", "seq": 0} == line | {
        "timestamp": "",
        "seq": 0,
        "level": "INFO",
        "route": "unmatched",
        "status": 400,
        "error": "BadHttpMethod",
        "request_id": "r-1",
    }
    counted = {labels for labels, _ in world.counters.requests.series()}
    assert counted == {("unmatched", "OTHER", 400)}


async def test_nothing_is_read_after_what_is_no_request(client: Client) -> None:
    """Or memory would fill with the errors of what follows."""
    answers = await exchanged(port_of(client), UNREADABLE["no method"], b"rubbish\r\n" * 50)

    assert statuses(answers) == [400]


# --- expectations -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [b"/api/v1/config", b"/canary-token", b"/health"])
async def test_an_expectation_that_is_not_met_is_a_problem(client: Client, path: bytes) -> None:
    raw = b"PATCH " + path + b" HTTP/1.1\r\n" + HOST + b"Expect: canary-token\r\n\r\n"

    (answer,) = await exchanged(port_of(client), raw)

    assert answer.status == 417
    assert is_problem(answer, "expectation-failed")
    assert CANARY not in f"{answer.headers}{answer.body!r}"


async def test_a_caller_that_waits_for_the_word_to_go_on_gets_it(client: Client) -> None:
    head = PATCH + LAST + b"Expect: 100-Continue\r\nContent-Length: %d\r\n\r\n" % len(TIDY)

    (answer,) = await exchanged(port_of(client), head, TIDY)

    assert answer.status == 200


async def test_a_refusal_before_the_route_keeps_the_callers_id(client: Client) -> None:
    raw = GET + b"Expect: much\r\nX-Request-ID: mine\r\n\r\n"

    (answer,) = await exchanged(port_of(client), raw)

    assert (answer.headers["x-request-id"], answer.json()["request_id"]) == ("mine", "mine")


# --- where a request ends ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        PATCH.replace(b"1.1", b"1.0") + CHUNKED + AS_CHUNK + b"0\r\n\r\n",
        PATCH.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n" + CHUNKED + b"0\r\n\r\n",
        PATCH + b"Transfer-Encoding:\r\nContent-Length: %d\r\n\r\n" % len(TIDY) + TIDY,
        PATCH + b"Transfer-Encoding:  \r\nContent-Length: 0\r\n\r\n",
        PATCH + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nabcde",
        PATCH + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        PATCH + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_a_request_whose_end_is_not_certain_is_refused_and_its_connection_closed(
    client: Client, world: World, raw: bytes
) -> None:
    answers = await exchanged(port_of(client), raw + GET + END)

    assert statuses(answers) == [400]
    assert is_problem(answers[0], "invalid-request")
    assert world.setting_rows.history == []


@pytest.mark.parametrize("version", [b"0.9", b"1.2", b"1.9", b"2.0", b"3.0"])
async def test_another_version_is_not_spoken(client: Client, version: bytes) -> None:
    (answer,) = await exchanged(port_of(client), GET.replace(b"1.1", version) + END)

    assert answer.status == 400
    assert is_problem(answer, "invalid-request")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5\r\n\r\nabcde",
        b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
        CHUNKED + b"0\r\n\r\n",
    ],
)
async def test_a_body_that_nothing_reads_is_refused(
    logs: Logs, client: Client, method: bytes, rest: bytes
) -> None:
    answers = await exchanged(port_of(client), GET.replace(b"GET", method, 1) + rest + GET + END)

    assert statuses(answers) == [400]
    assert {line["level"] for line in logs.lines} <= {"DEBUG", "INFO"}


async def test_a_length_of_nothing_is_no_body(client: Client) -> None:
    (answer,) = await exchanged(port_of(client), GET + LAST + b"Content-Length: 0\r\n\r\n")

    assert answer.status == 200


async def test_two_authorization_headers_are_refused(client: Client) -> None:
    tokens = b"Authorization: Bearer a-token\r\n" * 2

    (answer,) = await exchanged(port_of(client), GET + LAST + tokens + END)

    assert answer.status == 401
    assert answer.json()["detail"] == "send one Authorization header, not several"


async def test_the_host_of_an_absolute_address_is_no_origin_of_ours(
    client: Client, world: World
) -> None:
    head = PATCH.replace(b"/api", b"http://evil.example/api", 1) + LAST
    origin = b"Origin: http://evil.example\r\nContent-Length: %d\r\n\r\n" % len(TIDY)

    (answer,) = await exchanged(port_of(client), head + origin + TIDY)

    assert answer.status == 403
    assert answer.json()["type"].endswith(":cross-site")
    assert world.setting_rows.history == []


# --- bodies that break ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", [b"xyz\r\n", b"5\r\nabcdefgh\r\n", b"-1\r\n\r\n", b"0\r\nno colon\r\n"]
)
@pytest.mark.parametrize("before", [b"", AS_CHUNK])
async def test_a_bad_chunk_after_the_head_is_told_at_once(
    logs: Logs, client: Client, world: World, bad: bytes, before: bytes
) -> None:
    answers = await exchanged(port_of(client), PATCH + CHUNKED, before + bad)

    # The test's own time limit is longer than the body's: it asks for the status.
    assert statuses(answers) == [400]
    assert is_problem(answers[0], "invalid-request")
    assert "cut off" in answers[0].json()["detail"]
    assert world.setting_rows.history == []
    assert {line["level"] for line in logs.lines} <= {"DEBUG", "INFO"}


@pytest.mark.parametrize("path", [b"/nothing", b"/api/v1/config"])
async def test_a_bad_chunk_of_a_body_that_is_not_read_is_no_bug_of_ours(
    logs: Logs, client: Client, path: bytes
) -> None:
    head = b"PATCH " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Type: text/plain\r\n" + CHUNKED

    answers = await exchanged(port_of(client), head, b"xyz\r\n", b"more\r\n")

    assert statuses(answers) == [404 if path == b"/nothing" else 415]
    assert {line["level"] for line in logs.lines} <= {"DEBUG", "INFO"}


async def test_a_body_that_breaks_before_its_request_is_handled_is_answered_once(
    client: Client,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(client))
    await passes()
    assert client.server.handler is not None
    (connection,) = client.server.handler.connections

    # Two segments before the handler begins; over a socket they would be read as one.
    connection.data_received(b"PATCH /nothing HTTP/1.1\r\n" + HOST + CHUNKED)
    connection.data_received(b"xyz\r\n")
    async with asyncio.timeout(SAFETY_S):
        answers = answers_in(await reader.read())
    writer.close()

    assert statuses(answers) == [404]


async def test_a_bad_chunk_ends_a_change_whose_json_was_complete(
    client: Client, world: World
) -> None:
    await exchanged(port_of(client), PATCH + CHUNKED + AS_CHUNK, b"zz\r\n")
    await exchanged(port_of(client), PATCH + CHUNKED + AS_CHUNK + b"zz\r\n")

    assert world.setting_rows.history == []


async def test_a_body_that_comes_too_late_ends_its_connection(world: World, serve: Serve) -> None:
    world.body_within_s = 0.05
    client = await serve(world)

    (answer,) = await exchanged(port_of(client), PATCH + b"Content-Length: 100\r\n\r\n{")

    assert answer.status == 408
    assert is_problem(answer, "body-too-slow")


async def test_a_connection_that_is_lost_within_an_unread_body_is_forgotten_at_once(
    logs: Logs, client: Client
) -> None:
    server = client.server.handler
    assert server is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(client))
    writer.write(b"PATCH /nothing HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n{")
    async with asyncio.timeout(SAFETY_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")

    writer.transport.abort()
    async with asyncio.timeout(LINGER_S / 2):
        while server.connections:  # noqa: ASYNC110 - aiohttp has no event for it
            await asyncio.sleep(0.001)

    assert {line["level"] for line in logs.lines} <= {"DEBUG", "INFO"}


# --- packed bodies ----------------------------------------------------------------------------


async def test_a_packed_change_is_made(client: Client) -> None:
    packed = gzip.compress(TIDY)
    head = PATCH + LAST + b"Content-Encoding: GZIP\r\nContent-Length: %d\r\n\r\n" % len(packed)

    (answer,) = await exchanged(port_of(client), head + packed)

    assert answer.status == 200


# --- bounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [GET.replace(b" HTTP", b"?%b HTTP"), GET + b"A: %b\r\n"])
async def test_a_line_of_a_head_is_bounded(client: Client, head: bytes) -> None:
    """aiohttp's bound of 8,190 bytes, for the address and for each header with its name."""
    filled = [head % (b"a" * size) + LAST + END for size in (8_000, 8_191)]

    short, long = [(await exchanged(port_of(client), raw))[0].json() for raw in filled]

    assert "too long" not in short.get("detail", "")
    assert "too long" in long["detail"]


@pytest.mark.parametrize(("count", "status"), [(120, 200), (130, 400)])
async def test_the_headers_are_bounded(client: Client, count: int, status: int) -> None:
    raw = GET + LAST + b"".join(b"A%d: b\r\n" % number for number in range(count)) + END

    (answer,) = await exchanged(port_of(client), raw)

    assert answer.status == status


@pytest.mark.parametrize("begun", [b"", b"GET /api/v1/config HTTP/1.1\r\nHost: localhost\r\nA: "])
async def test_a_head_that_never_ends_is_cut_however_often_a_byte_of_it_comes(
    world: World, begun: bytes
) -> None:
    """Slowloris. The bound is that of a connection between two requests."""
    server = TestServer(world.app())
    server._make_runner = lambda **_: _made(ApiRunner(server.app, keepalive_timeout=0.2))  # type: ignore[method-assign]
    async with server:
        assert server.port is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(begun)
        async with asyncio.timeout(SAFETY_S):
            with suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"a" if begun else b"")
                    with suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1), 0.01)
        writer.close()

    assert reader.at_eof() or reader.exception() is not None


async def _made(runner: ApiRunner) -> ApiRunner:
    return runner


def test_the_production_cuts_it_after_a_minute_and_a_quarter() -> None:
    assert KEEP_ALIVE_S == 75
