"""Every change of the account is explained or told, with the books in PostgreSQL."""

import traceback
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from service.bus import Bus
from service.domain.account import Absence, CurrencyBook, NewDeposit
from service.domain.errors import DomainError
from service.domain.markets import Balances, Market
from service.domain.orders import (
    IDENTIFIER_PREFIX,
    ZERO,
    Order,
    OrderList,
    OrderStatus,
    OrderType,
    Quarantine,
    Side,
)
from service.flows.account_book import (
    LOOKS_UNREADABLE,
    LOOKS_WHILE_MOVING,
    AccountBook,
    AccountLook,
)
from service.flows.reconcile import Reconciler
from service.store.database.pool import Pool
from service.store.tables.account import PgAccountBooks
from service.store.tables.orders import PgOrders
from service.store.tables.trading_state import PgTradingState
from tests.builders import KRW_BTC, T0, an_intent
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.logs import Logs
from tests.integration.store.seeds import BY_SIGNAL, a_stored_order, rows, the_epoch

DEPOSITS = "SELECT currency, amount, source FROM deposits ORDER BY id"
DIFFERENCES = "SELECT currency, expected, actual FROM account_differences ORDER BY currency"
BASELINE = "SELECT amount FROM account_baselines WHERE currency = 'KRW'"
MINUTE = timedelta(minutes=1)


