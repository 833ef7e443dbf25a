"""The stream's client over real sockets, against the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import orjson
import pytest

from service.adapters.upbit.sign import Signer
from service.adapters.upbit.stream.client import LONGEST_FRAME, UpbitStreams
from service.adapters.upbit.stream.reader import MOST_ODD, SLOW_DOWN_S
from service.domain.errors import BoundaryError, ExchangeRefused, ExchangeUnavailable
from service.domain.markets import Market
from service.ports.price_feed import PriceConnection
from service.sandbox.options import SandboxOptions
from service.sandbox.server import Sandbox, open_sandbox
from tests.builders import KRW_BTC
from tests.fakes.logs import Logs

PATIENCE_S = 30.0
KRW_ETH, UNKNOWN = Market("KRW", "ETH"), Market("KRW", "NONE")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Time stands still until a test moves it."""
    options = SandboxOptions(speed=Decimal(0), markets=(KRW_BTC, KRW_ETH))
    async with open_sandbox(options) as sandbox:
        yield sandbox


@pytest.fixture
def streams(session: aiohttp.ClientSession, sandbox: Sandbox) -> UpbitStreams:
    signer = Signer(sandbox.access_key, sandbox.secret_key)
    return UpbitStreams(session, url=sandbox.upbit_ws_url, signer=signer)


class Control:
    def __init__(self, session: aiohttp.ClientSession, sandbox: Sandbox) -> None:
        self._session, self._url = session, f"{sandbox.upbit_url}/__sandbox__"

    async def post(self, path: str, body: Any) -> Any:
        async with self._session.post(f"{self._url}/{path}", json=body) as answer:
            assert answer.ok, await answer.text()
            return await answer.json() if answer.content_type == "application/json" else None

    async def stream(self, do: str, **body: Any) -> Any:
        return await self.post("stream", {"do": do} | body)

    async def send(self, *frames: object) -> None:
        for frame in frames:
            text = frame if isinstance(frame, str) else orjson.dumps(frame).decode()
            await self.stream("send", text=text)


@pytest.fixture
def control(session: aiohttp.ClientSession, sandbox: Sandbox) -> Control:
    return Control(session, sandbox)


def a_frame(price: object = 100, code: str = "KRW-BTC", **rest: object) -> dict[str, object]:
    return {
        "type": "ticker", "code": code, "trade_price": price, "low_price": 1, "high_price": 1e9,
        "acc_trade_volume_24h": 1.5, "signed_change_rate": 0.1, "trade_timestamp": 1795841120000,
    } | rest  # fmt: skip


async def lost(connection: PriceConnection) -> BoundaryError:
    """Return what ends the connection, after whatever comes before it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await connection.prices(within_s=PATIENCE_S)
            except BoundaryError as exc:
                return exc


async def newest(
    connection: PriceConnection, *, is_enough: Callable[[dict[str, Any]], bool]
) -> Any:
    """Return the newest price by market, once there is enough."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(PATIENCE_S):
        while not is_enough(found):
            words = await connection.prices(within_s=PATIENCE_S)
            found |= {str(word.market): word.price for word in words}
    return found


async def test_the_present_prices_of_all_markets_come_first_over_one_connection(
    streams: UpbitStreams, control: Control
) -> None:
    async with streams.prices([KRW_BTC, KRW_ETH]) as connection:
        found = await newest(connection, is_enough=lambda found: len(found) == 2)
        told = await control.stream("speak")

    assert all(price > 0 for price in found.values())
    assert told == {"connections": 1}


async def test_a_market_that_upbit_does_not_know_is_silent_and_costs_the_others_nothing(
    streams: UpbitStreams,
) -> None:
    async with streams.prices([UNKNOWN, KRW_BTC]) as connection:
        assert await newest(connection, is_enough=bool) == {
            "KRW-BTC": pytest.approx(Decimal(123434000), rel=1)
        }
        assert await connection.prices(within_s=0.05) == []


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ({"do": "drop"}, "disconnected"),
        ({"do": "close", "code": 1001}, "disconnected"),
        ({"do": "send", "size": LONGEST_FRAME + 1}, "bad_answer"),
    ],
)
async def test_a_lost_connection_is_told_and_the_next_one_is_as_good(
    streams: UpbitStreams, control: Control, action: dict[str, Any], code: str
) -> None:
    async with streams.prices([KRW_BTC]) as connection:
        await newest(connection, is_enough=bool)
        await control.post("stream", action)
        failure = await lost(connection)

    assert isinstance(failure, ExchangeUnavailable)
    assert failure.code == code
    async with streams.prices([KRW_BTC]) as connection:
        assert await newest(connection, is_enough=bool)


async def test_a_socket_that_is_open_and_silent_is_found_by_its_missing_pongs(
    sandbox: Sandbox, session: aiohttp.ClientSession, control: Control
) -> None:
    signer = Signer(sandbox.access_key, sandbox.secret_key)
    hasty = UpbitStreams(session, url=sandbox.upbit_ws_url, signer=signer, ping_every_s=0.1)
    async with hasty.prices([KRW_BTC]) as connection:
        await newest(connection, is_enough=bool)
        await control.stream("silence", pongs=False)
        failure = await lost(connection)

    assert failure.code == "timeout"


