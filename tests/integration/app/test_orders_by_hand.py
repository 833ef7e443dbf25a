"""Orders by hand on a real server and the sandbox exchange, all over sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.composed import Composed, composed

ORDERS: Final = "/api/v1/trading/orders"
SAFETY_S: Final = 30


@pytest.fixture
async def service(tmp_path: Path, dsn: str) -> AsyncIterator[Composed]:
    async with composed(tmp_path, dsn) as service:
        await service.change("disabled_jobs", ["generate_trading_signal"])
        yield service


async def far_below(service: Composed) -> dict[str, str]:
    """Return a limit purchase that nothing fills."""
    price = Decimal((await service.get("/api/v1/market/latest"))["price"])
    on_tick = (price / 2 // 10_000) * 10_000
    return {
        "market": "KRW-BTC",
        "side": "BUY",
        "type": "LIMIT",
        "price": f"{on_tick:f}",
        "volume": f"{(10_000 / on_tick).quantize(Decimal('0.00000001')):f}",
    }


async def place(service: Composed, body: object, key: str) -> tuple[int, Any]:
    async with service.client.post(ORDERS, json=body, headers={"Idempotency-Key": key}) as answer:
        return answer.status, await answer.json()


async def until(service: Composed, path: str, true: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(SAFETY_S):
        while not true(body := await service.get(path)):
            pass
    return body


async def on_the_exchange(service: Composed) -> list[str]:
    found = await service.services.ports.exchange.open_orders()
    return [listed.order.uuid for listed in found.ours]


async def test_a_limit_order_is_placed_read_and_cancelled(service: Composed) -> None:
    status, order = await place(service, await far_below(service), "k-1")
    read = await service.get(f"{ORDERS}/{order['id']}")
    held = await on_the_exchange(service)
    async with service.client.post(f"{ORDERS}/{order['id']}/cancel") as answer:
        accepted = answer.status
    ended = await until(
        service, f"{ORDERS}/{order['id']}", lambda row: row["status"] == "CANCELLED"
    )

    assert (status, read["status"], accepted) == (201, "SUBMITTED", 202)
    assert held == [read["exchange_uuid"]]
    assert ended["executed_volume"] == "0"
    assert await on_the_exchange(service) == []
    actions = [row["action"] for row in (await service.get("/api/v1/admin/audit"))["items"]]
    assert actions[:2] == ["order.cancel", "order.place"]


async def test_a_lost_answer_and_a_repeat_with_the_key_are_one_order(service: Composed) -> None:
    body = await far_below(service)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await place(service, body, "k-1")

    status, order = await place(service, body, "k-1")
    other, problem = await place(service, body | {"volume": "0.001"}, "k-1")

    assert (status, other) == (200, 422)
    assert problem["type"].endswith(":key-reused")
    assert await on_the_exchange(service) == [order["exchange_uuid"]]
    assert [row["id"] for row in (await service.get(ORDERS))["items"]] == [order["id"]]


async def test_the_exchanges_lost_answer_is_no_second_order_either(service: Composed) -> None:
    body = await far_below(service)
    fault = {"method": "POST", "path": "/v1/orders", "drop_after": True, "times": 1}
    async with (
        aiohttp.ClientSession(service.exchange_url) as control,
        control.post("/__sandbox__/faults", json=[fault]) as answer,
    ):
        assert answer.ok, await answer.text()

    first, order = await place(service, body, "k-1")
    again, same = await place(service, body, "k-1")

    assert (first, again, same["id"]) == (201, 200, order["id"])
    found = await until(
        service, f"{ORDERS}/{order['id']}", lambda row: row["status"] == "SUBMITTED"
    )
    assert await on_the_exchange(service) == [found["exchange_uuid"]]


async def test_two_requests_at_once_with_one_key_make_one_order(service: Composed) -> None:
    body = await far_below(service)

    answers = await asyncio.gather(*[place(service, body, "k-1") for _ in range(2)])

    assert sorted(status for status, _ in answers) == [200, 201]
    assert len({order["id"] for _, order in answers}) == 1
    assert len(await on_the_exchange(service)) == 1


async def test_a_key_survives_a_restart_and_a_cancel_too(tmp_path: Path, dsn: str) -> None:
    async with composed(tmp_path, dsn) as service:
        await service.change("disabled_jobs", ["generate_trading_signal"])
        body = await far_below(service)
        _, order = await place(service, body, "k-1")
        async with service.client.post(f"{ORDERS}/{order['id']}/cancel") as answer:
            assert answer.status == 202

    async with composed(tmp_path, dsn) as service:
        status, same = await place(service, body, "k-1")
        ended = await until(
            service, f"{ORDERS}/{order['id']}", lambda row: row["status"] == "CANCELLED"
        )

    assert (status, same["id"], ended["id"]) == (200, order["id"], order["id"])


async def test_a_halted_purchase_is_409_and_a_sale_of_what_is_held_goes_through(
    service: Composed,
) -> None:
    bought = {"market": "KRW-BTC", "side": "BUY", "type": "MARKET", "funds": "50000"}
    status, order = await place(service, bought, "k-1")
    await service.change("trading_enabled", False)

    refused, problem = await place(service, bought, "k-2")
    sale = {"market": "KRW-BTC", "side": "SELL", "type": "MARKET"}
    done = await until(service, f"{ORDERS}/{order['id']}", lambda row: row["status"] == "EXECUTED")
    sold, sale_order = await place(service, sale | {"volume": done["executed_volume"]}, "k-3")

    assert (status, refused, problem["rule"]) == (201, 409, "trading_enabled")
    assert (sold, sale_order["side"]) == (201, "SELL")


async def test_the_risk_events_say_why_an_order_by_hand_was_refused(service: Composed) -> None:
    """Once for each refusal, whether a rule refused it before the insert or the insert itself."""
    bought = {"market": "KRW-BTC", "side": "BUY", "type": "MARKET", "funds": "9000000"}
    status, problem = await place(service, bought, "k-1")
    (event,) = (await service.get("/api/v1/risk/events?event=REFUSED"))["items"]

    assert (status, problem["rule"]) == (409, "max_position")
    assert (event["market"], event["reason"]) == ("KRW-BTC", "max_position")
    assert event["actor"].startswith("admin")
    assert event["detail"].items() >= {
        "source": "HAND", "side": "BUY", "type": "MARKET", "funds": "9000000",
        "sentence": problem["detail"], "actual": "9000000",
    }.items()  # fmt: skip
    assert 0 < Decimal(event["detail"]["limit"]) < 9_000_000