class Account:
    """Ten million won at an exchange in memory, and the service's books of it."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.clock = pool, FakeClock()
        self.exchange = FakeExchange(clock=self.clock)
        self.orders, self.books = PgOrders(pool), PgAccountBooks(pool)
        self.reconciler = Reconciler(
            orders=self.orders,
            exchange=self.exchange,
            states=PgTradingState(pool),
            bus=Bus(),
            clock=self.clock,
            real_clock=self.clock,
        )
        self.book = self.opened()

    def opened(self) -> AccountBook:
        """Return what a process that starts now makes."""
        return AccountBook(
            books=self.books, orders=self.orders, exchange=self.exchange, clock=self.clock
        )

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.pass_time(60)
            await self.book.look()

    async def written(self, identifier: str = "uat-1") -> Order:
        self.clock.pass_time(1)
        return await self.orders.add(
            an_intent(),
            identifier=identifier,
            decision_id=None,
            at=self.clock.now(),
            epoch=await the_epoch(self.pool),
            **BY_SIGNAL,
        )

    async def bought(self, identifier: str = "uat-1") -> Order:
        """Buy for 100,000 won, booked with its fill."""
        order = await self.written(identifier)
        await self.exchange.submit(order.intent, identifier=identifier)
        return await self.reconciler.settle(order)

    async def bought_by_hand(self, identifier: str = "theirs") -> None:
        await self.exchange.submit(an_intent(), identifier=identifier)

    def move(self, currency: str, amount: int | str) -> None:
        self.exchange.available[currency] += Decimal(amount)

    async def deposits(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await rows(self.pool, DEPOSITS)]


@pytest.fixture
async def account(pool: Pool) -> Account:
    made = Account(pool)
    await made.book.begin()
    return made


async def test_our_own_fills_explain_what_they_move(account: Account) -> None:
    for number in range(3):
        await account.bought(f"uat-{number}")
        await account.look(2)

    [(amount,)] = await rows(account.pool, BASELINE)
    assert amount == 10_000_000 - 3 * Decimal(100050)
    assert await account.deposits() == []
    assert not account.book.disagree


@pytest.mark.parametrize(("currency", "amount"), [("KRW", 500_000), ("KRW", -500_000), ("XRP", 7)])
async def test_what_no_fill_explains_is_a_deposit_from_the_second_look_on(
    account: Account, currency: str, amount: int
) -> None:
    account.move(currency, amount)

    await account.look()
    early = await account.deposits()
    await account.look(3)

    assert early == []
    assert await account.deposits() == [(currency, amount, "detected")]
    assert not account.book.disagree


async def test_a_deposit_between_two_fills_is_told_to_the_last_digit(account: Account) -> None:
    await account.bought("uat-1")
    account.move("KRW", "123456.789")
    await account.look()
    await account.bought("uat-2")
    await account.look(2)

    assert await account.deposits() == [("KRW", Decimal("123456.789"), "detected")]


async def test_a_difference_that_changes_is_looked_at_again(account: Account) -> None:
    account.move("KRW", 1_000)
    await account.look()
    account.move("KRW", 1_000)
    await account.look()
    early = await account.deposits()
    await account.look()

    assert early == []
    assert await account.deposits() == [("KRW", 2_000, "detected")]


async def test_a_currency_that_an_order_may_move_is_not_judged(account: Account) -> None:
    order = await account.written()
    account.move("KRW", 500)
    await account.look(3)
    early = await account.deposits()
    failed = order.moved_to(OrderStatus.FAILED, reason="not_sent")
    await account.orders.advance(failed, seen=order.status, at=account.clock.now())
    await account.look(2)

    assert early == []
    assert await account.deposits() == [("KRW", 500, "detected")]


async def test_an_order_of_another_program_explains_what_it_moves(account: Account) -> None:
    await account.bought_by_hand()

    await account.look(3)

    assert await account.deposits() == []
    assert not account.book.disagree
    assert await account.books.open_external() == {}


async def test_an_order_by_hand_that_waits_and_is_filled_later_explains_its_fills(
    account: Account,
) -> None:
    intent = an_intent(
        type=OrderType.LIMIT, funds=None, price=Decimal(90_000_000), volume=Decimal("0.01")
    )
    await account.exchange.submit(intent, identifier="theirs")
    account.exchange.fill("theirs", volume=Decimal("0.004"))
    await account.look(2)
    waiting = await account.books.open_external()
    account.clock.pass_time(30 * 24 * 3600)
    account.exchange.fill("theirs")
    await account.look(2)

    assert waiting.keys() == {account.exchange.orders["theirs"].uuid}
    assert await account.books.open_external() == {}
    assert await account.deposits() == []
    assert not account.book.disagree


async def test_what_was_traded_before_the_books_began_explains_nothing_later(pool: Pool) -> None:
    account = Account(pool)
    await account.bought_by_hand("before")
    account.clock.pass_time(60)
    await account.book.begin()

    account.move("KRW", 5)
    await account.look(2)

    assert await account.deposits() == [("KRW", 5, "detected")]


async def test_an_order_that_cannot_be_read_may_explain_the_difference(account: Account) -> None:
    account.exchange.unreadable = 1
    account.move("KRW", 500_000)

    await account.look(LOOKS_UNREADABLE - 1)

    assert await account.deposits() == []
    assert not account.book.disagree


async def test_an_order_that_cannot_be_read_hides_no_difference_for_long(account: Account) -> None:
    """It stays in the lists for a week, and no trade or withdrawal may be hidden so long."""
    account.exchange.unreadable = 1
    account.move("KRW", 500_000)

    await account.look(LOOKS_UNREADABLE)
    told = account.book.disagree
    account.exchange.unreadable = 0
    await account.look()

    assert told
    assert await account.deposits() == [("KRW", 500_000, "detected")]
    assert not account.book.disagree


async def test_missing_coins_of_ours_are_no_withdrawal(account: Account) -> None:
    await account.bought()
    await account.look()
    account.move("BTC", "-0.0004")

    with Logs.captured() as logs:
        await account.look(3)
        told = account.book.disagree
        account.move("BTC", "0.0004")
        await account.look()
        lines = logs.lines

    assert told
    assert not account.book.disagree
    assert await account.deposits() == []
    assert await rows(account.pool, DIFFERENCES) == []
    assert [line["level"] for line in lines if "currency" in line] == ["ERROR", "INFO"]
    text = str([{**line, "timestamp": ""} for line in lines])
    assert "0.0004" not in text
    assert "0.0006" not in text


async def test_both_amounts_of_missing_coins_are_kept_for_the_operator(account: Account) -> None:
    await account.bought()
    await account.look()
    account.move("BTC", "-0.0004")

    await account.look(2)

    assert await rows(account.pool, DIFFERENCES) == [
        ("BTC", Decimal("0.001"), Decimal("0.0006")),
    ]


async def test_coins_that_were_never_ours_may_leave(account: Account) -> None:
    await account.bought()
    account.move("BTC", 1)
    await account.look(2)
    account.move("BTC", -1)
    await account.look(2)

    assert await account.deposits() == [("BTC", 1, "detected"), ("BTC", -1, "detected")]
    assert not account.book.disagree


async def test_a_trade_that_is_in_no_list_is_no_deposit(account: Account) -> None:
    account.move("KRW", -100_050)
    account.move("BTC", "0.001")

    await account.look(2)

    assert account.book.disagree
    assert await account.deposits() == []
    assert [row[0] for row in await rows(account.pool, DIFFERENCES)] == ["BTC", "KRW"]


async def test_what_an_operator_tells_of_is_not_detected_again(account: Account) -> None:
    deposit = NewDeposit(
        currency="KRW", amount=Decimal(700), at=account.clock.now(), note="", actor="admin"
    )
    await account.books.add(deposit)
    account.move("KRW", 700)
    await account.look(2)
    account.move("KRW", 700)
    await account.look(2)

    assert await account.deposits() == [("KRW", 700, "operator"), ("KRW", 700, "detected")]


async def test_a_withdrawal_of_the_amount_of_a_correction_is_detected(account: Account) -> None:
    account.move("KRW", 700)
    await account.look(2)
    [deposit_id] = await rows(account.pool, "SELECT id FROM deposits")
    now = account.clock.now()
    back = NewDeposit(
        currency="KRW", amount=Decimal(-700), at=now, note="", actor="a", corrects=deposit_id[0]
    )
    await account.books.add(back)
    account.move("KRW", -700)
    await account.look(2)

    assert await account.deposits() == [
        ("KRW", 700, "detected"),
        ("KRW", -700, "operator"),
        ("KRW", -700, "detected"),
    ]


async def test_an_operator_explains_what_nothing_explained(account: Account) -> None:
    account.move("KRW", -100_050)
    account.move("BTC", "0.001")
    await account.look(2)
    for currency, amount in (("KRW", "-100050"), ("BTC", "0.001")):
        await account.books.add(
            NewDeposit(
                currency=currency, amount=Decimal(amount), at=account.clock.now(), note="",
                actor="admin",
            )
        )  # fmt: skip
    await account.look(2)

    assert not account.book.disagree
    assert await rows(account.pool, DIFFERENCES) == []


async def test_a_new_process_goes_on_from_the_stored_baseline(account: Account) -> None:
    await account.bought()
    account.move("KRW", 42)
    account.book = account.opened()

    await account.book.begin()
    await account.look(2)

    assert await account.deposits() == [("KRW", 42, "detected")]


async def test_the_books_do_not_begin_while_an_order_may_move_them(pool: Pool) -> None:
    account = Account(pool)
    order = await account.written()
    await account.exchange.submit(order.intent, identifier=order.identifier)
    await account.book.begin()
    early = await account.books.books()
    await account.reconciler.settle(order)
    await account.look(3)

    assert early is None
    assert await account.deposits() == []
    assert not account.book.disagree


async def test_a_purchase_by_hand_that_the_first_balances_show_before_the_lists_counts_once(
    pool: Pool,
) -> None:
    account = Account(pool)
    account.exchange.unlisted.add("theirs")
    await account.bought_by_hand()
    await account.book.begin()
    await account.look()

    account.exchange.unlisted.clear()
    await account.look(3)
    account.move("KRW", 5)
    await account.look(2)

    assert await account.deposits() == [("KRW", 5, "detected")]
    assert await rows(pool, DIFFERENCES) == []
    assert not account.book.disagree


async def test_it_counts_once_too_where_our_clock_is_behind_the_exchanges(pool: Pool) -> None:
    """It looked like one that came after the books began, and became a withdrawal."""
    account = Account(pool)
    ours = FakeClock()
    account.clock.pass_time(20)
    book = AccountBook(
        books=account.books, orders=account.orders, exchange=account.exchange, clock=ours
    )
    account.exchange.unlisted.add("theirs")
    await account.bought_by_hand()
    await book.begin()

    account.exchange.unlisted.clear()
    for _ in range(12):
        ours.pass_time(60)
        account.clock.pass_time(60)
        await book.look()

    assert await account.deposits() == []
    assert not book.disagree


async def test_a_purchase_by_hand_that_the_lists_show_before_the_first_balances_counts_once(
    pool: Pool,
) -> None:
    account = Account(pool)
    before = dict(account.exchange.available)
    await account.bought_by_hand()
    after = dict(account.exchange.available)
    account.exchange.available.update(before | {"BTC": Decimal(0)})
    await account.book.begin()
    early = await account.books.books()

    account.exchange.available.update(after)
    await account.look(3)

    assert early is None
    assert await account.deposits() == []
    assert await rows(pool, DIFFERENCES) == []
    assert not account.book.disagree


async def test_one_side_of_a_trade_by_hand_is_no_deposit_while_the_other_moves(
    account: Account,
) -> None:
    """An order of ours in another market moves the money; the lists are minutes behind."""
    await a_stored_order(account.pool, at=account.clock.now(), market=Market("KRW", "ETH"))
    account.exchange.unlisted.add("theirs")
    await account.bought_by_hand()
    await account.look(LOOKS_WHILE_MOVING - 1)

    account.exchange.unlisted.clear()
    await account.look(3)

    assert await account.deposits() == []
    assert await rows(account.pool, DIFFERENCES) == []


async def test_coins_that_come_while_money_moves_are_a_deposit_after_ten_looks(
    account: Account,
) -> None:
    await a_stored_order(account.pool, at=account.clock.now(), market=Market("KRW", "ETH"))
    account.move("XRP", 7)

    await account.look(LOOKS_WHILE_MOVING - 1)
    early = await account.deposits()
    await account.look()

    assert early == []
    assert await account.deposits() == [("XRP", 7, "detected")]


async def test_one_look_at_the_other_side_suffices_to_see_a_trade(account: Account) -> None:
    account.move("KRW", -100_050)
    account.move("BTC", "0.0009")
    await account.look()
    account.move("BTC", "0.0001")
    await account.look()

    assert await account.deposits() == []
    assert account.book.disagree


# --- does the account explain that an order does not exist? -----------------------------------


async def test_an_order_that_never_arrived_is_explained(account: Account) -> None:
    order = await account.written()

    assert await account.book.explain(order) is Absence.EXPLAINED


async def test_an_order_that_waits_in_a_list_is_not_absent(account: Account) -> None:
    """It has moved nothing yet: the balances alone would explain that it does not exist."""
    limit: dict[str, Any] = {"type": OrderType.LIMIT, "funds": None, "price": Decimal(90_000_000)}
    order = await a_stored_order(
        account.pool, at=account.clock.now(), volume=Decimal("0.01"), **limit
    )
    await account.exchange.submit(order.intent, identifier=order.identifier)

    assert await account.book.explain(order) is Absence.CONTRADICTED


async def test_an_order_in_a_list_is_not_absent(account: Account) -> None:
    order = await account.written()
    await account.exchange.submit(order.intent, identifier=order.identifier)

    assert await account.book.explain(order) is Absence.CONTRADICTED


async def test_an_order_that_is_in_no_list_but_moved_the_account_is_not_absent(
    account: Account,
) -> None:
    order = await account.written()
    account.move("KRW", -100_050)
    account.move("BTC", "0.001")
    await account.look(3)

    assert await account.book.explain(order) is Absence.CONTRADICTED
    # A look in between makes no deposit of what the order may have moved.
    assert await account.deposits() == []


@pytest.mark.parametrize(("currency", "amount"), [("KRW", 1), ("KRW", -1), ("BTC", "0.0001")])
async def test_one_currency_that_moved_is_something_else(
    account: Account, currency: str, amount: int | str
) -> None:
    order = await account.written()
    account.move(currency, amount)

    assert await account.book.explain(order) is Absence.ONE_SIDED


@pytest.mark.parametrize(("won", "coins"), [(1, "0.0001"), (-1, "-0.0001"), (1, "-0.0001")])
async def test_two_currencies_that_moved_prove_nothing(
    account: Account, won: int, coins: str
) -> None:
    order = await account.written()
    account.move("KRW", won)
    account.move("BTC", coins)

    assert await account.book.explain(order) is Absence.UNCLEAR


async def test_books_that_began_while_an_order_was_failed_prove_nothing(pool: Pool) -> None:
    """It counted as failed, moved the account, and is open again: RECOVERED."""
    account = Account(pool)
    order = await account.written()
    account.clock.pass_time(60)
    failed = order.moved_to(OrderStatus.FAILED, reason="not_placed")
    await account.orders.advance(failed, seen=order.status, at=account.clock.now())
    await account.book.begin()
    aside = failed.put_aside(Quarantine(at=account.clock.now(), reason="over_fill", detail={}))
    await account.orders.advance(aside, seen=failed.status, at=account.clock.now())

    [again] = await account.orders.open()
    assert await account.book.explain(again) is Absence.UNCLEAR


async def test_a_baseline_of_a_process_whose_clock_is_ahead_is_a_proof(account: Account) -> None:
    """Its order stayed UNKNOWN for ever: the baseline seemed to come after it."""
    ahead = FakeClock()
    ahead.pass_time(100)
    book = AccountBook(
        books=account.books, orders=account.orders, exchange=account.exchange, clock=ahead
    )
    account.move("KRW", 500)
    for _ in range(3):
        ahead.pass_time(1)
        await book.look()
    order = await account.written()

    assert len(await account.deposits()) == 1  # at an instant from after the order
    assert await account.book.explain(order) is Absence.EXPLAINED


async def test_an_order_that_is_written_during_a_look_blocks_its_baselines(
    account: Account,
) -> None:
    """The balances have its fill: no proof may ever begin with them."""

    class Busy(FakeExchange):
        async def balances(self) -> Balances:
            order = await account.written()
            await account.exchange.submit(order.intent, identifier=order.identifier)
            return await account.exchange.balances()

    busy = Busy(clock=account.clock)
    await AccountBook(
        books=account.books, orders=account.orders, exchange=busy, clock=account.clock
    ).look()

    [(amount,)] = await rows(account.pool, BASELINE)
    assert amount == 10_000_000


async def test_a_busy_program_beside_us_puts_the_books_off_for_ten_minutes_at_most(
    pool: Pool,
) -> None:
    account = Account(pool)
    begun = []
    for number in range(14):  # an order every 50 seconds
        await account.bought_by_hand(f"theirs-{number}")
        await account.book.look()
        begun.append(await account.books.books() is not None)
        account.clock.pass_time(50)

    await account.look(3)

    assert begun == [False] * 12 + [True] * 2
    assert await account.deposits() == []
    assert not account.book.disagree


async def test_a_list_that_cannot_be_read_proves_nothing(account: Account) -> None:
    order = await account.written()
    account.exchange.unreadable = 1

    assert await account.book.explain(order) is Absence.UNCLEAR


async def test_an_order_of_another_program_beside_it_is_told_apart(account: Account) -> None:
    order = await account.written()
    await account.bought_by_hand()

    assert await account.book.explain(order) is Absence.EXPLAINED


async def test_a_sale_is_missed_where_coins_went_and_money_came(account: Account) -> None:
    await account.bought()
    await account.look()
    account.clock.pass_time(1)
    sale = await account.orders.add(
        an_intent(side=Side.SELL, funds=None, volume=Decimal("0.001")),
        identifier=f"{IDENTIFIER_PREFIX}2",
        decision_id=None,
        at=account.clock.now(),
        epoch=await the_epoch(account.pool),
        **BY_SIGNAL,
    )
    before = await account.book.explain(sale)
    account.move("BTC", "-0.001")
    account.move("KRW", 99_950)

    assert before is Absence.EXPLAINED
    assert await account.book.explain(sale) is Absence.CONTRADICTED
    assert sale.market == KRW_BTC


async def test_a_currency_that_cannot_be_read_is_not_judged_and_hides_no_other(
    account: Account,
) -> None:
    account.exchange.unreadable_currencies = {"KRW"}
    account.move("KRW", -5_000)
    account.move("XRP", 7)
    await account.look(LOOKS_WHILE_MOVING + 1)
    meanwhile = await account.deposits()
    account.exchange.unreadable_currencies = set()
    account.move("KRW", 5_000)
    await account.look(3)

    assert meanwhile == await account.deposits() == [("XRP", 7, "detected")]
    assert not account.book.disagree


async def test_a_currency_that_cannot_be_read_proves_no_absence(account: Account) -> None:
    order = await account.written()
    account.exchange.unreadable_currencies = {"BTC"}

    assert await account.book.explain(order) is Absence.UNCLEAR


@pytest.mark.parametrize(("currency", "begins"), [("KRW", False), ("BTC", False), ("ODD", True)])
async def test_the_books_begin_when_every_currency_that_is_traded_can_be_read(
    pool: Pool, currency: str, begins: bool
) -> None:
    account = Account(pool)
    book = AccountBook(
        books=account.books,
        orders=account.orders,
        exchange=account.exchange,
        clock=account.clock,
        markets=[KRW_BTC],
    )
    account.exchange.unreadable_currencies = {currency}

    await book.begin()
    early = await account.books.books()
    account.exchange.unreadable_currencies = set()
    await book.begin()

    assert (early is not None) is begins
    assert await account.books.books() is not None


@pytest.mark.parametrize("year", [1, 1970, 2017, 2025])
async def test_an_order_by_hand_that_was_open_for_years_costs_one_question_at_its_end(
    account: Account, year: int
) -> None:
    """Regression: one question for each week since, which took longer than a pass may."""
    intent = an_intent(
        type=OrderType.LIMIT, funds=None, price=Decimal(90_000_000), volume=Decimal("0.01")
    )
    await account.exchange.submit(intent, identifier="theirs")
    made = account.exchange.orders["theirs"]
    account.exchange.orders["theirs"] = replace(made, created_at=made.created_at.replace(year=year))
    since = account.clock.now() - timedelta(hours=1)
    await account.book.take_external(since)
    account.exchange.fill("theirs")
    account.exchange.calls.clear()

    found = await account.book.take_external(since)

    assert account.exchange.calls.count("closed_orders") == (2 if year >= 2017 else 1)
    assert [listed.order.identifier for listed in found.external] == (
        ["theirs"] if year >= 2017 else []
    )
    assert await account.books.open_external() == {}


async def test_no_amount_is_in_the_error_when_a_table_refuses_a_currency(account: Account) -> None:
    """Regression: PostgreSQL's text, with the row in it, reached stderr at a start."""
    name, amount, at = "X" * 41, Decimal(777_000_777), account.clock.now()
    book = CurrencyBook(
        currency=name, amount=ZERO, at=at, moved=ZERO, moved_by_others=ZERO, booked=ZERO,
        external=ZERO,
    )  # fmt: skip
    await account.bought_by_hand()
    [listed] = (await account.exchange.closed_orders(at - MINUTE, at + MINUTE)).orders
    odd = replace(listed, order=replace(listed.order, paid_fee=-amount))
    writes = [
        account.books.settle(book, amount, at=at),
        account.books.settle_difference(book, amount, at=at, as_deposit=True),
        account.books.put_difference(book, amount, at=at),
        account.books.begin({name: amount}, at=at),
        account.books.put_external([odd], ended=["theirs"], at=at),
    ]

    for write in writes:
        with pytest.raises(DomainError, match="a table cannot hold") as caught:
            await write
        told = "".join(traceback.format_exception(caught.value))
        assert "777000777" not in told
        assert "Failing row" not in told


