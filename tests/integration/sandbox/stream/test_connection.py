"""Connections: pings, idle ends, errors, limits, slow readers, and the sandbox's end."""

import asyncio
import json
from contextlib import AsyncExitStack
from decimal import Decimal

import aiohttp
import pytest

from service.domain.markets import Market
from service.sandbox.options import SandboxOptions
from service.sandbox.server import open_sandbox
from service.sandbox.stream import connection
from tests.integration.sandbox.client import Client
from tests.integration.sandbox.stream.streamed import (
    ASSETS,
    PATIENCE_S,
    TICKER,
    TRADE,
    advance,
    private,
    public,
)

BINARY, PONG = aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.PONG


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_text", "name"),
    [
        ("nonsense", "WRONG_FORMAT"),
        ("[" * 100_000, "WRONG_FORMAT"),
        ('{"ticket":"a"}', "WRONG_FORMAT"),
        ('[{"ticket":"a"},"ticker"]', "WRONG_FORMAT"),
        ('[{"ticket":"a"},{"ticket":"b"},{"type":"ticker","codes":["KRW-BTC"]}]', "WRONG_FORMAT"),
        ('[{"type":"ticker","codes":["KRW-BTC"]}]', "NO_TICKET"),
        ('[{"ticket":""},{"type":"ticker","codes":["KRW-BTC"]}]', "NO_TICKET"),
        ('[{"ticket":"a"}]', "NO_TYPE"),
        ('[{"ticket":"a"},{"codes":["KRW-BTC"]}]', "NO_TYPE"),
        ('[{"ticket":"a"},{"type":"ticker"}]', "NO_CODES"),
        ('[{"ticket":"a"},{"type":"ticker","codes":[]}]', "NO_CODES"),
        ('[{"ticket":"a"},{"type":"ticker","codes":"KRW-BTC"}]', "INVALID_PARAM"),
        ('[{"ticket":"a"},{"type":"ticker","codes":[7]}]', "INVALID_PARAM"),
        ('[{"ticket":"a"},{"type":"kline","codes":["KRW-BTC"]}]', "INVALID_PARAM"),
        ('[{"ticket":"a"},{"type":"candle.2m","codes":["KRW-BTC"]}]', "INVALID_PARAM"),
        ('[{"ticket":"a"},{"type":["ticker"],"codes":["KRW-BTC"]}]', "INVALID_PARAM"),
        ('[{"ticket":"a"},{"method":"UNSUBSCRIBE"}]', "INVALID_PARAM"),
        (
            '[{"ticket":"a"},{"type":"ticker","codes":["KRW-BTC"],"is_only_snapshot":1}]',
            "INVALID_PARAM",
        ),
        (
            '[{"ticket":"a"},{"type":"ticker","codes":["KRW-BTC"]},{"format":"XML"}]',
            "INVALID_PARAM",
        ),
    ],
)
async def test_a_wrong_request_is_an_error_frame_and_the_connection_serves_on(
    client: Client, request_text: str, name: str
) -> None:
    async with public(client) as stream:
        await stream.socket.send_str(request_text)
        assert await stream.error() == name

        await stream.ask(TICKER)
        assert (await stream.read())["type"] == "ticker"


async def test_a_request_may_be_a_binary_frame(client: Client) -> None:
    async with public(client) as stream:
        await stream.socket.send_bytes(json.dumps([{"ticket": "a"}, TICKER]).encode())

        assert (await stream.read())["type"] == "ticker"


async def test_a_request_without_an_upgrade_is_400(client: Client) -> None:
    async with client.session.get(f"{client.url}/websocket/v1") as answer:
        assert answer.status == 400


# --- pings and idleness ---------------------------------------------------------------------------


async def test_a_text_ping_is_answered_with_the_status(client: Client) -> None:
    async with public(client) as stream:
        await stream.socket.send_str("PING")

        assert await stream.read() == {"status": "UP"}


async def test_a_ping_frame_is_answered_with_a_pong(client: Client) -> None:
    async with public(client, autoping=False) as stream:
        await stream.socket.ping(b"still there?")
        message = await stream.socket.receive(timeout=PATIENCE_S)

    assert (message.type, message.data) == (PONG, b"still there?")


