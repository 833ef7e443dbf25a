"""Purchases on the book are taken off where purchases are stopped, and nothing else is."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import pytest

from service.domain.errors import ExchangeUnavailable, InvalidRequest, StoreDown
from service.domain.markets import Market
from service.domain.orders import ExchangeOrderState, Intent, OrderType, Side
from service.domain.trading_states import TradingStatus
from service.flows.cancel_entries import BY_HALT, LOOK_AGAIN_S, EntryCancels
from service.flows.leadership import Leadership
from service.flows.order_cancels import OrderCancels
from service.flows.reconcile import Reconciler
from tests.builders import KRW_BTC, a_halt, an_intent, an_order
from tests.fakes.exchange import FakeExchange
from tests.fakes.order_requests import FakeOrderRequests
from tests.fakes.orders import FakeOrders
from tests.unit.flows.test_trading_switch import Post

KRW_ETH = Market("KRW", "ETH")
WAITING, CANCELLED = ExchangeOrderState.WAITING, ExchangeOrderState.CANCELLED


class Book(Post):
    """A process with purchases and sales of ours and of others on the book."""

    def __init__(self) -> None:
        super().__init__()
        self.exchange = FakeExchange()
        self.exchange.set_price(4_000_000, KRW_ETH)
        self.exchange.available["BTC"] = Decimal(1)
        self.leads = True
        self.orders = FakeOrders()
        self.requests = FakeOrderRequests(self.orders)
        self.cancels = EntryCancels(
            exchange=self.exchange,
            cancels=OrderCancels(
                orders=self.orders,
                requests=self.requests,
                exchange=self.exchange,
                reconciler=cast("Reconciler", None),
                leadership=cast("Leadership", None),
                settings=self.settings,
                clock=self.clock,
            ),
            switch=self.switch,
            real_clock=self.clock,
            leads=lambda: self.leads,
        )
        self._names: Iterator[str] = iter(("uat-1", "uat-2", "uat-3", "uat-4", "uat-5"))

    async def place(self, *, identifier: str | None = None, **intent: Any) -> str:
        limit: dict[str, Any] = {
            "type": OrderType.LIMIT,
            "price": Decimal(50_000_000),
            "volume": Decimal("0.001"),
            "funds": None,
        }
        name = identifier or next(self._names)
        order: Intent = an_intent(**limit | intent)
        await self.exchange.submit(order, identifier=name)
        return name

    def states(self) -> dict[str, ExchangeOrderState]:
        return {name: order.state for name, order in self.exchange.orders.items()}


@pytest.fixture
async def book() -> Book:
    book = Book()
    await book.switch.load()
    return book


async def test_while_trading_is_on_the_book_is_not_even_looked_at(book: Book) -> None:
    await book.place()

    await book.cancels.step()

    assert book.exchange.calls.count("open_orders") == 0


@pytest.mark.parametrize("kind", [TradingStatus.REDUCING, TradingStatus.HALTED])
async def test_a_halt_takes_our_purchases_off_the_book_and_leaves_the_rest(
    book: Book, kind: TradingStatus
) -> None:
    ours = await book.place()
    sale = await book.place(side=Side.SELL)
    theirs = await book.place(identifier="by-hand-1")
    await book.halt(kind=kind)

    await book.cancels.step()

    assert book.states() == {ours: CANCELLED, sale: WAITING, theirs: WAITING}


async def test_a_halt_of_one_market_leaves_the_purchases_of_others(book: Book) -> None:
    here = await book.place(market=KRW_ETH, price=Decimal(4_000_000), volume=Decimal("0.01"))
    there = await book.place(market=KRW_BTC)
    await book.halt(market=KRW_ETH)

    await book.cancels.step()

    assert book.states() == {here: CANCELLED, there: WAITING}


async def test_the_switch_takes_purchases_off_too(book: Book) -> None:
    ours = await book.place()
    await book.settings.change({"trading_enabled": False}, by="admin")

    await book.cancels.step()

    assert book.states() == {ours: CANCELLED}


async def test_an_identifier_that_only_begins_like_ours_keeps_no_purchase_on_the_book(
    book: Book,
) -> None:
    """Regression: another program's `uat-a b` ended each pass before our own purchases."""
    theirs = await book.place(identifier="uat-a b")
    ours = await book.place()
    await book.halt(kind=TradingStatus.HALTED)

    await book.cancels.step()

    assert book.states() == {theirs: WAITING, ours: CANCELLED}


