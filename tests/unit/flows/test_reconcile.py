"""Orders the exchange answers oddly about: none goes backwards, none holds up the others."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.domain.errors import (
    BoundaryError,
    DomainError,
    ExchangeRefused,
    ExchangeUnavailable,
    NotLeader,
    ServiceError,
)
from service.domain.orders import ExchangeOrderState, OrderStatus
from tests.builders import an_exchange_order, an_order
from tests.unit.flows.conftest import House

S = OrderStatus


async def test_an_order_whose_trades_trail_twice_does_not_go_backwards(house: House) -> None:
    order = an_order(status=S.SUBMITTED)
    house.orders.hold(order)
    half = an_exchange_order(
        state=ExchangeOrderState.WAITING,
        executed_volume=Decimal("0.0005"),
        trades=(),
        trades_count=1,
    )
    done = an_exchange_order(trades=(), trades_count=1)

    order = await house.reconciler.absorb(order, half)
    order = await house.reconciler.absorb(order, done)

    assert order.status is S.PARTIALLY_FILLED
    order = await house.reconciler.absorb(order, an_exchange_order())
    assert order.status is S.EXECUTED


async def test_an_answer_older_than_the_last_one_takes_nothing_back(house: House) -> None:
    order = an_order(status=S.PARTIALLY_FILLED, exchange_uuid="e-1")
    house.orders.hold(order)
    older = an_exchange_order(
        state=ExchangeOrderState.WAITING, executed_volume=Decimal(0), trades=()
    )

    assert await house.reconciler.absorb(order, older) == order


async def two_open_orders(house: House) -> None:
    """The first is held in our books; the second is on the exchange and executed."""
    second = await house.executor.execute(an_order().intent, decision_id=1)
    house.orders.rows.clear()
    house.orders.booked.clear()
    house.orders.hold(an_order(id=1, identifier="uat-odd", status=S.SUBMITTED))
    house.orders.hold(replace(second, id=2, status=S.SUBMITTED))


@pytest.mark.parametrize(
    "odd",
    [
        DomainError("a trade belongs to another order"),
        ExchangeRefused("no", code="invalid_parameter"),
        ExchangeUnavailable("odd", code="bad_answer"),
    ],
)
async def test_one_odd_order_does_not_keep_the_next_from_being_settled(
    house: House, odd: ServiceError
) -> None:
    await two_open_orders(house)
    house.exchange.fail_next("find", odd)

    with pytest.raises(type(odd)):
        await house.reconciler.reconcile()

    assert house.orders.rows[2].status is S.EXECUTED


async def test_an_outage_is_not_asked_about_order_by_order(house: House) -> None:
    await two_open_orders(house)
    house.exchange.calls.clear()
    house.exchange.fail_next("find", ExchangeUnavailable("no answer", code="timeout"))

    with pytest.raises(BoundaryError):
        await house.reconciler.reconcile()

    assert house.exchange.calls == ["find"]


async def test_books_that_contradict_the_exchange_stop_trading_and_not_the_process(
    house: House,
) -> None:
    await two_open_orders(house)
    house.exchange.fail_next("find", DomainError("a trade belongs to another order"))
    house.lease.epoch = 2

    await house.leadership.renew()
    await house.leadership.settle()

    assert house.leadership.is_leader
    assert not house.leadership.may_trade
    with pytest.raises(NotLeader, match="still looks up the orders that were open"):
        house.leadership.epoch()
