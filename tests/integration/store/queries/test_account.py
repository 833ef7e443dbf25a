"""Deposits and differences as the API reads them."""

import asyncio
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from service.domain.account import CurrencyBook, NewDeposit
from service.domain.errors import DepositDetected
from service.store.database.pool import Pool
from service.store.queries.account import PgAccountLists
from service.store.tables.account import PgAccountBooks
from tests.builders import T0
from tests.integration.store.seeds import rows

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


async def detected(books: PgAccountBooks, *, at: datetime = T0) -> None:
    """Let the account show 500,000.25 won less than the book explains."""
    book = a_book(currency="KRW", amount=Decimal(900_000), moved=Decimal(0), booked=Decimal(0))
    await books.settle_difference(book, Decimal("399999.75"), at=at, as_deposit=True)


async def test_a_deposit_that_was_detected_is_not_told_a_second_time(pool: Pool) -> None:
    """Told after it was detected, with the bank's instant or a day later."""
    books, lists = PgAccountBooks(pool), PgAccountLists(pool)
    await detected(books)
    [known] = json.loads((await lists.deposits(limit=10)).items)

    for at in (T0 - HOUR, T0, T0 + 24 * HOUR):
        with pytest.raises(DepositDetected, match=rf"deposit {known['id']} .*2026-01-24T09:00"):
            await books.add(told(at=at))

    assert json.loads((await lists.deposits(limit=10)).items) == [known]


async def test_another_deposit_of_a_detected_amount_may_be_told(pool: Pool) -> None:
    books = PgAccountBooks(pool)
    await detected(books)

    first = await books.add(told(is_another=True))
    again = await books.add(told())  # the same told twice is one, also after that
    await books.add(told(amount=Decimal("500000.25")))  # takes the detected one back
    await books.add(told(at=T0 + 8 * 24 * HOUR))

    [count] = await rows(pool, "SELECT count(*) FROM deposits WHERE source = 'operator'")
    assert (again, count) == (first, (3,))


async def test_a_deposit_that_is_told_and_detected_at_once_counts_once(pool: Pool) -> None:
    """Whichever comes first, the other one sees it."""
    for n in range(10):
        books, at = PgAccountBooks(pool), T0 + n * 30 * 24 * HOUR
        await asyncio.gather(detected(books, at=at), books.add(told(at=at)), return_exceptions=True)

    [count] = await rows(pool, "SELECT count(*) FROM deposits")
    assert count == (10,)


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
