"""Checks on single orders: followed to their end, by hand, halted."""

import asyncio
import hashlib
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import jwt

from tests.faults.injections import Injection, changed
from tests.faults.stack import Stack
from tests.faults.waits import until

OPEN: Final = frozenset({"PENDING", "SUBMITTED", "PARTIALLY_FILLED", "UNKNOWN"})
ORDERS: Final = "/api/v1/trading/orders"
#: An order that the exchange never got is given up after two minutes without it.
GIVEN_UP_WITHIN_S: Final = 400.0
PARTS: Final = 20
_STEP: Final = Decimal("0.00000001")
_NOT_AT_ONCE: Final = frozenset({"open_order", "order_rate"})
_CALLERS: Final = 5  #: fewer than changes at once, so that a halt and a setting get through
_STORM_PAUSE_S: Final = 0.05
#: What a request may still take after a halt was answered.
HALTED_WITHIN_S: Final = 1.0


# --- an order whose outcome is not known ----------------------------------------------------------


async def it_is_followed_to_its_end(stack: Stack, mark: int) -> None:
    await _until_final(stack, await _in_doubt(stack, mark), {"EXECUTED"})


async def it_is_given_up_as_never_placed(stack: Stack, mark: int) -> None:
    identifier = await _in_doubt(stack, mark)
    await _until_final(stack, identifier, {"FAILED"})
    (row,) = await stack.sql(f"SELECT reason FROM orders WHERE identifier = '{identifier}'")

    assert row["reason"] == "not_placed"


async def _in_doubt(stack: Stack, mark: int) -> str:
    """Return the identifier of the first order that the log has doubts about."""
    found: list[str] = []

    def doubts(lines: Sequence[Mapping[str, Any]]) -> bool:
        found[:] = [
            line["identifier"]
            for line in lines
            if line["event"] == "order" and (line.get("status") == "UNKNOWN" or "oddity" in line)
        ]
        return bool(found)

    await stack.until_lines(mark, doubts, "an order's outcome is in doubt")
    return found[0]


async def _until_final(stack: Stack, identifier: str, ends: set[str]) -> None:
    """Wait for the order's end; no other one may be sent before it, and it only once."""

    async def look() -> str | None:
        # The requests are read first: one that came after the order's end is allowed.
        sent = [one["identifier"] for one in await stack.posted()]
        (row,) = await stack.sql(f"SELECT status FROM orders WHERE identifier = '{identifier}'")
        if row["status"] not in OPEN:
            return str(row["status"])
        assert sent[-1] == identifier, "an order followed one that has no end yet"
        return None

    status = await until(look, what=f"an order is {ends}", patience_s=GIVEN_UP_WITHIN_S)
    sent = [one["identifier"] for one in await stack.posted()]

    assert status in ends
    assert sent.count(identifier) == 1, "it was sent once"


# --- orders by hand -------------------------------------------------------------------------------


async def price_of_market(stack: Stack) -> Decimal:
    (ticker,) = await stack.sandbox.ask("GET", "/v1/ticker?markets=KRW-BTC")
    return Decimal(str(ticker["trade_price"]))


async def far_below(stack: Stack) -> dict[str, str]:
    """Return a limit purchase that the market does not reach, on the tick."""
    price = (await price_of_market(stack) * Decimal("0.7")) // 1000 * 1000
    return {
        "market": "KRW-BTC",
        "side": "BUY",
        "type": "LIMIT",
        "price": str(price),
        "volume": str((Decimal(200_000) / price).quantize(_STEP)),
    }


async def place(stack: Stack, body: Mapping[str, str]) -> dict[str, Any]:
    """Place the order as soon as no other one is open in its market."""
    key = secrets.token_hex(8)

    async def look() -> dict[str, Any] | None:
        status, order = await stack.service.ask("POST", ORDERS, body=dict(body), key=key)
        if status in {200, 201}:
            return dict(order)
        assert order.get("rule") in _NOT_AT_ONCE, order
        return None

    return await until(look, what="an order by hand is placed")


