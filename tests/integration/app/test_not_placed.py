"""An order that never arrived ends by the operator's word, on PostgreSQL and the sandbox.

The market runs a minute a second: an order is five minutes old after five seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.composed import Composed, composed

ORDERS: Final = "/api/v1/trading/orders"
BOUGHT: Final = {"market": "KRW-BTC", "side": "BUY", "type": "MARKET", "funds": "50000"}
SAFETY_S: Final = 30
LOST_BEFORE: Final = {"method": "POST", "path": "/v1/orders", "drop_before": True, "times": 1}
LOST_AFTER: Final = {"method": "POST", "path": "/v1/orders", "drop_after": True, "times": 1}
NO_LOOK_UP: Final = {"method": "GET", "path": "/v1/order", "status": 503}


@pytest.fixture
async def service(tmp_path: Path, dsn: str) -> AsyncIterator[Composed]:
    async with composed(tmp_path, dsn, speed=Decimal(60)) as service:
        await service.change("disabled_jobs", ["generate_trading_signal"])
        yield service


async def faults(service: Composed, *added: object) -> None:
    async with aiohttp.ClientSession(service.exchange_url) as control:
        async with control.delete("/__sandbox__/faults") as answer:
            assert answer.ok, await answer.text()
        async with control.post("/__sandbox__/faults", json=added) as answer:
            assert answer.ok, await answer.text()


async def place(service: Composed, key: str) -> tuple[int, Any]:
    headers = {"Idempotency-Key": key}
    async with service.client.post(ORDERS, json=BOUGHT, headers=headers) as answer:
        return answer.status, await answer.json()


async def declared(service: Composed, order_id: int) -> tuple[int, Any]:
    async with service.client.post(f"{ORDERS}/{order_id}/not-placed") as answer:
        return answer.status, await answer.json()


async def until_declared(
    service: Composed, order_id: int, true: Callable[[int, Any], bool]
) -> tuple[int, Any]:
    async with asyncio.timeout(SAFETY_S):
        while not true(*(found := await declared(service, order_id))):
            pass
    return found


def is_old_enough(_: int, body: Any) -> bool:
    return bool(body.get("rule") != "too_young")


@pytest.mark.proves("S4.3")
async def test_an_order_that_never_arrived_ends_by_a_word_and_its_market_trades_again(
    service: Composed,
) -> None:
    await faults(service, LOST_BEFORE)
    _, lost = await place(service, "k-1")
    blocked, refusal = await place(service, "k-2")

    ended, order = await until_declared(service, lost["id"], is_old_enough)
    again = await declared(service, lost["id"])
    status, bought = await place(service, "k-2")

    assert lost["status"] == "UNKNOWN"
    assert (blocked, refusal["rule"]) == (409, "open_order")
    assert (ended, order["status"], order["reason"]) == (200, "FAILED", "not_placed_by_operator")
    assert again == (ended, order)
    assert (status, bought["status"]) == (201, "EXECUTED")
    audit = (await service.get("/api/v1/admin/audit?action=order.not_placed"))["items"]
    assert {row["subject"] for row in audit} == {str(lost["id"])}


async def test_an_order_that_arrived_is_never_ended_by_a_word(service: Composed) -> None:
    """Not while the exchange does not answer, and not when it does: then the order settles."""
    await faults(service, LOST_AFTER, NO_LOOK_UP)
    _, lost = await place(service, "k-1")
    await until_declared(service, lost["id"], is_old_enough)
    hidden, problem = await declared(service, lost["id"])
    unknown = (await service.get(f"{ORDERS}/{lost['id']}"))["status"]
    await faults(service)
    known, _ = await declared(service, lost["id"])
    async with asyncio.timeout(SAFETY_S):
        while (order := await service.get(f"{ORDERS}/{lost['id']}"))["status"] != "EXECUTED":
            pass

    assert (hidden, problem["rule"], unknown) == (409, "on_the_exchange", "UNKNOWN")
    assert known == 409
    assert order["executed_volume"] != "0"
