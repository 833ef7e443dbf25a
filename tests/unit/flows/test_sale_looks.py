"""What an exit left is sold although its row cannot be settled: the database is away, or odd."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.domain.errors import (
    BoundaryError,
    DomainError,
    ExchangeRefused,
    ExchangeUnavailable,
    OutcomeUnknown,
    StoreDown,
)
from service.domain.orders import ExchangeOrder, ExchangeOrderState, Intent, Order, OrderType, Side
from service.domain.trading_states import OrderSource
from service.flows.open_sales import OpenSales
from service.flows.protect import UNDONE_S
from service.flows.sale_looks import SaleLooks
from tests.builders import KRW_BTC, T0, a_trade, an_exchange_order, an_intent
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.unit.flows.conftest import KRW_ETH, House
from tests.unit.flows.protecting import Guard

D = Decimal
HELD = D("0.001")
AWAY = StoreDown("gone")
NAME = "uat-1"
SALE = an_intent(side=Side.SELL, type=OrderType.MARKET, volume=HELD, funds=None)


@pytest.fixture
async def guard(house: House) -> Guard:
    """One position of 0.001 coins on the embedded server; the owner has five more."""
    house.is_alone = True
    unstored = house.new_unstored_orders()
    await unstored.begin()
    made = Guard(house, unstored_orders=unstored)
    await made.protector.load()
    await made.buy()
    house.exchange.available["BTC"] += D(5)
    return made


def die_after_the_row(guard: Guard) -> None:
    """Let the database die once it has the row of the next order."""
    orders, add = guard.house.orders, guard.house.orders.add

    async def add_and_die(*arguments: Any, **more: Any) -> Order:
        order = await add(*arguments, **more)
        orders.away = AWAY
        return order

    orders.add = add_and_die  # type: ignore[method-assign]


async def come_back(guard: Guard) -> None:
    """Let the database answer again, and do what the loops do then."""
    assert guard.unstored_orders is not None
    guard.house.orders.away = None
    await guard.house.leadership.renew()
    await guard.unstored_orders.step()
    await guard.house.reconciler.reconcile()
    for _ in range(40):
        await guard.wait(1)
        await guard.follow()


async def follow(guard: Guard, seconds: int = 10) -> None:
    for _ in range(seconds):
        await guard.follow(seconds=1)


# --- the database dies ----------------------------------------------------------------------------


async def test_what_an_exit_left_is_sold_while_the_database_is_away(guard: Guard) -> None:
    die_after_the_row(guard)
    guard.house.exchange.depth = D("0.0004")
    await guard.fall(94_000_000)
    guard.house.exchange.depth = None

    await follow(guard)
    while_away = list(guard.sold)
    await come_back(guard)

    assert while_away == [HELD, D("0.0006")]
    assert guard.sold == while_away
    assert len(guard.positions) == 0
    assert (await guard.house.orders.position(KRW_BTC)).volume == 0
    assert guard.house.open_sales.names() == frozenset()


async def test_what_an_exit_sold_is_not_sold_again_while_the_database_is_away(
    guard: Guard,
) -> None:
    die_after_the_row(guard)
    await guard.fall(94_000_000)

    await follow(guard, 120)
    await come_back(guard)

    assert guard.sold == [HELD]
    assert guard.house.exchange.available["BTC"] == D(5)
    assert len(guard.positions) == 0


@pytest.mark.parametrize(
    "refusal", [ExchangeRefused("no", code="validation_error"), ExchangeUnavailable("not sent")]
)
async def test_a_refused_exit_is_tried_again_although_its_refusal_cannot_be_stored(
    guard: Guard, refusal: BoundaryError
) -> None:
    die_after_the_row(guard)
    guard.house.exchange.fail_next("submit", refusal)
    await guard.fall(94_000_000)

    await follow(guard)

    assert guard.sold == [HELD]


async def test_an_exit_that_the_exchange_does_not_know_keeps_its_coins_and_is_an_alert(
    guard: Guard,
) -> None:
    """Its request may still be on its way."""
    die_after_the_row(guard)
    guard.house.exchange.fail_next("submit", OutcomeUnknown("no answer"))
    await guard.fall(94_000_000)

    await follow(guard, int(UNDONE_S) + 1)
    await guard.protector.watch()

    assert guard.sold == []
    assert "position:KRW-BTC:exit" in guard.told()


async def test_an_exit_that_no_table_takes_is_followed_until_its_coins_are_sold_once(
    guard: Guard,
) -> None:
    """The sweep finds it in the exchange's lists, and books what it sold."""
    house, unstored = guard.house, guard.unstored_orders
    assert unstored is not None
    house.exchange.depth = D("0.0004")
    for _ in range(3):
        house.exchange.fail_next("find", ExchangeUnavailable("no answer"))
    house.orders.fail = AWAY
    await guard.fall(94_000_000)
    house.exchange.depth = None

    async def refuse(*_: Any, **__: Any) -> Order:
        raise DomainError("a table cannot hold it")

    house.orders.add_sent = refuse  # type: ignore[method-assign]
    await unstored.step()
    await follow(guard)
    for _ in range(40):
        await guard.wait(1)
        await guard.follow()
    before_the_sweep = list(guard.sold)
    for listed in (await house.exchange.closed_orders(T0, house.clock.now())).ours:
        await house.reconciler.take_in(listed)

    assert before_the_sweep == [HELD, D("0.0006")]
    assert guard.sold == before_the_sweep
    assert len(guard.positions) == 0
    assert house.open_sales.names() == frozenset()


