"""An answer may be older than the last one: a replica lags, or two looks overtake each other.

It takes nothing back and contradicts nothing. Only one that persists is the operator's to see.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.domain.orders import (
    ExchangeOrder,
    ExchangeOrderState,
    Fill,
    ListedOrder,
    Order,
    OrderStatus,
    OrderType,
    Quarantine,
)
from service.flows.looks import Bound, Looks
from tests.builders import T0, a_fill, a_trade, an_exchange_order, an_intent, an_order
from tests.unit.flows.conftest import House

S, E = OrderStatus, ExchangeOrderState
LIMIT = an_intent(
    type=OrderType.LIMIT, price=Decimal(100_000_000), volume=Decimal("0.002"), funds=None
)
NOTHING: dict[str, Any] = {
    "executed_volume": Decimal(0),
    "paid_fee": Decimal(0),
    "trades": (),
    "trades_count": 0,
}
HALF = an_exchange_order(state=E.WAITING)
WHOLE: dict[str, Any] = {
    "trades": (a_trade(), a_trade(uuid="t-2")),
    "trades_count": 2,
    "executed_volume": Decimal("0.002"),
    "paid_fee": Decimal(100),
}
BOTH_FILLS = (a_fill(), a_fill(trade_uuid="t-2"))


def held(house: House, *fills: Fill, **overrides: Any) -> Order:
    values = {"intent": LIMIT, "status": S.PARTIALLY_FILLED, "exchange_uuid": "e-1"}
    order = an_order(**values | overrides)
    house.orders.hold(order, *fills)
    return order


def listed(order: ExchangeOrder) -> ListedOrder:
    return ListedOrder(order=replace(order, trades=()), intent=LIMIT, executed_funds=None)


class HeldAnswers:
    """Holds each look-up's answer, made when it is asked, until the test lets it come."""

    def __init__(self, house: House, answers: Sequence[ExchangeOrder]) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.gates = [asyncio.Event() for _ in answers]
        house.exchange.find = self.find  # type: ignore[method-assign]

    async def find(self, identifier: str) -> ExchangeOrder:
        number = self.asked
        self.asked += 1
        await self.gates[number].wait()
        return self._answers[number]


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# --- one look at one order at a time ---------------------------------------------------------


@pytest.mark.parametrize("state", [E.DONE, E.WAITING])
async def test_two_looks_at_one_order_at_once_are_made_one_after_the_other(
    house: House, state: ExchangeOrderState
) -> None:
    """Regression: the older answer, processed last, was a contradiction and stopped the market."""
    order = held(house)
    answers = HeldAnswers(house, [HALF, an_exchange_order(state=state, **WHOLE)])

    first = asyncio.create_task(house.reconciler.settle(order))
    second = asyncio.create_task(house.reconciler.settle(order))
    await turns()
    asked_at_once = answers.asked
    answers.gates[1].set()
    await turns()
    answers.gates[0].set()
    after_first, after_second = await asyncio.gather(first, second)

    assert asked_at_once == 1
    assert after_first.executed_volume < house.orders.rows[1].executed_volume
    assert after_second.status is (S.EXECUTED if state is E.DONE else S.PARTIALLY_FILLED)
    assert house.orders.rows[1].paid_fee == Decimal(100)
    assert house.state.halts == []


async def test_a_look_that_had_to_wait_goes_on_from_the_row_as_it_is_then(house: House) -> None:
    order = held(house, status=S.UNKNOWN)
    done = an_exchange_order(state=E.DONE, **WHOLE)
    answers = HeldAnswers(house, [done, done])

    first = asyncio.create_task(house.reconciler.settle(order))
    second = asyncio.create_task(house.reconciler.settle(order))
    await turns()
    answers.gates[0].set()
    answers.gates[1].set()
    await asyncio.gather(first, second)

    # With the old row its change would be refused, and the order asked about once more.
    assert answers.asked == 2


async def test_looks_at_two_orders_do_not_wait_for_each_other(house: House) -> None:
    one, two = held(house), an_order(id=2, identifier="uat-2", intent=LIMIT, status=S.SUBMITTED)
    house.orders.hold(two)
    answers = HeldAnswers(house, [HALF, replace(HALF, uuid="e-2")])

    looks = [asyncio.create_task(house.reconciler.settle(order)) for order in (one, two)]
    await turns()

    assert answers.asked == 2
    for gate in answers.gates:
        gate.set()
    await asyncio.gather(*looks, return_exceptions=True)


async def test_no_lock_is_kept_of_an_order_that_is_not_looked_at(house: House) -> None:
    order = held(house)
    house.exchange.orders["uat-1"] = HALF

    await house.reconciler.settle(order)
    house.exchange.find = None  # type: ignore[method-assign, assignment]
    await house.reconciler.settle(house.orders.rows[1])  # fails, and is put aside

    assert len(house.reconciler._locks) == 0


async def test_a_row_that_moved_meanwhile_is_looked_up_afresh(house: House) -> None:
    """Regression: the second try stored an answer from before the move."""
    stale = held(house, status=S.SUBMITTED)
    house.orders.hold(replace(stale, status=S.PARTIALLY_FILLED), a_fill())
    house.exchange.orders["uat-1"] = an_exchange_order(state=E.DONE, **WHOLE)

    after = await house.reconciler.absorb(stale, HALF)

    assert after.status is S.EXECUTED
    assert house.exchange.calls.count("find") == 1


