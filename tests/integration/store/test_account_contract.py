"""The account's books on PostgreSQL and in memory keep the same promises."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from service.domain.account import CurrencyBook
from service.domain.orders import (
    ExchangeOrderState,
    ListedOrder,
    OrderStatus,
    Side,
)
from service.ports.account import AccountBooks
from service.store.tables.account import PgAccountBooks
from tests.builders import T0, a_fill, an_exchange_order
from tests.fakes.account_books import AccountBooksTwin
from tests.fakes.orders import FakeOrders
from tests.integration.store.contract import PgStore, StoreUnderTest, TwinStore
from tests.integration.store.test_contract import added

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Accounts:
    store: StoreUnderTest
    books: AccountBooks

    async def of(self, currency: str) -> CurrencyBook:
        found = await self.books.books()
        assert found is not None
        return found[currency]

    async def bought(self, identifier: str = "uat-1") -> None:
        """Book a purchase of 0.001 BTC for 100,000 and a fee of 50."""
        order = await added(self.store, identifier)
        fill = a_fill(trade_uuid=f"t-{identifier}")
        assert await self.store.orders.advance(
            order.moved_to(OrderStatus.EXECUTED), seen=order.status, fills=[fill], at=T0
        )


@pytest.fixture(params=["postgres", "twin"])
def accounts(request: pytest.FixtureRequest) -> Accounts:
    if request.param == "twin":
        twin = TwinStore()
        assert isinstance(twin.orders, FakeOrders)
        return Accounts(twin, AccountBooksTwin(twin.orders))
    pool = request.getfixturevalue("pool")
    return Accounts(PgStore(pool), PgAccountBooks(pool))


def external(
    uuid: str = "e-9", *, volume: str = "0.5", funds: int = 50_000, is_open: bool = True
) -> ListedOrder:
    order = an_exchange_order(
        uuid=uuid,
        identifier=None,
        side=Side.BUY,
        state=ExchangeOrderState.WAITING if is_open else ExchangeOrderState.CANCELLED,
        executed_volume=Decimal(volume),
        paid_fee=Decimal(25) if funds else Decimal(0),
        trades=(),
    )
    return ListedOrder(order=order, intent=None, executed_funds=Decimal(funds))


async def begun(accounts: Accounts, **amounts: int) -> None:
    given = amounts or {"KRW": 1_000_000}
    await accounts.books.begin({name: Decimal(n) for name, n in given.items()}, at=T0)


async def test_before_the_first_baselines_there_are_no_books(accounts: Accounts) -> None:
    await accounts.bought()

    assert await accounts.books.books() is None


async def test_what_was_traded_before_the_baselines_is_in_them(accounts: Accounts) -> None:
    await accounts.bought()
    await begun(accounts)

    money, coins = await accounts.of("KRW"), await accounts.of("BTC")

    assert [money.amount, money.moved, money.booked] == [1_000_000, 0, -100_050]
    assert [coins.amount, coins.moved, coins.booked] == [0, 0, Decimal("0.001")]


async def test_fills_move_what_the_account_should_hold(accounts: Accounts) -> None:
    await begun(accounts)
    await accounts.bought()

    assert (await accounts.of("KRW")).expected == 899_950
    assert (await accounts.of("BTC")).expected == Decimal("0.001")
    assert (await accounts.of("BTC")).at == T0


async def test_the_first_baselines_are_stored_once(accounts: Accounts) -> None:
    await begun(accounts)
    await accounts.books.begin({"KRW": Decimal(5)}, at=T0 + HOUR)

    assert (await accounts.of("KRW")).amount == 1_000_000


async def test_a_settled_book_is_the_next_baseline_unless_a_newer_one_stands(
    accounts: Accounts,
) -> None:
    await begun(accounts)
    await accounts.bought()
    before = await accounts.of("KRW")
    await accounts.books.settle(before, Decimal(899_950), at=T0 + 2 * HOUR)
    settled = await accounts.of("KRW")

    await accounts.books.settle(before, Decimal(7), at=T0 + HOUR)

    assert [settled.amount, settled.moved] == [899_950, 0]
    assert settled.at == T0 + 2 * HOUR
    assert await accounts.of("KRW") == settled


async def test_a_difference_is_a_deposit_only_where_that_is_allowed(accounts: Accounts) -> None:
    await begun(accounts)
    book, actual = await accounts.of("KRW"), Decimal(1_500_000)

    refused = await accounts.books.settle_difference(book, actual, at=T0, as_deposit=False)
    unchanged = await accounts.of("KRW")
    stored = await accounts.books.settle_difference(book, actual, at=T0, as_deposit=True)

    assert (refused, unchanged, stored) == (False, book, True)
    assert (await accounts.of("KRW")).amount == actual


async def test_orders_of_other_programs_move_the_account_each_once(accounts: Accounts) -> None:
    await begun(accounts)
    await accounts.books.put_external([external()], at=T0)
    await accounts.books.put_external([external()], at=T0)

    assert (await accounts.of("KRW")).moved_by_others == -50_025
    assert (await accounts.of("BTC")).moved_by_others == Decimal("0.5")
    assert await accounts.books.open_external() == {"e-9": T0}


async def test_an_older_answer_about_another_programs_order_moves_nothing_back(
    accounts: Accounts,
) -> None:
    await begun(accounts)
    await accounts.books.put_external([external(volume="0.5")], at=T0)
    await accounts.books.put_external([external(volume="0.1", funds=10_000)], at=T0)

    assert (await accounts.of("BTC")).moved_by_others == Decimal("0.5")


async def test_an_order_of_another_program_that_left_the_lists_keeps_what_it_moved(
    accounts: Accounts,
) -> None:
    await begun(accounts)
    await accounts.books.put_external([external()], at=T0)
    await accounts.books.put_external([], ended={"e-9"}, at=T0)

    assert await accounts.books.open_external() == {}
    assert (await accounts.of("BTC")).moved_by_others == Decimal("0.5")


async def test_an_order_that_ended_with_nothing_explains_nothing(accounts: Accounts) -> None:
    await begun(accounts)
    await accounts.books.put_external([external(volume="0", funds=0, is_open=False)], at=T0)

    assert await accounts.books.open_external() == {}
    assert set(await accounts.books.books() or {}) == {"KRW"}
