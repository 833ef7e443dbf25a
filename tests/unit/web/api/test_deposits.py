"""What an operator may tell of deposits, and what is refused."""

from decimal import Decimal
from typing import Any

import pytest

from tests.builders import T0
from tests.unit.web.world import Client, World

API = "/api/v1/portfolio"


async def test_a_deposit_that_an_operator_tells_of_is_stored_under_his_name(
    client: Client, world: World
) -> None:
    body = {"currency": "KRW", "amount": "-500000.25", "note": "rent"}

    answer = await client.post(f"{API}/deposits", json=body)

    [(told, is_seen)] = world.books.told
    assert (answer.status, await answer.json()) == (201, {"id": 1})
    assert (told.currency, told.amount, told.at) == ("KRW", Decimal("-500000.25"), T0)
    assert (told.note, is_seen) == ("rent", False)
    [entry] = world.audit.rows
    assert (entry["action"], entry["subject"]) == ("deposit.add", "KRW")
    assert told.actor == entry["actor"]
    assert "500000" not in str(entry)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"currency": "KRW"},
        {"currency": "krw", "amount": "1"},
        {"currency": "KRW", "amount": 1},
        {"currency": "KRW", "amount": "0"},
        {"currency": "KRW", "amount": "-0.00"},
        {"currency": "KRW", "amount": "1e3"},
        {"currency": "KRW", "amount": "NaN"},
        {"currency": "KRW", "amount": "1" * 16},
        {"currency": "KRW", "amount": "1", "at": "soon"},
        {"currency": "KRW", "amount": "1", "at": "2026-01-24T09:00:00"},
        {"currency": "KRW", "amount": "1", "at": "2126-01-24T09:00:00Z"},
        {"currency": "KRW", "amount": "1", "note": "two\nlines"},
        {"currency": "KRW", "amount": "1", "note": "x" * 501},
        {"currency": "KRW", "amount": "1", "id": "7"},
        {"currency": "KRW", "amount": "1", "another": "yes"},
        {"currency": "KRW", "amount": "1", "corrects": "7"},
        {"currency": "KRW", "amount": "1", "corrects": True},
        {"currency": "KRW", "amount": "1", "corrects": 0},
        {"currency": "KRW", "amount": "1", "corrects": 2**63},
        {"currency": "KRW", "amount": "1", "corrects": 7, "another": True},
        {"currency": "KRW", "amount": "1", "corrects": 7, "at": "2026-01-24T09:00:00Z"},
    ],
)
async def test_a_deposit_that_makes_no_sense_is_refused(
    client: Client, world: World, body: dict[str, Any]
) -> None:
    answer = await client.post(f"{API}/deposits", json=body)

    assert answer.status in {422, 400}
    assert world.books.told == []


async def test_a_deposit_that_was_detected_is_refused_unless_it_is_another_one(
    client: Client, world: World
) -> None:
    world.books.deposits.append(("KRW", Decimal(700)))
    body: dict[str, Any] = {"currency": "KRW", "amount": "700"}

    refused = await client.post(f"{API}/deposits", json=body)
    problem = await refused.json()
    taken = await client.post(f"{API}/deposits", json=body | {"another": True})

    assert (refused.status, problem["type"]) == (409, "urn:trader:problem:deposit-detected")
    assert problem["detail"]
    assert (taken.status, len(world.books.told)) == (201, 1)


async def test_deposits_and_differences_are_lists(client: Client) -> None:
    for path, items in (("deposits", [{"id": 1}]), ("differences", [{"currency": "BTC"}])):
        answer = await client.get(f"{API}/{path}")

        assert await answer.json() == {"items": items, "next_cursor": None}