# --- an answer from before the last one ------------------------------------------------------

OLDER = [
    pytest.param(S.PARTIALLY_FILLED, BOTH_FILLS, HALF, id="a fill less"),
    pytest.param(
        S.PARTIALLY_FILLED,
        BOTH_FILLS,
        an_exchange_order(state=E.DONE, **WHOLE | {"paid_fee": Decimal(0)}),
        id="its fee trailed",
    ),
    pytest.param(S.EXECUTED, BOTH_FILLS, HALF, id="executed"),
    pytest.param(S.CANCELLED, (), an_exchange_order(state=E.WAITING, **NOTHING), id="cancelled"),
]


@pytest.mark.parametrize(("status", "fills", "older"), OLDER)
async def test_an_older_answer_contradicts_nothing_and_takes_nothing_back(
    house: House, status: OrderStatus, fills: tuple[Fill, ...], older: ExchangeOrder
) -> None:
    """Regression: one lagging answer put its order aside, and its market made no purchase."""
    order = held(house, *fills, status=status)
    house.exchange.orders["uat-1"] = older

    for _ in range(3):
        after = await house.reconciler.settle(order)
        house.clock.pass_time(60)

    assert after == order == house.orders.rows[1]
    assert await house.orders.fills(1) == fills
    assert house.state.halts == []


@pytest.mark.parametrize(("status", "fills", "older"), OLDER)
async def test_an_answer_that_goes_on_knowing_less_puts_its_order_aside_with_the_numbers(
    house: House, status: OrderStatus, fills: tuple[Fill, ...], older: ExchangeOrder
) -> None:
    order = held(house, *fills, status=status)
    house.exchange.orders["uat-1"] = older

    for _ in range(5):
        order = await house.reconciler.settle(order)
        house.clock.pass_time(20)

    assert order.quarantine is not None
    assert order.quarantine.reason == "knows_less"
    assert order.quarantine.detail.keys() == {"booked_volume", "volume", "booked_fee", "fee"}
    assert [halt.reason for halt in house.state.halts] == ["order_contradicted"]
    assert await house.orders.fills(1) == fills


async def test_a_good_answer_between_older_ones_starts_their_count_again(house: House) -> None:
    order = held(house, *BOTH_FILLS)
    newest = an_exchange_order(state=E.WAITING, **WHOLE)

    for look in range(12):
        house.exchange.orders["uat-1"] = newest if look % 4 == 3 else HALF
        order = await house.reconciler.settle(order)
        house.clock.pass_time(20)

    assert order.quarantine is None
    assert house.state.halts == []


# --- what stays as it is ---------------------------------------------------------------------


async def test_an_odd_answer_about_a_final_order_leaves_it_final(house: House) -> None:
    executed = held(house, *BOTH_FILLS, status=S.EXECUTED)
    odd = an_exchange_order(state=E.DONE, **WHOLE | {"trades_count": 3})
    house.exchange.orders["uat-1"] = odd

    for _ in range(8):
        found = await house.reconciler.take_in(listed(odd))
        house.clock.pass_time(300)

    assert found == executed == house.orders.rows[1]
    assert house.orders.history == [(1, S.EXECUTED)]
    assert house.state.halts == []


async def test_an_odd_answer_leaves_an_order_aside_for_its_first_reason(house: House) -> None:
    aside = Quarantine(at=T0, reason="over_fill", detail={})
    order = held(house, status=S.UNKNOWN, quarantine=aside)
    house.exchange.orders["uat-1"] = an_exchange_order(state=E.DONE, **NOTHING)

    for _ in range(8):
        order = await house.reconciler.settle(order)
        house.clock.pass_time(31)

    assert house.orders.rows[1].quarantine == aside
    assert house.orders.rows[1].status is S.UNKNOWN


async def test_an_order_put_aside_again_for_the_same_reason_is_told_once(house: House) -> None:
    """Else its alert, and a halt that an operator has ended, would come each half minute."""
    order = held(house)
    other = an_exchange_order(uuid="e-9", state=E.DONE, **WHOLE)
    house.exchange.orders["uat-1"] = other

    for _ in range(4):
        order = await house.reconciler.settle(order)
        house.state.halts.clear()
        house.clock.pass_time(31)

    assert order.quarantine is not None
    assert house.orders.history == [(1, S.PARTIALLY_FILLED), (1, S.UNKNOWN)]
    assert house.state.halts == []


async def test_looks_that_find_another_thing_each_time_are_no_run() -> None:
    looks, bound = Looks(), Bound(looks=3, seconds=2.0)

    counted = [looks.count("uat-1", found, at=at) for at, found in enumerate("aabbab")]

    assert counted == [1, 2, 1, 2, 1, 1]
    assert not looks.reached("uat-1", bound, at=100.0)


async def test_an_order_that_moves_is_not_put_aside_as_one_that_stays_odd(house: House) -> None:
    """Each answer lacks its newest trade, and each time another one: the exchange is at work."""
    intent = replace(LIMIT, volume=Decimal(1))
    order = held(house, status=S.SUBMITTED, intent=intent)

    for look in range(1, 8):
        moving = an_exchange_order(
            state=E.WAITING,
            **NOTHING | {"trades_count": look, "executed_volume": look * Decimal("0.001")},
        )
        house.exchange.orders["uat-1"] = moving
        order = await house.reconciler.settle(order)
        house.clock.pass_time(20)

    assert order.quarantine is None
    assert house.state.halts == []
