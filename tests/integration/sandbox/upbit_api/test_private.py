"""Trading on the sandbox with a client written from Upbit's documentation."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.sandbox.client import Client

MARKET_BUY = {"market": "KRW-BTC", "side": "bid", "ord_type": "price", "price": "100000"}


async def resting_bid(client: Client, **more: str) -> Any:
    _, [book] = await client.public("/v1/orderbook", markets="KRW-BTC")
    price = int(book["orderbook_units"][0]["bid_price"]) - 1_000_000
    status, order = await client.order(
        market="KRW-BTC", side="bid", ord_type="limit", price=str(price), volume="0.001", **more
    )
    assert status == 201
    return order


async def test_a_market_buy_is_found_by_its_identifier_with_its_trades(client: Client) -> None:
    status, accepted = await client.order(**MARKET_BUY, identifier="mine-1")

    _, order = await client.ask("GET", "/v1/order", identifier="mine-1")

    assert (status, accepted["state"], accepted["trades_count"]) == (201, "wait", 0)
    assert order["uuid"] == accepted["uuid"]
    assert order["state"] in ("cancel", "done")
    [trade] = order["trades"]
    funds = Decimal(trade["price"]) * Decimal(trade["volume"])
    assert Decimal(trade["funds"]) == funds
    assert Decimal(order["paid_fee"]) == funds * Decimal("0.0005")
    assert trade["created_at"].endswith("+09:00")


async def test_decimals_are_strings_and_counts_are_numbers(client: Client) -> None:
    _, order = await client.order(**MARKET_BUY)

    texts = ("price", "executed_volume", "reserved_fee", "remaining_fee", "paid_fee", "locked")
    assert all(isinstance(order[name], str) for name in texts)
    assert order["trades_count"] == 0


async def test_an_order_for_money_has_no_key_that_counts_volumes(client: Client) -> None:
    _, accepted = await client.order(**MARKET_BUY, identifier="mine")
    _, found = await client.ask("GET", "/v1/order", identifier="mine")
    sold = {"side": "ask", "ord_type": "market", "volume": found["executed_volume"]}
    _, sale = await client.order(market="KRW-BTC", **sold)

    volumes = {"volume", "remaining_volume", "prevented_volume"}
    assert not volumes & accepted.keys()
    assert not volumes & found.keys()
    assert volumes <= sale.keys()


async def test_trades_are_told_of_one_order_only_and_funds_in_lists_only(client: Client) -> None:
    resting = await resting_bid(client)
    _, before_a_fill = await client.ask("GET", "/v1/order", uuid=resting["uuid"])
    _, accepted = await client.order(**MARKET_BUY, identifier="mine")
    _, found = await client.ask("GET", "/v1/order", identifier="mine")
    _, [closed] = await client.ask("GET", "/v1/orders/closed")
    _, [waiting] = await client.ask("GET", "/v1/orders/open")
    _, [by_id] = await client.ask("GET", "/v1/orders/uuids", **{"identifiers[]": ["mine"]})
    _, cancelled = await client.ask("DELETE", "/v1/order", uuid=resting["uuid"])

    assert before_a_fill["trades"] == []
    assert len(found["trades"]) == found["trades_count"] == 1
    assert all("trades" not in body for body in (accepted, closed, waiting, by_id, cancelled))
    assert all("executed_funds" in body for body in (closed, waiting, by_id))
    assert all("executed_funds" not in body for body in (accepted, found, cancelled))


async def test_the_accounts_explain_what_was_spent(client: Client) -> None:
    await client.order(**MARKET_BUY)

    _, accounts = await client.ask("GET", "/v1/accounts")
    ledger = await client.control("GET", "ledger")

    held = {account["currency"]: Decimal(account["balance"]) for account in accounts}
    spent = sum(Decimal(t["funds"]) + Decimal(t["fee"]) for t in ledger["trades"])
    assert held["KRW"] == Decimal(ledger["opening"]["KRW"]) - spent
    assert held["BTC"] == sum(Decimal(t["volume"]) for t in ledger["trades"])


async def test_a_limit_order_waits_and_can_be_cancelled(client: Client) -> None:
    order = await resting_bid(client)
    _, waiting = await client.ask("GET", "/v1/orders/open", market="KRW-BTC")

    status, answer = await client.ask("DELETE", "/v1/order", uuid=order["uuid"])
    _, cancelled = await client.ask("GET", "/v1/order", uuid=order["uuid"])
    again, error = await client.ask("DELETE", "/v1/order", uuid=order["uuid"])

    assert [entry["uuid"] for entry in waiting] == [order["uuid"]]
    assert (status, answer["state"]) == (200, "wait")
    # A finished order keeps what it had locked; nothing may be computed from it.
    assert (cancelled["state"], cancelled["locked"]) == ("cancel", order["locked"])
    assert cancelled["remaining_fee"] == order["remaining_fee"]
    assert cancelled["remaining_volume"] == "0.001"
    assert (again, error["error"]["name"]) == (404, "order_not_found")


async def test_open_orders_come_in_pages(client: Client) -> None:
    orders = [await resting_bid(client) for _ in range(3)]

    pages = [
        (await client.ask("GET", "/v1/orders/open", limit=2, page=page))[1] for page in (1, 2, 3)
    ]

    assert [[entry["uuid"] for entry in page] for page in pages] == [
        [orders[2]["uuid"], orders[1]["uuid"]],
        [orders[0]["uuid"]],
        [],
    ]


async def test_closed_orders_are_filtered_by_state_and_time(client: Client) -> None:
    await client.order(**MARKET_BUY)
    order = await resting_bid(client)
    await client.ask("DELETE", "/v1/order", uuid=order["uuid"])

    _, both = await client.ask("GET", "/v1/orders/closed", **{"states[]": ["done", "cancel"]})
    _, oldest = await client.ask("GET", "/v1/orders/closed", order_by="asc", limit=1)
    _, none = await client.ask("GET", "/v1/orders/closed", end_time="2020-01-01T00:00:00Z")
    status, _ = await client.ask("GET", "/v1/orders/closed", state="wait")

    assert both[0]["uuid"] == order["uuid"]
    assert len(both) == 2
    assert both[1]["executed_funds"] != "0"
    assert oldest[0]["uuid"] == both[1]["uuid"]
    assert (none, status) == ([], 400)


@pytest.mark.parametrize(
    "params",
    [
        {"start_time": "9999-12-31T00:00:00Z"},
        {"end_time": "0001-01-02T00:00:00Z"},
        {"start_time": "9" * 400},
        {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-08T00:00:01Z"},
        {"limit": "9" * 5000},
        {"limit": "1001"},
        {"order_by": "sideways"},
    ],
)
async def test_a_window_that_cannot_be_is_refused(client: Client, params: dict[str, str]) -> None:
    status, body = await client.ask("GET", "/v1/orders/closed", **params)

    assert (status, body["error"]["name"]) == (400, "invalid_parameter")


async def test_an_order_is_told_in_korean_time(client: Client) -> None:
    order = await resting_bid(client)
    now = datetime.fromisoformat((await client.control("GET", "clock"))["now"])

    made = datetime.fromisoformat(order["created_at"])
    assert order["created_at"].endswith("+09:00")
    assert made == now.replace(microsecond=0)


async def test_a_signature_over_a_query_does_not_sign_the_order_in_the_body(
    client: Client,
) -> None:
    headers = {"Authorization": client.bearer({"a": "b"})}

    async with client.session.post(
        client.url + "/v1/orders?a=b", json=MARKET_BUY, headers=headers
    ) as response:
        error = (await response.json())["error"]

    assert (response.status, error["name"]) == (401, "invalid_query_payload")


async def test_orders_are_found_and_cancelled_by_a_list_of_ids(client: Client) -> None:
    first = await resting_bid(client, identifier="one")
    await resting_bid(client, identifier="two")

    _, found = await client.ask("GET", "/v1/orders/uuids", **{"uuids[]": [first["uuid"]]})
    _, outcome = await client.ask(
        "DELETE", "/v1/orders/uuids", **{"identifiers[]": ["one", "two", "none"]}
    )

    assert [order["identifier"] for order in found] == ["one"]
    assert (outcome["success"]["count"], outcome["failed"]["count"]) == (2, 0)


async def test_a_used_identifier_is_refused(client: Client) -> None:
    await client.order(**MARKET_BUY, identifier="mine")

    status, body = await client.order(**MARKET_BUY, identifier="mine")

    assert (status, body["error"]["name"]) == (400, "duplicated_identifier")


async def test_the_chance_names_fee_minimum_and_both_accounts(client: Client) -> None:
    status, chance = await client.ask("GET", "/v1/orders/chance", market="KRW-BTC")

    assert status == 200
    assert (chance["bid_fee"], chance["market"]["bid"]["min_total"]) == ("0.0005", "5000")
    assert chance["bid_account"]["balance"] == "10000000"
    assert chance["ask_account"]["currency"] == "BTC"


async def test_without_a_token_nothing_private_is_answered(client: Client) -> None:
    for path in ("/v1/accounts", "/v1/orders/open", "/v1/order?uuid=x"):
        status, body = await client.public(path)

        assert (status, body["error"]["name"]) == (401, "no_authorization_token")


async def test_a_trial_order_is_answered_and_not_made(client: Client) -> None:
    headers = {"Authorization": client.bearer(MARKET_BUY)}
    async with client.session.post(
        client.url + "/v1/orders/test", json=MARKET_BUY, headers=headers
    ) as response:
        status = response.status

    _, closed = await client.ask("GET", "/v1/orders/closed")
    assert (status, closed) == (201, [])


async def test_parameters_in_the_body_of_a_get_are_read(client: Client) -> None:
    # pyupbit sends them there, form-encoded.
    order = await resting_bid(client)
    params = {"uuid": order["uuid"]}
    headers = {"Authorization": client.bearer(params)}

    async with client.session.get(
        client.url + "/v1/order", data=params, headers=headers
    ) as response:
        found = await response.json()

    assert found["uuid"] == order["uuid"]


async def test_a_resting_order_is_filled_as_the_market_passes_it(client: Client) -> None:
    _, [book] = await client.public("/v1/orderbook", markets="KRW-BTC")
    price = int(book["orderbook_units"][0]["bid_price"])
    _, order = await client.order(
        market="KRW-BTC", side="bid", ord_type="limit", price=str(price), volume="0.001"
    )

    for _ in range(300):
        await client.control("POST", "clock", json={"advance_s": 3600})
        _, seen = await client.ask("GET", "/v1/order", uuid=order["uuid"])
        if seen["state"] == "done":
            break

    assert seen["state"] == "done"
    assert {trade["price"] for trade in seen["trades"]} == {str(price)}


@pytest.mark.parametrize("body", ["{", "[]", '"x"', '{"market": {"deep": 1}}'])
async def test_a_body_that_is_no_order_is_a_400_or_401(client: Client, body: str) -> None:
    headers = {"Authorization": client.bearer({"a": "b"}), "Content-Type": "application/json"}

    async with client.session.post(
        client.url + "/v1/orders", data=body, headers=headers
    ) as response:
        error = (await response.json())["error"]

    assert response.status in (400, 401)
    assert isinstance(error["name"], str)


async def test_the_key_list_names_our_key_and_when_it_ends(client: Client) -> None:
    status, keys = await client.ask("GET", "/v1/api_keys")

    assert status == 200
    [key] = keys
    assert key["access_key"] == client.access
    assert key["expire_at"].endswith("+09:00")
