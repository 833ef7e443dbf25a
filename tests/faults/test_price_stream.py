"""F24 to F28: whatever the stream of prices does, the stop acts and no other sale is made.

Something is held, the trading switch is off and only a rule may sell. Then the stream is disturbed,
and while it still is, the price falls below the stop.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any, Final

import pytest

from service.domain.prices import PriceDoubt
from tests.builders import KRW_BTC
from tests.faults.holding import SLIPPAGE, average, held, opened, until_bought, until_sold
from tests.faults.stack import Stack
from tests.faults.told import until_nothing_is_open
from tests.faults.trial import bugs
from tests.faults.waits import until

#: Below the stop of 5 % and no jump: at most 10 % from the newest price.
FALLEN: Final = Decimal("0.98")
RESET_EVERY_S: Final = 5.0
GARBAGE_EVERY_S: Final = 0.1
BURST_EVERY_S: Final = 0.2
#: Frames of one burst. The sandbox sends three a second by itself at this speed.
BURST: Final = 500
#: Frames beyond the longest one that is read (256 KiB) end the connection.
HUGE: Final = 1024 * 1024
COLLECTOR: Final = "/api/v1/market/collector/stats"
STREAM: Final = "/__sandbox__/stream"

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

Disturb = Callable[[Stack], Awaitable[None]]
Disturbance = Callable[[Stack], AbstractAsyncContextManager[None]]


# --- how the stream is disturbed ------------------------------------------------------------------


def again_and_again(disturb: Disturb, *, every_s: float) -> Disturbance:
    """Return a disturbance that strikes until its end."""

    @asynccontextmanager
    async def disturbed(stack: Stack) -> AsyncIterator[None]:
        async def go_on() -> None:
            while True:
                await disturb(stack)
                await asyncio.sleep(every_s)

        going_on = asyncio.create_task(go_on())
        try:
            yield
        finally:
            assert not going_on.done(), going_on.exception()
            going_on.cancel()
            await asyncio.gather(going_on, return_exceptions=True)

    return disturbed


async def reset(stack: Stack) -> None:
    await stack.sandbox.ask("POST", STREAM, {"do": "drop", "side": "public"})


def silent(*, pongs: bool) -> Disturbance:
    @asynccontextmanager
    async def disturbed(stack: Stack) -> AsyncIterator[None]:
        await stack.sandbox.ask("POST", STREAM, {"do": "silence", "pongs": pongs})
        try:
            yield
        finally:
            await stack.sandbox.ask("POST", STREAM, {"do": "speak"})

    return disturbed


async def send(stack: Stack, **frame: Any) -> None:
    await stack.sandbox.ask("POST", STREAM, {"do": "send", "side": "public"} | frame)


async def garbage(stack: Stack) -> None:
    """Send what is no JSON, no text and no ticker, and a frame that is too long."""
    code = f'"type":"ticker","code":"{KRW_BTC}"'
    await send(stack, text="{")
    await send(stack, bytes_base64=base64.b64encode(b"\xff\x00\xfe").decode())
    await send(stack, text=f'{{{code},"trade_price":"NaN","trade_timestamp":null}}', times=30)
    await send(stack, text="{}", size=HUGE)


async def burst(stack: Stack) -> None:
    """Repeat the present ticker, more than a hundred times as often as it comes by itself."""
    await send(stack, text=json.dumps(await frame_of_now(stack)), times=BURST)


async def absurd(stack: Stack) -> None:
    """Send prices that the market never had, each once, and an old one."""
    real = await frame_of_now(stack)
    price = real["trade_price"]
    for lie in (price / 10, price / 2, price * 10, 0.01, 1e-8):
        range_of_day = {"low_price": min(lie, price), "high_price": max(lie, price)}
        await send(stack, text=json.dumps(real | range_of_day | {"trade_price": lie}))
    for lie in (0, -price, None, "77000000", 1e400):
        await send(stack, text=json.dumps(real | {"trade_price": lie}))
    three_days_ago = real["trade_timestamp"] - 3 * 86_400_000
    old = {"trade_price": price / 2, "low_price": price / 2, "trade_timestamp": three_days_ago}
    await send(stack, text=json.dumps(real | old))


async def frame_of_now(stack: Stack) -> dict[str, Any]:
    (found,) = await stack.sandbox.ask("GET", f"/v1/ticker?markets={KRW_BTC}")
    ticker: dict[str, Any] = found
    return {"type": "ticker", "code": str(KRW_BTC), "stream_type": "REALTIME"} | ticker


# --- what is looked at ----------------------------------------------------------------------------


async def streams(stack: Stack) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (await stack.service.get(COLLECTOR))["streams"]["prices"]
    return found


async def until_stream(stack: Stack, is_so: Callable[[Mapping[str, Any]], bool], what: str) -> None:
    async def look() -> bool:
        return is_so(await streams(stack))

    await until(look, what=what)


async def until_doubted(stack: Stack, doubt: PriceDoubt) -> None:
    async def look() -> bool:
        prices = (await stack.service.get(COLLECTOR))["prices"]
        return any(price["doubt"] == doubt.value for price in prices)

    await until(look, what=f"the price is in doubt: {doubt}")


async def until_feed_is_lost(stack: Stack) -> None:
    """Health warns, the alert is in the outbox."""
    await stack.until_health(
        lambda code, body: code == 200 and body["components"]["upbit_api"]["reason"] == "feed_lost",
        "health says that the stream is away",
    )

    async def look() -> bool:
        return bool(await stack.sql("SELECT id FROM alerts WHERE key = 'feed'"))

    await until(look, what="an alert says that the stream is away")


async def sells(stack: Stack) -> Sequence[Mapping[str, Any]]:
    ledger = await stack.sandbox.ask("GET", "/__sandbox__/ledger")
    return [order for order in ledger["orders"] if order["side"] == "ask"]


async def pin(stack: Stack, *prices: Decimal | None) -> None:
    """Write the next prices; the last one holds."""
    script = [None if price is None else str(price) for price in prices]
    body = {"market": str(KRW_BTC), "prices": script, "then": "hold"}
    await stack.sandbox.ask("POST", "/__sandbox__/prices", body)


async def stop_acts(stack: Stack, stop: Decimal, *, before: int) -> None:
    """Let the price fall below the stop: one order sells all of it, near that price."""
    fallen = stop * FALLEN // 1000 * 1000
    await pin(stack, fallen)
    await until_sold(stack)
    sold = await average(stack, "ask")
    exits = (await stack.service.get("/api/v1/risk/events", event="EXIT"))["items"]

    assert fallen * SLIPPAGE <= sold <= fallen / SLIPPAGE
    assert len(await sells(stack)) == before + 1, "one order sells it"
    assert len(exits) == 1


async def until_well(stack: Stack, mark: int) -> None:
    """The stream is back and tells, nothing is left open, and the books agree."""
    before = (await streams(stack))["frames"]
    await until_stream(
        stack, lambda one: one["connected"] and one["frames"] > before, "prices are streamed again"
    )
    await stack.until_healthy()
    await stack.until_balanced()
    await until_nothing_is_open(stack)

    assert list(bugs(stack.service.log.since(mark))) == []


async def tried(disturbance: Disturbance, seen: Callable[[Stack], Awaitable[None]]) -> None:
    """Try one fault. Args: seen: waits until it shows, and checks what must hold meanwhile."""
    async with opened() as stack:
        stop = await until_bought(stack)
        mark, before = stack.service.log.mark, len(await sells(stack))
        coins = await held(stack)
        async with disturbance(stack):
            await seen(stack)
            assert await held(stack) == coins, "nothing is sold above the stop"
            await stop_acts(stack, stop, before=before)
        await until_well(stack, mark)


# --- the faults -----------------------------------------------------------------------------------


async def test_f24_a_reset_every_five_seconds() -> None:
    """Connections that do not last are opened less and less often. Then REST tells the price."""
    await tried(again_and_again(reset, every_s=RESET_EVERY_S), until_feed_is_lost)


@pytest.mark.parametrize("pongs", [True, False], ids=["pings_are_answered", "pings_are_not"])
async def test_f25_a_stream_that_is_open_and_silent(*, pongs: bool) -> None:
    await tried(silent(pongs=pongs), until_feed_is_lost)


async def test_f26_garbage_and_frames_without_an_end() -> None:
    async def seen(stack: Stack) -> None:
        before = (await streams(stack))["reconnects"]
        await until_stream(
            stack,
            lambda one: one["odd_frames"] > 0 and one["reconnects"] > before,
            "odd frames are counted, and the connection is opened again",
        )
        await until_feed_is_lost(stack)

    await tried(again_and_again(garbage, every_s=GARBAGE_EVERY_S), seen)


async def test_f27_a_burst_of_a_hundred_times_the_frames() -> None:
    """All are read, prices are coalesced, and the stream is not given up."""

    async def seen(stack: Stack) -> None:
        begun = await streams(stack)
        await until_stream(
            stack,
            lambda one: one["frames"] >= begun["frames"] + 10 * BURST,
            "the frames of ten bursts are read",
        )
        ended = await streams(stack)
        _, health = await stack.health()

        assert ended["connected"]
        assert ended["reconnects"] == begun["reconnects"]
        assert health["components"]["scheduler"]["status"] == "healthy"

    await tried(again_and_again(burst, every_s=BURST_EVERY_S), seen)


async def test_f28_absurd_prices_between_the_real_ones() -> None:
    """None of them is believed: a tenth is no stop, ten times is no highest price."""

    async def seen(stack: Stack) -> None:
        mark = stack.service.log.mark
        await until_doubted(stack, PriceDoubt.JUMP)
        await stack.until_lines(
            mark,
            partial(_told_in_turn, times=3),
            "absurd prices are refused, and the real ones believed, again and again",
        )

    await tried(again_and_again(absurd, every_s=GARBAGE_EVERY_S), seen)


def _told_in_turn(lines: Sequence[Mapping[str, Any]], *, times: int) -> bool:
    told = [line["message"] for line in lines]
    refused, believed = "a price is not believed", "a price is believed again"
    return min(told.count(refused), told.count(believed)) >= times


async def test_f28_the_last_trade_is_old() -> None:
    """Nothing is traded: purchases are refused, and the first trade below the stop sells."""

    @asynccontextmanager
    async def no_trade(stack: Stack) -> AsyncIterator[None]:
        await pin(stack, *[None] * 10_000)
        yield

    async def seen(stack: Stack) -> None:
        await until_doubted(stack, PriceDoubt.STALE)
        mark = stack.service.log.mark
        await stack.change(trading_enabled=True)
        await stack.until_lines(mark, _refused_for_the_price, "purchases are refused")
        await stack.change(trading_enabled=False)

    await tried(no_trade, seen)


def _refused_for_the_price(lines: Sequence[Mapping[str, Any]]) -> bool:
    return any(
        line.get("verdict") == "REFUSED" and "the price is in doubt" in line.get("detail", "")
        for line in lines
    )
