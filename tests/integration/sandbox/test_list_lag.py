"""Lists that lag: a new order is not listed, a cancelled one still is, one order is up to date."""

from typing import Any

import pytest

from tests.integration.sandbox.client import Client
from tests.integration.sandbox.stream.streamed import advance

FAR_BELOW = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "50000000"}
LAG_S = 30


async def listed(client: Client, which: str, **params: Any) -> list[str]:
    _, orders = await client.ask("GET", f"/v1/orders/{which}", **params)
    return [order["uuid"] for order in orders]


async def made(client: Client) -> str:
    _, order = await client.order(**FAR_BELOW, volume="0.001")
    uuid: str = order["uuid"]
    return uuid


async def test_a_new_order_is_listed_once_the_lag_has_passed(client: Client) -> None:
    await client.control("POST", "lag", json={"lists_s": LAG_S})
    uuid = await made(client)

    early = await listed(client, "open"), await listed(client, "uuids", **{"uuids[]": uuid})
    status, shown = await client.ask("GET", "/v1/order", uuid=uuid)
    await advance(client, LAG_S // 10)
    late = await listed(client, "open")

    assert early == ([], [])
    assert (status, shown["state"]) == (200, "wait")
    assert late == [uuid]


async def test_an_order_of_before_is_listed_as_open_until_the_lag_has_passed(
    client: Client,
) -> None:
    uuid = await made(client)
    await client.control("POST", "lag", json={"lists_s": LAG_S})
    await client.ask("DELETE", "/v1/order", uuid=uuid)

    early = await listed(client, "open"), await listed(client, "closed")
    _, shown = await client.ask("GET", "/v1/order", uuid=uuid)
    await advance(client, LAG_S // 10)
    late = await listed(client, "open"), await listed(client, "closed")

    assert (early, shown["state"]) == (([uuid], []), "cancel")
    assert late == ([], [uuid])


async def test_a_cancellation_of_several_works_on_the_present(client: Client) -> None:
    await client.control("POST", "lag", json={"lists_s": LAG_S})
    uuid = await made(client)

    _, outcome = await client.ask("DELETE", "/v1/orders/uuids", **{"uuids[]": uuid})
    _, shown = await client.ask("GET", "/v1/order", uuid=uuid)

    assert outcome["success"]["count"] == 1
    assert shown["state"] == "cancel"


async def test_without_a_lag_the_lists_are_up_to_date_again(client: Client) -> None:
    await client.control("POST", "lag", json={"lists_s": LAG_S})
    uuid = await made(client)
    told = await client.control("GET", "lag")
    await client.control("POST", "lag", json={"lists_s": 0})

    assert told == {"lists_s": LAG_S}
    assert await listed(client, "open") == [uuid]


@pytest.mark.parametrize("body", ["", "[]", '{"lists_s": "soon"}', '{"lists_s": -1}'])
async def test_a_wrong_lag_is_400(client: Client, body: str) -> None:
    async with client.session.post(f"{client.url}/__sandbox__/lag", data=body) as answer:
        assert answer.status == 400
