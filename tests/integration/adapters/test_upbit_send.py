"""The last check before an order's bytes leave, over real sockets: where it refuses, none did."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from service.adapters.upbit.limits import Group
from service.adapters.upbit.rest import UpbitRest
from service.domain.errors import ExchangeUnavailable, SendRefused
from service.domain.orders import Order, OrderStatus
from service.domain.trading_states import TradingStatus
from service.flows.execute import Executor
from tests.builders import an_intent
from tests.fakes.clock import FakeClock
from tests.integration.adapters import recorded
from tests.integration.adapters.upbit_stub import ACCESS_KEY, SECRET_KEY
from tests.unit.flows.conftest import House

BLOCKED = (
    b"HTTP/1.1 418 teapot\r\nContent-Type: application/json\r\nContent-Length: 58\r\n\r\n"
    b'{"error":{"name":418,"message":"blocked for 90 seconds."}}'
)
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


@dataclass
class Wire:
    """A server that keeps every byte that arrives, one entry a connection.

    With `blocks` it answers 418, as soon as that is set.
    """

    received: list[bytearray] = field(default_factory=list)
    ended: list[asyncio.Event] = field(default_factory=list)
    port: int = 0
    answers: bool = True
    blocks: asyncio.Event | None = None
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept, ended = bytearray(), asyncio.Event()
        self.received.append(kept)
        self.ended.append(ended)
        while chunk := await reader.read(65536):
            kept += chunk
            self.heard.set()
            if self.blocks is not None:
                await self.blocks.wait()
                writer.write(BLOCKED)
            elif self.answers:
                body = recorded.BID_PLACED.encode() if b"POST" in chunk else b"[]"
                writer.write(ANSWER % (len(body), body))
        ended.set()
        writer.close()

    async def bytes_until_the_end(self) -> list[bytes]:
        async with asyncio.timeout(20):
            for ended in self.ended:
                await ended.wait()
        return [bytes(kept) for kept in self.received]


async def at_once() -> None:
    return


class EventfulResolver(AbstractResolver):
    """Finds the address of loopback; something happens meanwhile."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._meanwhile = meanwhile

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        await self._meanwhile()
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)
        ]

    async def close(self) -> None:
        return


@asynccontextmanager
async def wired(
    clock: FakeClock, connecting: Callable[[], Awaitable[None]] = at_once
) -> AsyncIterator[tuple[UpbitRest, Wire]]:
    wire = Wire()
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    connector = aiohttp.TCPConnector(resolver=EventfulResolver(connecting), use_dns_cache=False)
    address = f"http://exchange.test:{wire.port}"
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            yield (
                UpbitRest(
                    session,
                    quotation_url=address,
                    exchange_url=address,
                    access_key=ACCESS_KEY,
                    secret_key=SECRET_KEY,
                    real_clock=clock,
                ),
                wire,
            )
    finally:
        server.close()


def refuse() -> None:
    raise SendRefused("no", reason="too_late")


async def test_an_order_that_may_leave_leaves_whole() -> None:
    asked: list[int] = []
    async with wired(FakeClock()) as (upbit, wire):
        await upbit.submit(
            an_intent(),
            identifier="uat-1",
            before_send=lambda: asked.append(sum(map(len, wire.received))),
        )

    (received,) = await wire.bytes_until_the_end()
    assert asked == [0], "asked once, and nothing had left"
    assert received.startswith(b"POST /v1/orders HTTP/1.1\r\n")
    assert b'"identifier": "uat-1"' in received


async def test_an_order_that_may_not_leave_leaves_no_byte_of_header_or_body() -> None:
    async with wired(FakeClock()) as (upbit, wire):
        with pytest.raises(SendRefused) as caught:
            await upbit.submit(an_intent(), identifier="uat-1", before_send=refuse)

    assert caught.value.reason == "too_late"
    assert await wire.bytes_until_the_end() == [b""], "the connection stood"


async def test_on_a_connection_in_use_nothing_leaves_either() -> None:
    async with wired(FakeClock()) as (upbit, wire):
        await upbit.balances()
        with pytest.raises(SendRefused):
            await upbit.submit(an_intent(), identifier="uat-1", before_send=refuse)
        await upbit.balances()

    received = await wire.bytes_until_the_end()
    assert b"POST" not in b"".join(received)
    assert b"".join(received).count(b"GET ") == 2