# --- which answers are believed -------------------------------------------------------------------


async def counted(seen: ExchangeOrder, *, looks: int = 1, intent: Intent = SALE) -> Decimal:
    """Return the coins that stay counted after looks, a second apart, that find `seen`."""
    clock, exchange, sales = FakeClock(), FakeExchange(), OpenSales()
    exchange.orders[NAME] = replace(seen, identifier=NAME)
    sales.begin(NAME, intent, source=OrderSource.RULE)
    sales.lost_row(NAME)
    looking = SaleLooks(exchange=exchange, open_sales=sales, real_clock=clock)
    for _ in range(looks):
        await looking.look(KRW_BTC)
        clock.pass_time(1)
    return sales.volume(KRW_BTC)


def an_end(sold: str, **overrides: Any) -> ExchangeOrder:
    volume = D(sold)
    trade = a_trade(volume=volume, funds=D(100_000_000) * volume)
    values: dict[str, Any] = {
        "side": Side.SELL,
        "state": ExchangeOrderState.CANCELLED,
        "executed_volume": volume,
        "paid_fee": trade.funds * D("0.0005"),
        "trades": (trade,) if volume else (),
        "trades_count": 1 if volume else 0,
    }
    return an_exchange_order(**values | overrides)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (an_end("0.0004"), D("0.0004")),
        (an_end("0.0004", paid_fee=D(0)), D("0.0004")),
        (an_end("0.001", state=ExchangeOrderState.DONE), HELD),
    ],
)
async def test_an_end_that_adds_up_frees_what_was_not_sold(
    seen: ExchangeOrder, expected: Decimal
) -> None:
    assert await counted(seen) == expected


@pytest.mark.parametrize(
    "seen",
    [
        an_end("0.0004", state=ExchangeOrderState.WAITING),
        an_end("0.0004", trades=(), trades_count=0),
        an_end("0.0004", state=ExchangeOrderState.DONE),
        an_end("0", state=ExchangeOrderState.DONE),
        an_end("0.0004", market=KRW_ETH),
        an_end("0.0004", side=Side.BUY),
    ],
)
async def test_an_answer_that_is_no_end_or_cannot_be_true_frees_nothing(
    seen: ExchangeOrder,
) -> None:
    assert await counted(seen, looks=10) == HELD


async def test_an_empty_end_is_believed_when_it_is_seen_again_two_seconds_later() -> None:
    assert await counted(an_end("0")) == HELD
    assert await counted(an_end("0"), looks=2) == HELD
    assert await counted(an_end("0"), looks=3) == 0
