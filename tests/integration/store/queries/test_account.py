"""Deposits and differences as the API reads them."""

import asyncio
import json
import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from service.domain.account import CurrencyBook, NewDeposit
from service.domain.errors import DepositDetected, InvalidRequest
from service.domain.markets import Market
from service.domain.orders import ExchangeOrderState, ListedOrder, Side
from service.store.database.pool import Pool
from service.store.queries.account import PgAccountLists
from service.store.tables.account import BOOKS, PgAccountBooks
from tests.builders import T0, an_exchange_order
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


async def test_a_correction_is_at_its_deposits_instant_and_told_once(pool: Pool) -> None:
    books, lists = PgAccountBooks(pool), PgAccountLists(pool)
    await detected(books)
    [known] = json.loads((await lists.deposits(limit=10)).items)
    back = told(amount=Decimal("500000.25"), at=T0 + HOUR, corrects=known["id"])

    first, again = await books.add(back), await books.add(back)

    [row, _] = json.loads((await lists.deposits(limit=10)).items)
    assert (first, row["id"], row["corrects"]) == (again, first, known["id"])
    assert row["occurred_at"] == row["seen_at"] == known["occurred_at"]
    assert known["corrects"] is None


@pytest.mark.parametrize(
    ("currency", "amount", "of"),
    [
        ("KRW", "500000.26", "detected"),  # more than there is
        ("KRW", "-1", "detected"),  # the same sign
        ("USDT", "1", "detected"),
        ("KRW", "1", "correction"),
        ("KRW", "1", "none"),
    ],
)
async def test_a_correction_that_fits_no_deposit_is_refused(
    pool: Pool, currency: str, amount: str, of: str
) -> None:
    books = PgAccountBooks(pool)
    await detected(books)
    [detected_id] = await rows(pool, "SELECT id FROM deposits")
    correction_id = await books.add(told(amount=Decimal(-7), at=T0))
    part = await books.add(told(amount=Decimal(3), corrects=detected_id[0]))
    ids = {"detected": detected_id[0], "correction": part, "none": correction_id + 99}

    with pytest.raises(InvalidRequest, match=r"^(corrects|amount)"):
        await books.add(told(currency=currency, amount=Decimal(amount), corrects=ids[of]))

    [count] = await rows(pool, "SELECT count(*) FROM deposits")
    assert count == (3,)


async def test_a_deposit_that_never_came_is_taken_back_as_a_whole(pool: Pool) -> None:
    books = PgAccountBooks(pool)
    told_id = await books.add(told(amount=Decimal(700)))

    with pytest.raises(InvalidRequest, match="take back all of it"):
        await books.add(told(amount=Decimal(-1), corrects=told_id))
    await books.add(told(amount=Decimal(-700), corrects=told_id))

    [unseen] = await rows(pool, "SELECT count(*) FROM deposits WHERE seen_at IS NULL")
    assert unseen == (0,)


async def test_a_deposit_that_is_told_and_detected_at_once_counts_once(pool: Pool) -> None:
    """Whichever comes first, the other one sees it."""
    for n in range(10):
        books, at = PgAccountBooks(pool), T0 + n * 30 * 24 * HOUR
        await asyncio.gather(detected(books, at=at), books.add(told(at=at)), return_exceptions=True)

    [count] = await rows(pool, "SELECT count(*) FROM deposits")
    assert count == (10,)


WHOLE = """
    SELECT currency, sum(amount)
      FROM external_orders
     CROSS JOIN LATERAL (
           VALUES (split_part(market, '-', 2),
                   CASE side WHEN 'BUY' THEN executed_volume ELSE -executed_volume END),
                  (split_part(market, '-', 1),
                   CASE side WHEN 'BUY' THEN -executed_funds ELSE executed_funds END - paid_fee)
           ) AS moved (currency, amount)
     GROUP BY currency
     ORDER BY currency
"""
SUMS = "SELECT currency, amount FROM external_moves ORDER BY currency"


def by_hand(number: int, volume: int, *, side: Side = Side.BUY) -> ListedOrder:
    order = an_exchange_order(
        uuid=f"e-{number}",
        identifier=None,
        market=Market("KRW", ("BTC", "ETH", "XRP")[number % 3]),
        side=side,
        state=ExchangeOrderState.WAITING,
        executed_volume=Decimal(volume),
        paid_fee=Decimal(volume) / 20,
        trades=(),
    )
    return ListedOrder(order=order, intent=None, executed_funds=Decimal(100 * volume))


async def test_the_sums_of_orders_by_hand_are_those_of_all_of_them(pool: Pool) -> None:
    """Lists come again and again, older answers too, and two processes look at once."""
    chance, books = random.Random(4), [PgAccountBooks(pool), PgAccountBooks(pool)]
    sides = [chance.choice(tuple(Side)) for _ in range(20)]
    for _ in range(15):
        lists = [
            [
                by_hand(number, chance.randrange(9), side=sides[number])
                for number in chance.sample(range(20), 7)
            ]
            for _ in books
        ]
        await asyncio.gather(
            *(one.put_external(orders, at=T0) for one, orders in zip(books, lists, strict=True))
        )
        assert await rows(pool, SUMS) == await rows(pool, WHOLE)

    assert len(await rows(pool, SUMS)) == 4


async def test_a_look_reads_no_order_by_hand(pool: Pool) -> None:
    ((plan,),) = await rows(pool, "EXPLAIN (FORMAT JSON) " + BOOKS)

    assert "external_moves" in str(plan)
    assert "external_orders" not in str(plan)


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