CALLS: dict[str, Callable[[UpbitRest], Awaitable[object]]] = {
    "an order": lambda upbit: upbit.submit(
        an_intent(), identifier="uat-1", before_send=lambda: None
    ),
    "a cancel": lambda upbit: upbit.cancel("uat-1"),
    "a look-up": lambda upbit: upbit.find("uat-1"),
    "a quotation": lambda upbit: upbit.tickers([an_intent().market]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_what_still_connects_when_the_exchange_blocks_us_leaves_no_byte(
    call: Callable[[UpbitRest], Awaitable[object]],
) -> None:
    """One request is answered 418 while another one waits for its connection."""
    heard, second_connects = asyncio.Event(), asyncio.Event()
    connections = iter(range(9))

    async def connecting() -> None:
        if next(connections) == 1:
            second_connects.set()
            await heard.wait()

    async with wired(FakeClock(), connecting) as (upbit, wire), asyncio.TaskGroup() as tasks:
        wire.blocks = asyncio.Event()
        first = asyncio.ensure_future(upbit.balances())
        await wire.heard.wait()
        second = tasks.create_task(_error_of(call(upbit)))
        await second_connects.wait()
        wire.blocks.set()
        first_error = await _error_of(first)
        heard.set()
        errors = (first_error, await second)

    assert [error.code for error in errors] == ["banned", "banned"]
    assert not errors[1].sent
    received = await wire.bytes_until_the_end()
    assert received[0].startswith(b"GET /v1/accounts")
    assert received[1:] == [b""], "the connection stood"


async def _error_of(call: Awaitable[object]) -> ExchangeUnavailable:
    with pytest.raises(ExchangeUnavailable) as caught:
        await call
    return caught.value


async def test_a_request_without_a_body_announces_none() -> None:
    async with wired(FakeClock()) as (upbit, wire):
        await upbit.balances()
        await upbit.cancel("uat-1")

    (received,) = await wire.bytes_until_the_end()
    get, cancel = bytes(received).split(b"DELETE ")
    for header in (b"content-type", b"transfer-encoding", b"expect"):
        assert header not in bytes(received).lower()
    assert b"content-length" not in get.lower()
    assert b"content-length: 0\r\n" in cancel.lower()
    assert received.endswith(b"\r\n\r\n")


@dataclass
class Sender:
    """The executor over the real adapter, with the rest of the house as fakes."""

    house: House
    executor: Executor
    upbit: UpbitRest
    wire: Wire

    async def send(self) -> Order:
        return await self.executor.execute(an_intent(), decision_id=1)

    async def seen(self) -> list[bytes]:
        return await self.wire.bytes_until_the_end()


Meanwhile = Callable[[House], Awaitable[object]]


@asynccontextmanager
async def sender(
    meanwhile: Meanwhile | None = None, *, clock: FakeClock | None = None
) -> AsyncIterator[Sender]:
    """Args: meanwhile: happens while the connection is being made."""
    house = House(clock=clock or FakeClock())
    await house.allow(trading_enabled=True)
    await house.leadership.renew()
    await house.leadership.settle()

    async def connecting() -> None:
        if meanwhile is not None:
            await meanwhile(house)

    async with wired(house.clock, connecting) as (upbit, wire):
        executor = Executor(
            orders=house.orders,
            exchange=upbit,
            reconciler=house.reconciler,
            leadership=house.leadership,
            trading_switch=house.trading_switch,
            settings=house.settings,
            clock=house.clock,
            real_clock=house.clock,
            new_id=lambda: "1",
            circuit=house.purchases,
        )
        yield Sender(house, executor, upbit, wire)


async def passing(house: House, seconds: float) -> None:
    house.clock.pass_time(seconds)


async def halted(house: House) -> None:
    await house.trading_switch.halt(kind=TradingStatus.REDUCING, reason="by hand", actor="admin")


async def switched_off(house: House) -> None:
    await house.allow(trading_enabled=False)


async def taken_over(house: House) -> None:
    house.lease.epoch = None
    await house.leadership.renew()


async def test_an_order_that_nothing_stops_is_sent() -> None:
    async with sender(partial(passing, seconds=0.9)) as one:
        order = await one.send()

    (received,) = await one.seen()
    assert received.count(b"POST /v1/orders") == 1
    assert order.status is not OrderStatus.FAILED


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [
        pytest.param(partial(passing, seconds=3), "too_late", id="connecting takes 3 s"),
        pytest.param(partial(passing, seconds=3600), "too_late", id="the machine sleeps"),
        pytest.param(taken_over, "lease_lost", id="the lease is lost"),
        pytest.param(halted, "trading_stopped", id="an operator halts"),
        pytest.param(switched_off, "trading_stopped", id="the switch is set off"),
    ],
)
async def test_what_happens_while_it_connects_keeps_an_order_from_leaving(
    meanwhile: Meanwhile, reason: str
) -> None:
    async with sender(meanwhile) as one:
        order = await one.send()

    assert (order.status, order.reason) == (OrderStatus.FAILED, reason)
    assert await one.seen() == [b""]


class SluggishClock(FakeClock):
    """Waits at least five seconds."""

    async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        await super().sleep_real(max(seconds, 5.0), wake=wake)


async def test_an_order_that_waited_five_seconds_for_its_rate_limit_does_not_leave() -> None:
    async with sender(clock=SluggishClock()) as one:
        one.upbit._client._limiter.close(Group.ORDER)
        order = await one.send()

    assert (order.status, order.reason) == (OrderStatus.FAILED, "too_late")
    assert await one.seen() == [b""]
