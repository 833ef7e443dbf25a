"""What a test puts into the exchange's answers and onto its book, over the wire."""

from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from service.sandbox.faults import Fault
from service.sandbox.server import Sandbox
from tests.integration.sandbox.client import Client

MARKET_BUY = {"market": "KRW-BTC", "side": "bid", "ord_type": "price", "price": "100000"}
RESTING = {
    "market": "KRW-BTC",
    "side": "bid",
    "ord_type": "limit",
    "price": "1000000",
    "volume": "0.02",
}


async def _status(client: Client, **body: str) -> int:
    headers = {"Authorization": client.bearer(body)}
    async with client.session.post(client.url + "/v1/orders", json=body, headers=headers) as got:
        return got.status


async def test_a_scripted_status_can_hide_that_the_order_was_executed(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.faults.add(Fault(path="/v1/orders", status=502, executes=True, times=1))

    answered = await _status(client, **MARKET_BUY, identifier="hidden")
    found, _ = await client.ask("GET", "/v1/order", identifier="hidden")

    assert (answered, found) == (502, 200)


async def test_fields_are_put_into_each_object_of_the_real_answer(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.faults.add(
        Fault(path="/v1/orders/chance", merge={"market": {"state": "suspended"}}),
        Fault(path="/v1/accounts", merge={"balance": None, "brand_new": {"a": 1}}),
    )

    _, chance = await client.ask("GET", "/v1/orders/chance", market="KRW-BTC")
    _, accounts = await client.ask("GET", "/v1/accounts")

    assert chance["market"]["state"] == "suspended"
    assert chance["market"]["id"] == "KRW-BTC", "the rest is as it was"
    assert [(one["balance"], one["brand_new"]) for one in accounts] == [(None, {"a": 1})]


@pytest.mark.parametrize(
    ("edit", "shown"),
    [("twice", "aabb"), ("backwards", "ba"), ("half", "a"), ("missing", "")],
)
async def test_the_trades_of_an_answer_are_edited_and_its_sums_are_not(
    sandbox: Sandbox, client: Client, edit: Any, shown: str
) -> None:
    await client.order(**RESTING, identifier="parts")
    for volume in ("0.005", "0.007"):
        await client.control("POST", "fills", json={"identifier": "parts", "volume": volume})
    _, honest = await client.ask("GET", "/v1/order", identifier="parts")
    names = {trade["uuid"]: name for trade, name in zip(honest["trades"], "ab", strict=True)}
    sandbox.faults.add(Fault(path="/v1/order", trades=edit))

    _, spoiled = await client.ask("GET", "/v1/order", identifier="parts")

    assert "".join(names[trade["uuid"]] for trade in spoiled["trades"]) == shown
    assert (spoiled["executed_volume"], spoiled["trades_count"]) == ("0.012", 2)


async def test_an_order_on_the_book_is_filled_in_parts_at_its_own_price(client: Client) -> None:
    await client.order(**RESTING, identifier="parts")

    part = await client.control("POST", "fills", json={"identifier": "parts", "volume": "0.005"})
    rest = await client.control("POST", "fills", json={"identifier": "parts", "volume": "0.015"})

    assert [order["state"] for order in (part, rest)] == ["wait", "done"]
    assert {trade["price"] for trade in rest["trades"]} == {"1000000"}
    coins = [
        one for one in (await client.ask("GET", "/v1/accounts"))[1] if one["currency"] == "BTC"
    ]
    assert Decimal(coins[0]["balance"]) == Decimal("0.02")


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"identifier": "parts", "volume": "much"},
        {"identifier": "parts", "volume": "0.03"},
        {"identifier": "parts", "volume": "0"},
        {"identifier": "nothing", "volume": "0.01"},
        {"identifier": "bought", "volume": "0.01"},
    ],
)
async def test_a_fill_that_cannot_be_is_a_400_and_fills_nothing(
    client: Client, wanted: dict[str, str]
) -> None:
    await client.order(**RESTING, identifier="parts")
    await client.order(**MARKET_BUY, identifier="bought")
    before = await client.control("GET", "ledger")

    async with client.session.post(client.url + "/__sandbox__/fills", json=wanted) as answer:
        assert answer.status == 400

    assert (await client.control("GET", "ledger"))["trades"] == before["trades"]


async def test_every_order_and_cancel_is_noted_as_it_arrives_whatever_becomes_of_it(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.faults.add(Fault(method="POST", path="/v1/orders", drop_before=True, times=1))
    with pytest.raises(aiohttp.ClientError):
        await client.order(**MARKET_BUY, identifier="lost")
    await client.order(**RESTING, identifier="resting")
    await client.ask("DELETE", "/v1/order", identifier="resting")
    await client.ask("GET", "/v1/order", identifier="resting")

    seen = await client.control("GET", "arrivals")

    assert [(one["method"], one["path"], one["identifier"]) for one in seen] == [
        ("POST", "/v1/orders", "lost"),
        ("POST", "/v1/orders", "resting"),
        ("DELETE", "/v1/order", "resting"),
    ]
    assert [one["at"] for one in seen] == sorted(one["at"] for one in seen)


async def test_a_fault_may_set_the_header_that_counts_requests(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.faults.add(Fault(path="/v1/market/all", headers={"Remaining-Req": "nonsense"}))

    async with client.session.get(client.url + "/v1/market/all") as answer:
        assert answer.headers["Remaining-Req"] == "nonsense"
