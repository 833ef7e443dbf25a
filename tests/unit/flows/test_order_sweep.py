"""Which orders of the exchange's lists are looked up, and what one without an answer holds up."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

import pytest

from service.domain.errors import ExchangeUnavailable
from service.domain.orders import ExchangeOrder, ListedOrder, OrderList, OrderStatus
from service.flows.account_book import AccountBook
from service.flows.order_sweep import OrderSweep
from tests.builders import a_fill, an_exchange_order, an_intent, an_order
from tests.fakes.clock import FakeClock
from tests.fakes.order_sweep import FakeSweptOrders
from tests.fakes.orders import FakeOrders

FAILS = ExchangeUnavailable("Upbit answered 500", code="http_500")


class Lists:
    """The exchange's lists, and a sweep over them whose look-ups a test answers."""

    def __init__(self, *orders: ExchangeOrder, unreadable: int = 0) -> None:
        self.orders = FakeOrders()
        self.rows = FakeSweptOrders(self.orders)
        self.failing: dict[str, Exception] = {}
        self.taken: list[str] = []
        self._lists = OrderList(orders=tuple(map(listed, orders)), unreadable=unreadable)
        self.sweep = OrderSweep(
            account_book=cast("AccountBook", self),
            rows=self.rows,
            take_in=self._take_in,
            clock=FakeClock(),
        )

    async def take_external(self, since: datetime) -> OrderList:
        return self._lists

    async def _take_in(self, one: ListedOrder) -> None:
        identifier = str(one.order.identifier)
        if identifier in self.failing:
            raise self.failing[identifier]
        self.taken.append(identifier)


def listed(order: ExchangeOrder) -> ListedOrder:
    funds = sum((trade.funds for trade in order.trades), Decimal(0))
    return ListedOrder(order=replace(order, trades=()), intent=an_intent(), executed_funds=funds)


def executed(lists: Lists, **overrides: Any) -> None:
    values = {
        "status": OrderStatus.EXECUTED,
        "executed_volume": Decimal("0.001"),
        "executed_funds": Decimal(100_000),
        "paid_fee": Decimal(50),
    }
    lists.orders.hold(an_order(**values | overrides), a_fill())


def some(identifiers: Sequence[str]) -> list[ExchangeOrder]:
    return [an_exchange_order(uuid=f"e-{name}", identifier=name) for name in identifiers]


async def test_a_final_order_that_its_row_agrees_with_is_not_looked_up() -> None:
    lists = Lists(an_exchange_order())
    executed(lists)

    assert await lists.sweep.begin() == 0

    assert lists.taken == []


@pytest.mark.parametrize(
    "other",
    [
        {"paid_fee": Decimal(51)},
        {"trades_count": 2},
        {"executed_volume": Decimal("0.002")},
    ],
)
async def test_a_final_order_with_a_fee_a_trade_or_a_volume_that_its_row_lacks_is_looked_up(
    other: dict[str, Any],
) -> None:
    lists = Lists(an_exchange_order(**other))
    executed(lists)

    await lists.sweep.begin()

    assert lists.taken == ["uat-1"]


async def test_a_sweep_with_an_order_that_cannot_be_read_is_not_marked_as_done() -> None:
    """Else a restart would begin after it, and an order of ours would be found by no sweep."""
    whole, torn = Lists(), Lists(unreadable=1)

    await whole.sweep.begin()
    await torn.sweep.begin()

    assert (whole.rows.until is None, torn.rows.until is None) == (False, True)


async def test_an_order_without_an_answer_holds_up_no_other_and_the_sweep_is_not_done() -> None:
    lists = Lists(*some(["uat-bad", "uat-2", "uat-3"]))
    lists.failing["uat-bad"] = FAILS

    with pytest.raises(ExchangeUnavailable):
        await lists.sweep.begin()

    assert lists.taken == ["uat-2", "uat-3"]
    assert lists.rows.until is None


async def test_in_an_outage_the_sweep_asks_about_two_orders_at_most() -> None:
    names = [f"uat-{n}" for n in range(5)]
    lists = Lists(*some(names))
    lists.failing = dict.fromkeys(names[:2], FAILS)

    with pytest.raises(ExchangeUnavailable):
        await lists.sweep.begin()

    assert lists.taken == []
