"""What the exchange knows and we do not is taken in: real PostgreSQL, the sandbox over sockets."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from service.adapters.upbit.rest import UpbitRest
from service.bus import Bus
from service.domain.orders import (
    ExchangeOrder,
    ListedOrder,
    Order,
    OrderStatus,
    OrderType,
    Side,
)
from service.domain.trading_states import TradingStatus
from service.flows.account_book import AccountBook
from service.flows.order_sweep import OrderSweep
from service.flows.reconcile import Reconciler
from service.sandbox.options import SandboxOptions
from service.sandbox.server import Sandbox, open_sandbox
from service.store.database.pool import Pool
from service.store.queries.verify import verify
from service.store.tables.account import PgAccountBooks
from service.store.tables.order_sweep import PgSweptOrders
from service.store.tables.orders import PgOrders
from service.store.tables.trading_state import PgTradingState
from tests.builders import KRW_BTC
from tests.fakes.clock import FakeClock
from tests.integration.sandbox.client import Client
from tests.integration.store.seeds import a_stored_order, execute, rows

ORDERS = "SELECT identifier, status, origin, executed_volume, decision_id FROM orders ORDER BY id"
#: What a commit that was lost with its server, or a restored backup, leaves of the last orders.
FORGET = (
    "DELETE FROM fills",
    "DELETE FROM positions",
    "DELETE FROM daily_stats",
    "DELETE FROM orders",
)


class Trading:
    """The sweep and what it needs, over the wire; orders are sent by another client."""

    def __init__(
        self, pool: Pool, dsn: str, sandbox: Sandbox, session: aiohttp.ClientSession
    ) -> None:
        self.pool, self.dsn = pool, dsn
        self.client = Client(session, sandbox)
        self.clock, self.real_clock = sandbox.clock, FakeClock()
        self.exchange = UpbitRest(
            session,
            quotation_url=sandbox.upbit_url,
            exchange_url=sandbox.upbit_url,
            access_key=sandbox.access_key,
            secret_key=sandbox.secret_key,
            paced=False,
        )
        self.orders, self.state = PgOrders(pool), PgTradingState(pool)
        self.book = AccountBook(
            books=PgAccountBooks(pool),
            orders=self.orders,
            exchange=self.exchange,
            clock=self.clock,
        )
        self.reconciler = Reconciler(
            orders=self.orders,
            exchange=self.exchange,
            states=self.state,
            bus=Bus(),
            clock=self.clock,
            real_clock=self.real_clock,
            explains_absence=self.book.explain,
        )
        self.taken: list[str | None] = []
        self.sweep = OrderSweep(
            account_book=self.book,
            rows=PgSweptOrders(pool),
            take_in=self.take_in,
            clock=self.clock,
        )

    async def take_in(self, listed: ListedOrder) -> Order | None:
        self.taken.append(listed.order.identifier)
        return await self.reconciler.take_in(listed)

    async def sent(self, identifier: str | None, **fields: str) -> Any:
        """Send an order: a market buy of 100,000 won unless told otherwise."""
        body = {"market": "KRW-BTC", "side": "bid", "ord_type": "price", "price": "100000"}
        named = {} if identifier is None else {"identifier": identifier}
        status, order = await self.client.order(**(body | fields | named))
        assert status == 201, order
        return order

    async def written(self, identifier: str) -> Order:
        await self.pass_time(1)
        return await a_stored_order(self.pool, identifier, at=self.clock.now())

    async def traded(self, identifier: str) -> Order:
        """Write, send and settle one order, as the service does."""
        order = await self.written(identifier)
        await self.sent(identifier)
        return await self.reconciler.settle(order)

    async def looked_up(self, order: Order, times: int) -> Order:
        """Look it up so many times, half a minute apart."""
        for _ in range(times):
            self.real_clock.pass_time(31)
            order = await self.reconciler.settle(order)
        return order

    async def pass_time(self, seconds: float) -> None:
        await self.client.control("POST", "clock", json={"advance_s": seconds})

    async def stored(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await rows(self.pool, ORDERS)]

    async def coins(self) -> Decimal:
        _, accounts = await self.client.ask("GET", "/v1/accounts")
        return sum((Decimal(a["balance"]) for a in accounts if a["currency"] == "BTC"), Decimal(0))

    async def assert_books_are_the_exchange_s(self) -> None:
        assert (await self.orders.position(KRW_BTC)).volume == await self.coins()
        assert await asyncio.to_thread(verify, self.dsn) == ()
        await self.book.begin()
        await self.book.look()
        assert not self.book.disagree


@pytest.fixture
async def trading(pool: Pool, dsn: str) -> AsyncIterator[Trading]:
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        open_sandbox(SandboxOptions(speed=Decimal(0))) as sandbox,
    ):
        yield Trading(pool, dsn, sandbox, session)


async def test_orders_that_a_restored_database_does_not_know_are_taken_in(
    trading: Trading,
) -> None:
    for number in range(3):
        await trading.traded(f"uat-{number}")
    before = await trading.orders.position(KRW_BTC)
    for statement in FORGET:
        await execute(trading.pool, statement)

    found = await trading.sweep.begin()

    assert found == 3
    stored = await trading.stored()
    assert [row[0] for row in stored] == ["uat-0", "uat-1", "uat-2"]
    assert {(row[1], row[2], row[4]) for row in stored} == {("EXECUTED", "RECOVERED", None)}
    after = await trading.orders.position(KRW_BTC)
    assert (after.volume, after.cost, after.fees_paid) == (
        before.volume,
        before.cost,
        before.fees_paid,
    )
    await trading.assert_books_are_the_exchange_s()


async def test_a_market_whose_order_was_taken_in_may_only_be_reduced(trading: Trading) -> None:
    await trading.sent("uat-lost")

    await trading.sweep.begin()

    state = await trading.state.trading_state()
    [halt] = await trading.state.standing()
    assert state.of(KRW_BTC) is TradingStatus.REDUCING
    assert (halt.reason, halt.market, halt.ends) == ("order_recovered", KRW_BTC, "operator")


async def test_a_second_sweep_changes_nothing(trading: Trading) -> None:
    await trading.traded("uat-known")
    await trading.sent("uat-lost")
    await trading.sweep.begin()
    before = await trading.stored(), await trading.orders.position(KRW_BTC)
    trading.taken.clear()

    again = await trading.sweep.begin()

    assert (again, trading.taken) == (0, [])
    assert (await trading.stored(), await trading.orders.position(KRW_BTC)) == before


async def test_an_order_that_waits_on_the_book_is_taken_in_with_its_kind(
    trading: Trading,
) -> None:
    await trading.sent("uat-limit", ord_type="limit", price="50000000", volume="0.001")

    await trading.sweep.begin()

    [order] = await trading.orders.open()
    assert (order.intent.price, order.intent.volume) == (Decimal(50_000_000), Decimal("0.001"))
    assert order.status is OrderStatus.SUBMITTED


async def test_a_sale_is_taken_in_after_the_purchase_of_its_coins(trading: Trading) -> None:
    await trading.sent("uat-buy")
    await trading.pass_time(60)
    sale = {"side": "ask", "ord_type": "market", "volume": str(await trading.coins())}
    status, _ = await trading.client.order(market="KRW-BTC", identifier="uat-sell", **sale)
    assert status == 201

    await trading.sweep.begin()

    stored = await trading.stored()
    assert [(row[0], row[1]) for row in stored] == [
        ("uat-buy", "EXECUTED"),
        ("uat-sell", "EXECUTED"),
    ]
    assert (await trading.orders.position(KRW_BTC)).volume == 0
    await trading.assert_books_are_the_exchange_s()


async def test_a_failed_order_that_arrived_late_is_on_the_book_again(trading: Trading) -> None:
    order = await trading.written("uat-late")
    failed = order.moved_to(OrderStatus.FAILED, reason="not_placed")
    await trading.orders.advance(failed, seen=order.status, at=trading.clock.now())
    await trading.sent("uat-late")

    await trading.sweep.begin()

    [row] = await trading.stored()
    assert row[:3] == ("uat-late", "EXECUTED", "RECOVERED")
    await trading.assert_books_are_the_exchange_s()


async def test_a_failed_order_that_waits_on_the_book_is_on_it_again(trading: Trading) -> None:
    limit: dict[str, Any] = {"type": OrderType.LIMIT, "funds": None, "price": Decimal(50_000_000)}
    order = await a_stored_order(
        trading.pool, "uat-late", at=trading.clock.now(), volume=Decimal("0.001"), **limit
    )
    failed = order.moved_to(OrderStatus.FAILED, reason="not_placed")
    await trading.orders.advance(failed, seen=order.status, at=trading.clock.now())
    await trading.sent("uat-late", ord_type="limit", price="50000000", volume="0.001")

    await trading.sweep.begin()

    [row] = await trading.stored()
    assert row[:3] == ("uat-late", "SUBMITTED", "RECOVERED")


async def test_a_final_order_without_its_fills_gets_them(trading: Trading) -> None:
    """An answer that said `done` with nothing executed was final once, and never looked at."""
    await trading.traded("uat-1")
    order = await trading.written("uat-2")
    await trading.sent("uat-2")
    await execute(
        trading.pool,
        "UPDATE orders SET status = 'EXECUTED' WHERE id = %(id)s",
        {"id": order.id},
    )

    found = await trading.sweep.begin()

    assert found == 1
    assert [row[3] > 0 for row in await trading.stored()] == [True, True]
    await trading.assert_books_are_the_exchange_s()


async def test_orders_of_other_programs_get_no_row_and_explain_the_account(
    trading: Trading,
) -> None:
    await trading.book.begin()
    await trading.sent(None)
    await trading.sent("bot-7")

    await trading.sweep.step()
    await trading.book.look()

    assert await trading.stored() == []
    [(number,)] = await rows(trading.pool, "SELECT count(*) FROM external_orders")
    assert number == 2
    assert await rows(trading.pool, "SELECT * FROM deposits") == []
    assert not trading.book.disagree


async def test_a_database_of_a_month_ago_is_swept_from_then_on(trading: Trading) -> None:
    await trading.sweep.begin()
    await trading.sent("uat-old")
    await trading.pass_time(timedelta(days=30).total_seconds())

    await trading.sweep.begin()

    assert [row[:2] for row in await trading.stored()] == [("uat-old", "EXECUTED")]


async def test_a_day_is_swept_often_and_a_week_once_a_day(trading: Trading) -> None:
    await trading.sweep.begin()
    await trading.sent("uat-old")
    await trading.pass_time(timedelta(hours=23).total_seconds())
    await trading.sweep.step()
    often = list(trading.taken)
    for statement in FORGET:
        await execute(trading.pool, statement)
    await trading.pass_time(timedelta(hours=2).total_seconds())
    await trading.sweep.step()

    assert often == ["uat-old"]
    assert trading.taken == ["uat-old", "uat-old"]


async def test_one_order_that_cannot_be_taken_in_stops_no_other(trading: Trading) -> None:
    for number in range(3):
        await trading.sent(f"uat-{number}")
    taken = await trading.exchange.find("uat-1")
    assert isinstance(taken, ExchangeOrder)
    # Its uuid stands in another row already, which only a bug or a wrong answer can have done.
    other = await trading.written("uat-other")
    await execute(
        trading.pool,
        "UPDATE orders SET exchange_uuid = %(uuid)s, status = 'FAILED' WHERE id = %(id)s",
        {"uuid": taken.uuid, "id": other.id},
    )

    found = await trading.sweep.begin()

    assert found == 2
    assert {row[0] for row in await trading.stored()} == {"uat-0", "uat-2", "uat-other"}


async def test_a_list_of_several_pages_is_swept_whole(trading: Trading) -> None:
    for number in range(120):
        price = str(40_000_000 + number * 1000)
        await trading.sent(f"uat-{number}", ord_type="limit", price=price, volume="0.0002")

    found = await trading.sweep.begin()

    assert found == 120
    assert len(await trading.orders.open()) == 120
    assert {order.intent.side for order in await trading.orders.open()} == {Side.BUY}


# --- an order that the exchange does not find ------------------------------------------------


async def test_an_order_that_never_arrived_fails_once_the_account_explains_it(
    trading: Trading,
) -> None:
    await trading.book.begin()
    order = await trading.written("uat-1")

    settled = await trading.looked_up(order, 5)

    assert (settled.status, settled.reason) == (OrderStatus.FAILED, "not_placed")


async def test_an_order_that_nothing_explains_stays_unknown(trading: Trading) -> None:
    """The books began after it: what it may have moved is in them."""
    order = await trading.written("uat-1")
    await trading.pass_time(60)
    failed = order.moved_to(OrderStatus.FAILED, reason="not_sent")
    await trading.orders.advance(failed, seen=order.status, at=trading.clock.now())
    await trading.book.begin()
    await execute(
        trading.pool,
        "UPDATE orders SET status = 'UNKNOWN', reason = NULL, origin = 'RECOVERED'",
    )

    settled = await trading.looked_up(order, 8)

    assert settled.status is OrderStatus.UNKNOWN


async def test_an_order_that_arrives_after_it_failed_is_in_the_books_with_its_fills(
    trading: Trading,
) -> None:
    """A request that was held on its way for a minute bought twice, and the books held half."""
    await trading.book.begin()
    order = await trading.looked_up(await trading.written("uat-1"), 5)
    assert order.status is OrderStatus.FAILED

    await trading.sent("uat-1")
    await trading.sweep.step()

    [row] = await trading.stored()
    assert row[:3] == ("uat-1", "EXECUTED", "RECOVERED")
    assert (await trading.state.trading_state()).of(KRW_BTC) is TradingStatus.REDUCING
    await trading.assert_books_are_the_exchange_s()
