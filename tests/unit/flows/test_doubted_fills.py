"""Fills whose price nothing collected can judge, and trades dated outside their order's life."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from service.domain.errors import ExchangeRefused, ExchangeUnavailable
from service.domain.orders import Order, OrderStatus, OrderType
from tests.builders import (
    KRW_BTC,
    T0,
    a_fill,
    a_ticker,
    a_trade,
    an_exchange_order,
    an_intent,
    an_order,
)
from tests.unit.flows.conftest import House

S = OrderStatus
#: A million coins for the whole money, at a millionth of what they cost.
CHEAP: Mapping[str, Any] = {
    "trades": (a_trade(price=Decimal("0.1"), volume=Decimal(10**6), funds=Decimal(100_000)),),
    "executed_volume": Decimal(10**6),
}


async def looked(house: House, order: Order | None = None, **answer: Any) -> Order:
    order = order or an_order(status=S.SUBMITTED, exchange_uuid="e-1")
    house.orders.hold(order)
    house.exchange.orders["uat-1"] = an_exchange_order(**answer)
    return await house.reconciler.settle(order)


def reason(order: Order) -> str | None:
    return None if order.quarantine is None else order.quarantine.reason


# --- prices ----------------------------------------------------------------------------------


@pytest.mark.parametrize("collected_before_s", [None, 7200, 200_000])
async def test_an_absurd_price_is_not_booked_where_none_was_collected_around_it(
    house: House, collected_before_s: int | None
) -> None:
    """Regression: without candles of that half hour a million coins at 0.1 were booked."""
    if collected_before_s is not None:
        at = T0 - timedelta(seconds=collected_before_s)
        await house.market_data.add_tickers([a_ticker()], at=at)

    after = await looked(house, **CHEAP)

    assert reason(after) == "price_out_of_range"
    assert house.orders.booked == []


async def test_the_newest_collected_price_is_compared_before_the_exchange_is_asked(
    house: House,
) -> None:
    at = T0 - timedelta(hours=2)
    await house.market_data.add_tickers([a_ticker(price=Decimal(1))], at=at)

    after = await looked(house)

    assert reason(after) == "price_out_of_range"
    assert "tickers" not in house.exchange.calls


async def test_without_a_collected_price_the_exchanges_own_lets_an_honest_fill_in(
    house: House,
) -> None:
    after = await looked(house)

    assert (after.status, reason(after)) == (S.EXECUTED, None)
    assert house.exchange.calls.count("tickers") == 1


async def test_a_fill_that_no_price_can_judge_is_not_booked(house: House) -> None:
    house.exchange.prices.clear()  # a market that is listed no more
    order = an_order(status=S.SUBMITTED, exchange_uuid="e-1")

    for _ in range(5):
        order = await looked(house, order)
        house.clock.pass_time(20)

    assert reason(order) == "lookup_refused"
    assert house.orders.booked == []


async def test_a_price_that_cannot_be_asked_for_leaves_the_order_to_the_next_look(
    house: House,
) -> None:
    house.exchange.fail_next("tickers", ExchangeUnavailable("no", code="http_500"))

    with pytest.raises(ExchangeUnavailable):
        await looked(house)
    again = await looked(house)

    assert again.status is S.EXECUTED


async def test_booked_fills_and_limit_orders_need_no_price(house: House) -> None:
    house.exchange.fail_next("tickers", ExchangeRefused("no such market"))
    intent = an_intent(
        type=OrderType.LIMIT, price=Decimal(100_000_000), volume=Decimal("0.001"), funds=None
    )
    limit = an_order(status=S.SUBMITTED, exchange_uuid="e-1", intent=intent)
    known = an_order(status=S.EXECUTED, exchange_uuid="e-1")

    assert (await looked(house, limit)).status is S.EXECUTED
    house.orders.booked[:] = [(1, a_fill())]
    assert (await looked(house, known)).status is S.EXECUTED
    assert "tickers" not in house.exchange.calls


# --- instants --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "at",
    [
        datetime(1999, 1, 1, tzinfo=UTC),
        T0 - timedelta(minutes=11),
        T0 + timedelta(minutes=11),
        datetime(9990, 1, 1, tzinfo=UTC),
    ],
)
@pytest.mark.parametrize("type_", [OrderType.MARKET, OrderType.LIMIT])
async def test_a_trade_dated_before_its_order_or_in_the_future_is_not_booked(
    house: House, at: datetime, type_: OrderType
) -> None:
    """Regression: trades of 1999 and 9999 were booked into those days."""
    intent = an_intent()
    if type_ is OrderType.LIMIT:
        intent = an_intent(
            type=type_, price=Decimal(100_000_000), volume=Decimal("0.001"), funds=None
        )
    order = an_order(status=S.SUBMITTED, exchange_uuid="e-1", intent=intent)

    after = await looked(house, order, trades=(a_trade(traded_at=at),))

    assert reason(after) == "instant_of_trade"
    assert house.orders.booked == []
    assert [(halt.reason, halt.market) for halt in house.state.halts] == [
        ("order_contradicted", KRW_BTC)
    ]


@pytest.mark.parametrize("minutes", [-9, 0, 9])
async def test_clocks_that_are_minutes_apart_contradict_nothing(house: House, minutes: int) -> None:
    after = await looked(house, trades=(a_trade(traded_at=T0 + timedelta(minutes=minutes)),))

    assert (after.status, reason(after)) == (S.EXECUTED, None)


async def test_a_trade_long_after_its_order_is_booked(house: House) -> None:
    house.clock.pass_time(timedelta(days=3).total_seconds())

    after = await looked(house, trades=(a_trade(traded_at=T0 + timedelta(days=2)),))

    assert after.status is S.EXECUTED