async def test_garbage_costs_its_frame_and_one_warning(
    streams: UpbitStreams, control: Control
) -> None:
    async with streams.prices([KRW_BTC]) as connection:
        await newest(connection, is_enough=bool)
        with Logs.captured() as logs:
            await control.send("{", "[]", "7", '"x"', a_frame("NaN"), a_frame({}), a_frame(-1))
            await control.stream("send", bytes_base64="//79")
            await control.send(
                {"type": "new", "code": "KRW-BTC"}, {"status": "UP"}, a_frame(code="KRW-NONE"),
                a_frame(101, unknown_field=[1], market_state="NEW_STATE", change="SIDEWAYS"),
            )  # fmt: skip
            found = await newest(connection, is_enough=lambda found: found.get("KRW-BTC") == 101)

    assert found == {"KRW-BTC": 101}
    assert sorted({line["odd"] for line in logs.lines}) == ["not_json", "not_readable"]
    assert len(logs.lines) == 2


async def test_frames_that_are_all_odd_end_the_connection(
    streams: UpbitStreams, control: Control
) -> None:
    async with streams.prices([KRW_BTC]) as connection:
        await newest(connection, is_enough=bool)
        await control.send(*["{"] * MOST_ODD)
        failure = await lost(connection)

    assert failure.code == "bad_answer"


async def test_of_a_burst_the_newest_price_of_each_market_is_taken(
    streams: UpbitStreams, control: Control
) -> None:
    async with streams.prices([KRW_BTC, KRW_ETH]) as connection:
        await newest(connection, is_enough=lambda found: len(found) == 2)
        # Nothing is taken meanwhile, as by a process that is busy.
        for n in range(1, 201):
            await control.send(a_frame(n), a_frame(n + 0.5, "KRW-ETH"))
        before = connection.frames
        while connection.frames < before + 400 and connection.frames < 402:
            await control.stream("speak")
        words = await connection.prices(within_s=PATIENCE_S)

    assert {str(word.market): word.price for word in words} == {
        "KRW-BTC": 200, "KRW-ETH": Decimal("200.5"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "code", "asked_s"),
    [
        ("Too Many Requests", "too_many_requests", SLOW_DOWN_S),
        ("I'm a teapot", "banned", SLOW_DOWN_S),
    ],
)
async def test_upbits_word_to_slow_down_is_a_hold(
    streams: UpbitStreams, control: Control, name: str, code: str, asked_s: float
) -> None:
    async with streams.prices([KRW_BTC]) as connection:
        await control.send({"error": {"name": name, "message": "…"}})
        failure = await lost(connection)

    assert (failure.code, failure.retry_after_s) == (code, asked_s)


@pytest.mark.parametrize("error", [{"name": "NO_CODES"}, {"name": "<b>odd</b>" * 9}])
async def test_any_other_error_frame_is_a_refusal_whose_text_is_ours(
    streams: UpbitStreams, control: Control, error: dict[str, str]
) -> None:
    async with streams.prices([KRW_BTC]) as connection:
        await control.send({"error": error})
        failure = await lost(connection)

    assert isinstance(failure, ExchangeRefused)
    assert failure.code in {"no_codes", "unnamed"}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, ExchangeRefused, "http_401"), (403, ExchangeRefused, "http_403"),
        (429, ExchangeUnavailable, "too_many_requests"), (418, ExchangeUnavailable, "banned"),
        (500, ExchangeUnavailable, "http_500"), (502, ExchangeUnavailable, "http_502"),
    ],
)  # fmt: skip
async def test_a_refused_handshake_is_translated_and_shows_no_key(
    streams: UpbitStreams, control: Control, status: int, kind: type[BoundaryError], code: str
) -> None:
    await control.post("faults", [{"path": "/websocket/*", "status": status}])

    with pytest.raises(kind) as caught:
        async with streams.orders():
            pass

    assert caught.value.code == code
    assert (
        "Bearer" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    )


async def test_news_of_our_orders_is_told_by_identifier_each_once_and_none_is_lost(
    streams: UpbitStreams, control: Control
) -> None:
    def news(identifier: object, state: str = "trade") -> dict[str, object]:
        return {"type": "myOrder", "code": "KRW-BTC", "identifier": identifier, "state": state}

    async with streams.orders() as connection:
        await control.send(
            news("uat-1"), news(None), news(7), "{", news("uat-2", "prevented"),
            news("uat-1", "done"),
            {"type": "myAsset"}, news("uat-3", "a_new_state"),
        )  # fmt: skip
        found: list[str] = []
        while "uat-3" not in found:
            found += await connection.orders(within_s=PATIENCE_S)

    assert set(found) == {"uat-1", "uat-2", "uat-3"}


async def test_a_connection_that_is_left_is_closed(
    streams: UpbitStreams, control: Control, session: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    async with streams.prices([KRW_BTC]), streams.orders():
        assert await control.stream("speak") == {"connections": 2}
    while (await control.stream("speak"))["connections"]:
        pass