async def test_an_identifier_that_cannot_be_sent_holds_up_no_other_cancel(book: Book) -> None:
    first, second = await book.place(), await book.place()
    book.exchange.fail_next("cancel", InvalidRequest("it is no order identifier"))
    await book.halt(kind=TradingStatus.HALTED)

    await book.cancels.step()

    assert book.states() == {first: WAITING, second: CANCELLED}


async def test_a_cancel_that_fails_is_asked_for_again_and_others_are_not_held_up(
    book: Book,
) -> None:
    first, second = await book.place(), await book.place()
    await book.halt()
    book.exchange.fail_next("cancel", ExchangeUnavailable("no answer"))

    await book.cancels.step()
    once = book.states()
    await book.cancels.step()

    assert once == {first: WAITING, second: CANCELLED}
    assert book.states() == {first: CANCELLED, second: CANCELLED}


async def test_a_clear_book_is_looked_at_again_later_or_after_another_halt(book: Book) -> None:
    await book.halt()
    await book.cancels.step()
    await book.cancels.step()
    clear = book.exchange.calls.count("open_orders")
    book.clock.pass_time(LOOK_AGAIN_S)
    await book.cancels.step()
    later = book.exchange.calls.count("open_orders")
    await book.halt(reason="another")
    await book.cancels.step()

    assert (clear, later) == (1, 2)
    assert book.exchange.calls.count("open_orders") == 3


async def test_a_standby_leaves_the_book_to_the_process_that_trades(book: Book) -> None:
    ours = await book.place()
    await book.halt()
    book.leads = False

    await book.cancels.step()

    assert book.states() == {ours: WAITING}


async def test_with_the_database_away_and_the_lease_lost_purchases_are_taken_off(
    book: Book,
) -> None:
    ours = await book.place()
    book.database_away()
    book.leads = False
    await book.halt()

    await book.cancels.step()

    assert book.states() == {ours: CANCELLED}


async def test_a_state_that_cannot_be_read_takes_nothing_off(book: Book) -> None:
    """It permits no order, but it is no reason to cancel one."""
    ours = await book.place()
    book.database_away()
    await book.settings.invalidate("trading_enabled")

    await book.cancels.step()

    assert not book.permits()
    assert book.states() == {ours: WAITING}


async def test_a_halt_of_another_process_takes_purchases_off_here(book: Book) -> None:
    ours = await book.place()
    book.state.halts.append(a_halt())
    await book.switch.step()

    await book.cancels.step()

    assert book.states() == {ours: CANCELLED}


async def test_an_exchange_that_does_not_answer_is_asked_again(book: Book) -> None:
    ours = await book.place()
    await book.halt()
    book.exchange.fail_next("open_orders", ExchangeUnavailable("no answer"))

    with pytest.raises(ExchangeUnavailable):
        await book.cancels.step()
    await book.cancels.step()

    assert book.states() == {ours: CANCELLED}
    assert not isinstance(book.state.fail, StoreDown)


async def test_the_wish_is_stored_with_the_order_so_that_its_cancel_is_followed(
    book: Book,
) -> None:
    ours = await book.place()
    book.orders.hold(an_order(identifier=ours))
    await book.halt()
    book.exchange.fail_next("cancel", ExchangeUnavailable("no answer"))

    await book.cancels.step()

    assert [by for by, _ in book.requests.cancelled.values()] == [BY_HALT]


async def test_an_order_table_that_is_away_holds_no_cancel_up(book: Book) -> None:
    first, second = await book.place(), await book.place()
    book.orders.fail = StoreDown("gone")
    await book.halt()

    await book.cancels.step()

    assert book.states() == {first: CANCELLED, second: CANCELLED}