class TellsNoFunds(FakeExchange):
    """Its lists say how much was executed, and not for how much."""

    async def closed_orders(self, since: datetime, until: datetime) -> OrderList:
        found = await super().closed_orders(since, until)
        return replace(
            found, orders=tuple(replace(one, executed_funds=None) for one in found.orders)
        )


async def test_an_order_that_tells_no_funds_explains_nothing(pool: Pool) -> None:
    """Taken at its word it would have cost nothing, and its money would be a withdrawal."""
    account = Account(pool)
    account.exchange = TellsNoFunds(clock=account.clock)
    account.book = account.opened()
    await account.book.begin()
    await account.bought_by_hand()

    found = await account.book.take_external(account.clock.now() - timedelta(hours=1))

    assert (found.orders, found.unreadable) == ((), 1)
    assert await rows(pool, "SELECT count(*) FROM external_orders") == [(0,)]


def test_a_currency_whose_book_moved_during_the_look_is_not_judged() -> None:
    """A fill was booked while the balances were asked for: which of both they show is not known."""
    before, after = (
        CurrencyBook(
            currency="KRW", amount=Decimal(100), at=T0, moved=moved, moved_by_others=Decimal(0),
            booked=Decimal(0), external=Decimal(0),
        )
        for moved in (Decimal(0), Decimal(-40))
    )  # fmt: skip
    look = AccountLook(
        at=T0, balances=Balances({}), before={"KRW": before}, after={"KRW": after}, held={},
        moving=frozenset(),
    )  # fmt: skip

    assert look.book("KRW") is None
    assert look.differences() == {}
    assert replace(look, before=look.after).differences() == {"KRW": Decimal(-60)}