async def test_a_connection_without_data_is_closed(session: aiohttp.ClientSession) -> None:
    options = SandboxOptions(speed=Decimal(0), stream_idle_s=0.05)
    async with open_sandbox(options) as sandbox, public(Client(session, sandbox)) as stream:
        message = await stream.end()

    assert message.type is aiohttp.WSMsgType.CLOSE
    assert message.data == 1000


# --- limits ---------------------------------------------------------------------------------------


async def test_too_many_requests_are_refused_and_then_blocked(
    session: aiohttp.ClientSession,
) -> None:
    options = SandboxOptions(speed=Decimal(0), rate_limits=True)
    async with open_sandbox(options) as sandbox, public(Client(session, sandbox)) as stream:
        # Twenty a second and more, wherever the second begins.
        for _ in range(40):
            await stream.socket.send_str("[]")
        names = [await stream.error() for _ in range(40)]

    assert names[0] == "NO_TICKET"
    assert {"Too Many Requests", "I'm a teapot"} <= set(names)


async def many_handshakes(client: Client) -> None:
    for _ in range(40):
        async with public(client):
            pass


async def test_too_many_handshakes_are_429(session: aiohttp.ClientSession) -> None:
    async with open_sandbox(SandboxOptions(speed=Decimal(0), rate_limits=True)) as sandbox:
        client = Client(session, sandbox)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await many_handshakes(client)

    assert caught.value.status == 429


async def test_too_many_private_connections_are_429(client: Client) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(private(client))
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await stack.enter_async_context(private(client))

    assert caught.value.status == 429


# --- readers that do not read ---------------------------------------------------------------------


async def test_a_slow_reader_is_cut_off_and_delays_no_other(client: Client) -> None:
    megabyte = {"do": "send", "size": 1024 * 1024}
    async with public(client) as slow, public(client) as quick:
        for stream in (slow, quick):
            await stream.ask(TICKER)
            await stream.read()
        read = 0
        # `slow` reads nothing from here on; `quick` reads each frame before the next is sent.
        for _ in range(64):
            await client.control("POST", "stream", json=megabyte)
            message = await quick.socket.receive(timeout=PATIENCE_S)
            assert message.type is BINARY
            read += len(message.data)
            left = (await client.control("GET", "stream"))["connections"]
            if len(left) == 1:
                break
        await advance(client)

        assert (await quick.read())["type"] == "ticker"
        assert len(left) == 1
        assert read > connection.MOST_QUEUED
        assert (await slow.end()).type is not BINARY


async def test_the_sandbox_says_goodbye_when_it_stops(session: aiohttp.ClientSession) -> None:
    async with AsyncExitStack() as client_side:
        async with open_sandbox(SandboxOptions(speed=Decimal(0))) as sandbox:
            opened = public(Client(session, sandbox))
            stream = await client_side.enter_async_context(opened)
            await stream.ask(TICKER)
            await stream.read()
            ending = asyncio.ensure_future(stream.end())
        message = await ending

    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)


# --- control --------------------------------------------------------------------------------------


async def test_a_silent_feed_sends_nothing_and_answers_pings(client: Client) -> None:
    async with public(client, autoping=False) as stream:
        await stream.ask(TICKER)
        await stream.read()
        await client.control("POST", "stream", json={"do": "silence"})
        await advance(client)
        await stream.socket.ping(b"x")
        pong = await stream.socket.receive(timeout=PATIENCE_S)
        await client.control("POST", "stream", json={"do": "speak"})
        await advance(client)

        assert pong.type is PONG
        assert (await stream.read())["type"] == "ticker"
        assert await stream.is_alone()


async def test_a_silence_may_concern_one_type_or_one_market(client: Client) -> None:
    silence = {"do": "silence", "types": ["ticker"], "codes": ["KRW-BTC"]}
    await client.control("POST", "stream", json=silence)
    async with public(client) as stream:
        await stream.ask(TICKER, TRADE)

        assert (await stream.read())["type"] == "trade"
        assert await stream.is_alone()
    assert (await client.control("GET", "stream"))["silence"] == {
        "types": ["ticker"],
        "codes": ["KRW-BTC"],
        "pongs": True,
    }