async def until_order(stack: Stack, order_id: int, status: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        order = await stack.service.get(f"{ORDERS}/{order_id}")
        return dict(order) if order["status"] == status else None

    return await until(look, what=f"order {order_id} is {status}")


async def a_price_off_the_new_tick_is_refused_here(stack: Stack, _: int) -> None:
    """The tick has become coarser: what was on it goes no further than our own API."""
    body = await far_below(stack)
    off = body | {"price": str(Decimal(body["price"]) // 7000 * 7000 + 1000)}
    status, problem = await stack.service.ask("POST", ORDERS, body=off, key="coarse")
    rows = await stack.sql("SELECT id FROM orders WHERE idempotency_key = 'coarse'")

    assert (status, problem["type"].rpartition(":")[2]) == (422, "invalid-order"), problem
    assert rows == []


async def an_order_by_hand_is_refused_there(stack: Stack, _: int) -> None:
    """The exchange knows a tick that we do not know yet."""
    order = await place(stack, await far_below(stack))

    assert (order["status"], order["reason"]) == ("FAILED", "invalid_price_bid")


async def twenty_parts_then_a_cancel(stack: Stack, _: int) -> None:
    order = await place(stack, await far_below(stack))
    order = await until_order(stack, order["id"], "SUBMITTED")
    part = (Decimal(order["volume"]) / 25).quantize(_STEP)
    for number in range(1, PARTS + 1):
        await fill(stack, order, part)
        if number % 7 == 0:  # else several at one look
            await _until_executed(stack, order, number * part)
    await _until_executed(stack, order, PARTS * part)
    status, _body = await stack.service.ask("POST", f"{ORDERS}/{order['id']}/cancel")
    ended = await until_order(stack, order["id"], "CANCELLED")

    assert status == 202
    assert len(ended["fills"]) == PARTS
    assert Decimal(ended["executed_volume"]) == PARTS * part


async def a_fill_overtakes_the_cancel(stack: Stack, _: int) -> None:
    ended = await _filled_during_a_cancel(stack, Decimal(1))

    assert ended["status"] == "EXECUTED"


async def a_part_is_filled_before_the_cancel(stack: Stack, _: int) -> None:
    ended = await _filled_during_a_cancel(stack, Decimal("0.5"))

    assert ended["status"] == "CANCELLED"
    assert len(ended["fills"]) == 1


async def _filled_during_a_cancel(stack: Stack, ratio: Decimal) -> dict[str, Any]:
    """Fill so much of an order while its cancel is held on its way; return it at its end."""
    order = await place(stack, await far_below(stack))
    order = await until_order(stack, order["id"], "SUBMITTED")
    cancelling = asyncio.create_task(stack.service.ask("POST", f"{ORDERS}/{order['id']}/cancel"))

    async def arrived() -> bool:
        return bool((await stack.plan_seen())[0]["hit"])

    await until(arrived, what="the cancel has arrived at the exchange")
    await fill(stack, order, (Decimal(order["volume"]) * ratio).quantize(_STEP))
    await cancelling
    status = "EXECUTED" if ratio == 1 else "CANCELLED"
    return await until_order(stack, order["id"], status)


async def fill(stack: Stack, order: Mapping[str, Any], volume: Decimal) -> None:
    part = {"identifier": order["identifier"], "volume": f"{volume:f}"}
    await stack.sandbox.ask("POST", "/__sandbox__/fills", part)


async def _until_executed(stack: Stack, order: Mapping[str, Any], volume: Decimal) -> None:
    async def look() -> bool:
        seen = await stack.service.get(f"{ORDERS}/{order['id']}")
        return Decimal(seen["executed_volume"]) == volume

    await until(look, what=f"{volume} are executed")


# --- the owner trades too -------------------------------------------------------------------------


class Owner:
    """The account's owner at the exchange, past this service."""

    def __init__(self, stack: Stack, session: aiohttp.ClientSession) -> None:
        self._keys = stack.sandbox.ready_line
        self._session = session

    async def order(self, **body: str) -> dict[str, Any]:
        return await self._ask("POST", "/v1/orders", body, json=body)

    async def cancel(self, order_uuid: str) -> None:
        named = {"uuid": order_uuid}
        await self._ask("DELETE", "/v1/order", named, params=named)

    async def _ask(
        self, method: str, path: str, signed: Mapping[str, str], **sent: Any
    ) -> dict[str, Any]:
        digest = hashlib.sha512(urlencode(signed).encode()).hexdigest()
        payload = {"access_key": self._keys["access_key"], "nonce": str(uuid.uuid4())}
        payload |= {"query_hash": digest, "query_hash_alg": "SHA512"}
        token = jwt.encode(payload, self._keys["secret_key"], algorithm="HS256")
        headers = {"Authorization": f"Bearer {token}"}
        url = self._keys["upbit_rest"] + path
        async with self._session.request(method, url, headers=headers, **sent) as answer:
            assert answer.ok, await answer.text()
            return dict(await answer.json())


async def the_owners_orders_are_shown_and_never_touched(stack: Stack, mark: int) -> None:
    limit = await far_below(stack)
    resting = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit"}
    resting |= {name: limit[name] for name in ("price", "volume")}
    spent = {"market": "KRW-BTC", "side": "bid", "ord_type": "price", "price": "50000"}
    async with aiohttp.ClientSession() as session:
        owner = Owner(stack, session)
        theirs = [
            await owner.order(**resting),
            await owner.order(**resting, identifier="another-program-1"),
        ]
        uuids = {order["uuid"] for order in theirs}
        bought = await owner.order(**spent)
        await _until_external(stack, uuids)
        await _a_purchase_halt_comes_and_goes(stack)
        await _until_sold(stack, mark)
        await _until_external(stack, uuids)
        cancelled = [
            one
            for one in await stack.sandbox.ask("GET", "/__sandbox__/arrivals")
            if one["method"] == "DELETE"
            and (one["uuid"] in uuids or one["identifier"] == "another-program-1")
        ]
        for order in theirs:
            await owner.cancel(order["uuid"])
        coins = await _coins_of(stack, bought["uuid"])
        await owner.order(market="KRW-BTC", side="ask", ord_type="market", volume=coins)
    await _until_external(stack, set())

    assert cancelled == []
    assert await stack.sql("SELECT id FROM deposits") == [], "no order is taken for a deposit"


async def _until_external(stack: Stack, wanted: set[str]) -> None:
    async def look() -> bool:
        page = await stack.service.get(f"{ORDERS}/external")
        return {order["exchange_uuid"] for order in page["items"]} == wanted

    await until(look, what=f"these orders of others are shown: {wanted}")


async def _a_purchase_halt_comes_and_goes(stack: Stack) -> None:
    """It cancels our own purchases on the book, and no others."""
    mark = stack.service.log.mark
    halt = {"reason": "F19", "protection": True}
    status, _ = await stack.service.ask("POST", "/api/v1/risk/halt", body=halt)
    assert status == 200
    await stack.until_lines(
        mark,
        lambda lines: sum(line["event"] == "risk" for line in lines) >= 3,
        "signals meet the halt",
    )
    status, _ = await stack.service.ask("POST", "/api/v1/risk/resume")
    assert status == 200


async def _until_sold(stack: Stack, mark: int) -> None:
    def sold(lines: Sequence[Mapping[str, Any]]) -> bool:
        wanted = {"event": "order", "side": "SELL", "status": "EXECUTED"}
        return any(all(line.get(k) == v for k, v in wanted.items()) for line in lines)

    await stack.until_lines(mark, sold, "we sell what is ours")


async def _coins_of(stack: Stack, order_uuid: str) -> str:
    ledger = await stack.sandbox.ask("GET", "/__sandbox__/ledger")
    (order,) = [one for one in ledger["orders"] if one["uuid"] == order_uuid]
    return str(order["executed_volume"])


# --- a halt in the middle of it -------------------------------------------------------------------


def halted_during(fault: Injection) -> Injection:
    """Inject `fault` into a storm of orders; afterwards show that the halt held, and resume."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        async with AsyncExitStack() as entered:
            await entered.enter_async_context(changed(max_orders_per_hour=1000)(stack))
            await _until_a_storm(stack, entered)
            async with fault(stack):
                yield
            # The fault is over, the storm goes on, and so does the halt.
            await _nothing_was_sent_after_the_halt(stack)
            await trading_is_resumed(stack, 0)

    return injected


async def _until_a_storm(stack: Stack, entered: AsyncExitStack) -> None:
    before = len(await stack.posted())
    await entered.enter_async_context(_storm(stack))

    async def blows() -> bool:
        return len(await stack.posted()) >= before + 5

    await until(blows, what="orders reach the exchange")


@asynccontextmanager
async def _storm(stack: Stack) -> AsyncIterator[None]:
    async def call() -> None:
        body = {"market": "KRW-BTC", "side": "BUY", "type": "MARKET", "funds": "6000"}
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                await stack.service.ask("POST", ORDERS, body=body, key=secrets.token_hex(8))
            await asyncio.sleep(_STORM_PAUSE_S)

    callers = [asyncio.create_task(call()) for _ in range(_CALLERS)]
    try:
        yield
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def a_halt_is_answered(stack: Stack, _: int) -> None:
    halt = {"reason": "F59", "protection": False}
    status, body = await stack.service.ask("POST", "/api/v1/risk/halt", body=halt)
    stack.halted_at = time.monotonic()
    await asyncio.sleep(3)  # the fault goes on for a while

    assert (status, body["state"]) == (200, "HALTED")


async def _nothing_was_sent_after_the_halt(stack: Stack) -> None:
    """I13. Sandbox and test read the same clock of the machine."""
    mark = stack.service.log.mark

    async def refused() -> bool:
        at = [one["at"] - stack.halted_at for one in await stack.posted()]
        late = [seconds for seconds in at if seconds > HALTED_WITHIN_S]
        assert late == [], "an order arrived after the halt was answered"
        reasons = [line.get("reason") for line in stack.service.log.since(mark)]
        return reasons.count("trading_enabled") >= _CALLERS

    await until(refused, what="orders are refused, the fault is over")


async def trading_is_resumed(stack: Stack, _: int) -> None:
    async def look() -> bool:
        status, body = await stack.service.ask("POST", "/api/v1/risk/resume")
        return bool(status == 200 and body["state"] == "ACTIVE")

    await until(look, what="trading is resumed")
