"""Deposits and differences as the API reads them."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from service.domain.account import CurrencyBook, NewDeposit
from service.store.database.pool import Pool
from service.store.queries.account import PgAccountLists
from service.store.tables.account import PgAccountBooks
from tests.builders import T0

HOUR = timedelta(hours=1)


def told(**overrides: Any) -> NewDeposit:
    values: dict[str, Any] = {
        "currency": "KRW",
        "amount": Decimal("-500000.250"),
        "at": T0,
        "note": "",
        "actor": "admin",
    }
    return NewDeposit(**values | overrides)


def a_book(**overrides: Any) -> CurrencyBook:
    values: dict[str, Any] = {
        "currency": "BTC",
        "amount": Decimal(1),
        "at": T0,
        "moved": Decimal("0.5"),
        "moved_by_others": Decimal(0),
        "booked": Decimal("0.5"),
        "external": Decimal(0),
    }
    return CurrencyBook(**values | overrides)


async def test_a_deposit_that_is_told_twice_is_one(pool: Pool) -> None:
    books = PgAccountBooks(pool)

    first, again = await books.add(told()), await books.add(told(note="again"))
    other = await books.add(told(at=T0 + HOUR))

    assert first == again != other
    page = await PgAccountLists(pool).deposits(limit=10)
    assert len(json.loads(page.items)) == 2


async def test_deposits_come_in_pages_the_newest_first(pool: Pool) -> None:
    books, lists = PgAccountBooks(pool), PgAccountLists(pool)
    for n in range(3):
        await books.add(told(at=T0 + n * HOUR))

    page = await lists.deposits(limit=2)
    rest = await lists.deposits(limit=2, before=page.last)

    at = [item["occurred_at"] for item in json.loads(page.items) + json.loads(rest.items)]
    assert at == [f"2026-01-24T{hour}:00:00.000000Z" for hour in (11, 10, "09")]
    assert json.loads(page.items)[0]["amount"] == "-500000.25"
    assert rest.last is None


async def test_a_detected_deposit_is_seen_and_a_told_one_is_not_yet(pool: Pool) -> None:
    books, lists = PgAccountBooks(pool), PgAccountLists(pool)
    await books.begin({"BTC": Decimal(1)}, at=T0)
    told_id = await books.add(told())
    await books.settle_difference(a_book(), Decimal(2), at=T0 + HOUR, as_deposit=True)

    [detected, waiting] = json.loads((await lists.deposits(limit=10)).items)

    assert (detected["source"], detected["amount"]) == ("detected", "0.5")
    assert detected["seen_at"] == detected["occurred_at"]
    assert (waiting["id"], waiting["source"], waiting["seen_at"]) == (told_id, "operator", None)
    assert json.loads(await lists.deposit(told_id) or b"") == waiting
    assert await lists.deposit(told_id + 9) is None


async def test_a_difference_shows_both_amounts_until_it_is_over(pool: Pool) -> None:
    books, lists = PgAccountBooks(pool), PgAccountLists(pool)
    await books.put_difference(a_book(), Decimal("1.2"), at=T0)
    await books.put_difference(a_book(), Decimal("1.1"), at=T0 + HOUR)

    shown = json.loads(await lists.differences())
    await books.settle(a_book(), Decimal("1.5"), at=T0 + 2 * HOUR)

    assert shown == [
        {
            "currency": "BTC",
            "expected": "1.5",
            "actual": "1.1",
            "difference": "-0.4",
            "since": "2026-01-24T09:00:00.000000Z",
        }
    ]
    assert json.loads(await lists.differences()) == []


async def test_an_older_look_moves_no_baseline_back(pool: Pool) -> None:
    books = PgAccountBooks(pool)
    await books.begin({"BTC": Decimal(1)}, at=T0)
    await books.settle(a_book(), Decimal(7), at=T0 + HOUR)

    await books.settle(a_book(), Decimal(3), at=T0)

    found = await books.books()
    assert found is not None
    assert (found["BTC"].amount, found["BTC"].at) == (Decimal(7), T0 + HOUR)