async def test_a_dead_feed_does_not_even_answer_pings(client: Client) -> None:
    async with public(client, autoping=False) as stream:
        await client.control("POST", "stream", json={"do": "silence", "pongs": False})
        await stream.socket.ping(b"x")
        await stream.socket.send_str("PING")

        assert await stream.is_alone()


async def test_connections_are_dropped_and_closed_by_side(client: Client) -> None:
    async with public(client) as market, private(client) as account:
        await account.ask(ASSETS)
        assert await account.is_alone()
        dropped = await client.control("POST", "stream", json={"do": "drop", "side": "public"})
        reset = await market.end()
        close = {"do": "close", "side": "private", "code": 4000}
        await client.control("POST", "stream", json=close)
        closed = await account.end()

    assert dropped == {"connections": 1}
    assert reset.type in (aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED)
    assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 4000)


async def test_a_frame_is_sent_as_a_burst(client: Client) -> None:
    async with public(client) as stream:
        assert await stream.is_alone()
        body = {"do": "send", "text": "{", "times": 1000}
        await client.control("POST", "stream", json=body)
        frames = [(await stream.socket.receive(timeout=PATIENCE_S)).data for _ in range(1000)]

    assert frames == [b"{"] * 1000


async def test_any_bytes_are_sent_as_a_frame(client: Client) -> None:
    async with public(client) as stream:
        assert await stream.is_alone()
        for sent in ({"text": "{"}, {"bytes_base64": "/w=="}, {"text": "[]", "size": 5_000_000}):
            await client.control("POST", "stream", json={"do": "send"} | sent)
        frames = [(await stream.socket.receive(timeout=PATIENCE_S)).data for _ in range(3)]

    assert frames[:2] == [b"{", b"\xff"]
    assert (len(frames[2]), json.loads(frames[2])) == (5_000_000, [])


@pytest.mark.parametrize(
    "body",
    ["", "[]", '{"do":"explode"}', '{"do":"send","bytes_base64":"?"}', '{"do":"drop","x":1}'],
)
async def test_a_wrong_control_request_is_400_and_changes_nothing(
    client: Client, body: str
) -> None:
    async with client.session.post(f"{client.url}/__sandbox__/stream", data=body) as answer:
        assert answer.status == 400


async def test_a_handshake_meets_the_fault_plan(client: Client) -> None:
    plan = [{"path": "/websocket/v1", "status": 503, "times": 1}]
    await client.control("POST", "faults", json=plan)

    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with public(client):
            pass
    async with public(client) as stream:
        await stream.ask(TICKER)
        assert (await stream.read())["type"] == "ticker"

    assert caught.value.status == 503


# --- time -----------------------------------------------------------------------------------------


async def test_on_a_clock_that_runs_frames_come_by_themselves(
    session: aiohttp.ClientSession,
) -> None:
    async with (
        open_sandbox(SandboxOptions(speed=Decimal(600))) as sandbox,
        public(Client(session, sandbox)) as stream,
    ):
        await stream.ask(TRADE)
        trades = [await stream.read() for _ in range(20)]

    ids = [trade["sequential_id"] for trade in trades]
    assert ids == sorted(set(ids))


async def test_the_snapshots_of_many_markets_are_followed_by_each_market_s_own_news(
    session: aiohttp.ClientSession,
) -> None:
    markets = tuple(Market("KRW", f"C{number}") for number in range(12))
    codes = [str(market) for market in markets]
    async with open_sandbox(SandboxOptions(speed=Decimal(0), markets=markets)) as sandbox:
        client = Client(session, sandbox)
        async with public(client) as stream:
            await stream.ask({"type": "ticker", "codes": codes})
            snapshots = [await stream.read() for _ in codes]
            await advance(client, 60)
            news = [await stream.read() for _ in codes]

            assert await stream.is_alone()

    assert [each["code"] for each in snapshots] == [each["code"] for each in news] == codes
    assert {each["stream_type"] for each in news} == {"REALTIME"}
