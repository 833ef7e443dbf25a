"""Orders by hand, cancels and other programs' orders over HTTP."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import ClientResponse

from service.domain.errors import ExchangeUnavailable
from service.domain.orders import ExchangeOrderState, Intent, OrderStatus, OrderType, Side
from tests.builders import KRW_BTC, an_exchange_order, an_intent, an_order
from tests.unit.web.world import Client, Serve, World

URL = "/api/v1/trading/orders"
LIMIT = {
    "market": "KRW-BTC",
    "side": "BUY",
    "type": "LIMIT",
    "price": "90000000",
    "volume": "0.001",
}


async def post(client: Client, key: str | None = "k-1", **changes: Any) -> ClientResponse:
    body = {name: value for name, value in (LIMIT | changes).items() if value is not None}
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post(URL, json=body, headers=headers)


@pytest.fixture
def world() -> World:
    world = World()
    world.setting_rows.stored["trading_enabled"] = True
    world.lists.add_order(n=1)
    return world


async def test_a_limit_order_is_placed_once_and_answered_again(
    client: Client, world: World
) -> None:
    first, again = await post(client), await post(client, volume="0.0010")

    assert (first.status, again.status) == (201, 200)
    assert first.headers["Location"] == f"{URL}/1"
    assert await first.json() == await again.json()
    assert [intent for intent, _ in world.exchange.sent] == [
        Intent(
            market=KRW_BTC,
            side=Side.BUY,
            type=OrderType.LIMIT,
            price=Decimal(90_000_000),
            volume=Decimal("0.001"),
        )
    ]


async def test_two_requests_at_once_with_one_key_make_one_order(
    client: Client, world: World
) -> None:
    answers = await asyncio.gather(post(client), post(client))

    assert sorted(answer.status for answer in answers) == [200, 201]
    assert len(world.exchange.sent) == 1


async def test_the_caller_and_the_order_are_in_the_audit_log(client: Client, world: World) -> None:
    await post(client)
    await client.post(f"{URL}/1/cancel")

    assert [(row["action"], row["subject"]) for row in world.audit.rows] == [
        ("order.place", "KRW-BTC"),
        ("order.cancel", "1"),
    ]
    assert {row["actor"].partition("@")[0] for row in world.audit.rows} == {"admin"}
    assert world.audit.details[0] == LIMIT | {"idempotency_key": "k-1"}


async def test_without_its_audit_row_nothing_is_sent(client: Client, world: World) -> None:
    world.audit.fail = ExchangeUnavailable("gone")

    assert (await post(client)).status == 503
    assert world.exchange.sent == []


async def test_another_body_with_the_key_is_422(client: Client, world: World) -> None:
    await post(client)

    answer = await post(client, volume="0.002")

    assert answer.status == 422
    assert (await answer.json())["type"].endswith(":key-reused")
    assert len(world.exchange.sent) == 1


@pytest.mark.parametrize("key", [None, "", "a b", "k" * 256, "ключ"])
async def test_an_order_needs_a_key(client: Client, world: World, key: str | None) -> None:
    answer = await post(client, key)

    assert answer.status == 400
    assert "Idempotency-Key" in (await answer.json())["detail"]
    assert world.audit.rows == []


async def test_a_refusal_names_its_rule(client: Client, world: World) -> None:
    answer = await post(client, volume="1")

    body = await answer.json()
    assert (answer.status, body["rule"]) == (409, "max_position")
    assert body["type"].endswith(":order-refused")
    assert world.exchange.sent == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"price": "90000001"}, "the tick"),
        ({"volume": "0.000000001"}, "nothing is rounded"),
    ],
)
async def test_a_price_or_volume_that_the_market_does_not_take_is_422(
    client: Client, world: World, changes: dict[str, Any], sentence: str
) -> None:
    answer = await post(client, **changes)

    body = await answer.json()
    assert answer.status == 422
    assert body["type"].endswith(":invalid-order")
    assert sentence in body["detail"]
    assert world.exchange.sent == []


@pytest.mark.parametrize(
    "changes",
    [
        {"side": "buy"},
        {"side": ["BUY"]},
        {"type": "STOP"},
        {"type": "LIMIT_IOC"},
        {"price": None},
        {"funds": "10000"},
        {"price": 90_000_000},
        {"price": "-1"},
        {"price": "0"},
        {"price": "1e9"},
        {"price": "NaN"},
        {"volume": "٣"},
        {"market": 5},
        {"time_in_force": "ioc"},
        {"type": "MARKET"},
    ],
)
async def test_a_malformed_order_is_400(
    client: Client, world: World, changes: dict[str, Any]
) -> None:
    answer = await post(client, **changes)

    assert answer.status == 400, await answer.text()
    assert (world.audit.rows, world.exchange.sent) == ([], [])


async def test_a_market_that_is_not_collected_is_404(client: Client) -> None:
    assert (await post(client, market="KRW-DOGE")).status == 404


async def test_a_cancel_is_accepted_and_the_order_ends(client: Client, world: World) -> None:
    await post(client)

    answer = await client.post(f"{URL}/1/cancel")

    assert answer.status == 202
    assert world.orders.rows[1].status == "SUBMITTED"  # an empty cancel needs a second look
    world.real_clock.pass_time(5)
    await world.bound.reconciler.reconcile()
    assert world.orders.rows[1].status == "CANCELLED"


async def test_a_cancel_takes_an_order_of_ours_and_no_body(client: Client, world: World) -> None:
    missing = await client.post(f"{URL}/7/cancel")
    with_body = await client.post(f"{URL}/1/cancel", json={"all": True})
    world.orders.hold(an_order(id=1, status="EXECUTED"))
    over = await client.post(f"{URL}/1/cancel")

    assert [missing.status, with_body.status, over.status] == [404, 400, 409]
    assert "cancel" not in world.exchange.calls


async def test_orders_of_other_programs_are_shown_and_never_touched(
    client: Client, world: World
) -> None:
    mine, other = (
        an_exchange_order(uuid="e-1", identifier="uat-1", state=ExchangeOrderState.WAITING),
        an_exchange_order(uuid="e-2", identifier=None, state=ExchangeOrderState.WAITING),
    )
    world.exchange.orders = {"uat-1": mine, "other": other}
    world.exchange.intents = {"uat-1": an_intent(), "other": an_intent()}

    asked = world.exchange.calls.count("open_orders")
    body = await (await client.get(f"{URL}/external")).json()
    await client.get(f"{URL}/external")

    assert [(row["exchange_uuid"], row["origin"]) for row in body["items"]] == [("e-2", "EXTERNAL")]
    assert (body["unreadable"], body["age_seconds"] >= 0) == (0, True)
    assert world.exchange.calls.count("open_orders") == asked + 1
    assert "cancel" not in world.exchange.calls


@pytest.fixture
async def unknown(client: Client, world: World) -> str:
    """Hold an order of unknown outcome, five minutes old; return the address of the word."""
    world.orders.hold(an_order(status=OrderStatus.UNKNOWN))
    world.clock.pass_time(300)
    await world.lead()
    return f"{URL}/1/not-placed"


async def test_an_order_that_never_arrived_ends_by_the_operators_word(
    client: Client, world: World, unknown: str
) -> None:
    first, again = await client.post(unknown), await client.post(unknown)

    assert (first.status, again.status) == (200, 200)
    assert await first.json() == await again.json()
    order = world.orders.rows[1]
    assert (order.status, order.reason) == (OrderStatus.FAILED, "not_placed_by_operator")
    assert [(row["action"], row["subject"]) for row in world.audit.rows] == [
        ("order.not_placed", "1"),
        ("order.not_placed", "1"),
    ]
    assert world.audit.rows[0]["actor"].startswith("admin")


async def test_an_order_of_the_exchange_is_not_ended_by_a_word(
    client: Client, world: World, unknown: str
) -> None:
    await world.exchange.submit(an_intent(), identifier="uat-1")

    answer = await client.post(unknown)

    body = await answer.json()
    assert (answer.status, body["rule"]) == (409, "on_the_exchange")
    assert body["type"].endswith(":absence-refused")
    assert world.orders.rows[1].status is OrderStatus.EXECUTED


async def test_without_its_audit_row_no_order_is_ended(
    client: Client, world: World, unknown: str
) -> None:
    world.audit.fail = ExchangeUnavailable("gone")

    assert (await client.post(unknown)).status == 503
    assert world.orders.rows[1].status is OrderStatus.UNKNOWN


async def test_a_standby_ends_no_order_by_a_word(serve: Serve) -> None:
    world = World(epoch=None)
    client = await serve(world)
    world.orders.hold(an_order(status=OrderStatus.UNKNOWN))
    world.clock.pass_time(300)

    answer = await client.post(f"{URL}/1/not-placed")

    assert answer.status == 409
    assert (await answer.json())["type"].endswith(":not-leader")
    assert world.orders.rows[1].status is OrderStatus.UNKNOWN


async def test_a_word_about_an_order_takes_no_body_and_an_order_that_exists(
    client: Client, unknown: str
) -> None:
    assert (await client.post(unknown, json={"force": True})).status == 400
    assert (await client.post(f"{URL}/99/not-placed")).status == 404


async def test_the_audit_log_is_listed_by_action(client: Client, world: World) -> None:
    answer = await client.get("/api/v1/admin/audit", params={"action": "order.place", "limit": "5"})

    assert answer.status == 200
    assert await answer.json() == {"items": [], "next_cursor": None}
