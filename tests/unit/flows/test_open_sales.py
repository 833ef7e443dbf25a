from dataclasses import replace
from decimal import Decimal

import pytest

from service.bus import OrderFilled, OrderMoved
from service.domain.errors import (
    ExchangeRefused,
    ExchangeUnavailable,
    OutcomeUnknown,
    StoreDown,
)
from service.domain.orders import Breach, ExitRule, Intent, OrderStatus, OrderType, Side
from service.domain.trading_states import OrderSource
from service.flows.open_sales import OpenSales
from tests.builders import KRW_BTC, a_fill, an_intent, an_order
from tests.unit.flows.conftest import KRW_ETH, House

D = Decimal
BREACH = Breach(rule=ExitRule.STOP_LOSS, price=D(94), limit=D(95))


def a_sale(volume: str = "0.001", **overrides: object) -> Intent:
    return an_intent(**{"side": Side.SELL, "volume": D(volume), "funds": None} | overrides)


def a_limit_sale(volume: str) -> Intent:
    return a_sale(volume, type=OrderType.LIMIT, price=D(110_000_000))


async def bought(house: House) -> None:
    await house.executor.execute(an_intent(funds=D(100_000)), decision_id=None)


async def sell(house: House, intent: Intent, source: OrderSource = OrderSource.RULE) -> OrderStatus:
    breach = BREACH if source is OrderSource.RULE else None
    order = await house.executor.execute(intent, decision_id=None, source=source, breach=breach)
    return order.status


async def test_coins_are_open_while_they_are_sold_and_not_afterwards(house: House) -> None:
    await bought(house)
    assert house.open_sales.volume(KRW_BTC) == 0
    house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    for _ in range(3):
        house.exchange.fail_next("find", ExchangeUnavailable("no answer"))

    status = await sell(house, a_sale())
    open_meanwhile = house.open_sales.volume(KRW_BTC)
    await house.reconciler.reconcile()

    assert status is OrderStatus.UNKNOWN
    assert open_meanwhile == D("0.001")
    assert house.open_sales.volume(KRW_BTC) == 0


def test_coins_are_sold_once_their_sale_has_ended_and_until_its_fills_are_heard() -> None:
    sales = OpenSales()
    sales.begin("uat-1", a_sale("0.003"), source=OrderSource.RULE)
    sales.begin("uat-2", a_sale("0.005", market=KRW_ETH), source=OrderSource.RULE)
    before = sales.sold(KRW_BTC)

    sales.ended_at("uat-1", executed=D("0.002"))

    assert (before, sales.sold(KRW_BTC), sales.sold(KRW_ETH)) == (D(0), D("0.002"), D(0))


@pytest.mark.parametrize(
    "failure", [ExchangeRefused("no", code="x"), ExchangeUnavailable("not sent")]
)
async def test_coins_of_a_sale_that_never_was_are_free_again(
    house: House, failure: Exception
) -> None:
    await bought(house)
    house.exchange.fail_next("submit", failure)

    assert await sell(house, a_sale()) is OrderStatus.FAILED
    assert house.open_sales.volume(KRW_BTC) == 0


async def test_coins_of_a_sale_that_could_not_be_written_are_free_again(house: House) -> None:
    await bought(house)
    house.orders.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await sell(house, a_sale())

    assert house.open_sales.volume(KRW_BTC) == 0


@pytest.mark.parametrize("source", [OrderSource.SIGNAL, OrderSource.HAND, OrderSource.FLATTEN])
async def test_nothing_else_sells_the_coins_while_a_rule_does(
    house: House, source: OrderSource
) -> None:
    """A verdict of before the exit knows a position that is being sold."""
    await bought(house)
    house.open_sales.begin("uat-x", a_sale(), source=OrderSource.RULE)

    with pytest.raises(ExchangeUnavailable, match="protection"):
        await sell(house, a_sale(), source)

    assert len(house.exchange.sent) == 1
    house.open_sales.let_go("uat-x", None)
    assert await sell(house, a_sale(), source) is OrderStatus.EXECUTED


@pytest.mark.parametrize("source", [OrderSource.SIGNAL, OrderSource.HAND, OrderSource.FLATTEN])
async def test_coins_that_were_sold_since_the_verdict_are_not_sold_again(
    house: House, source: OrderSource
) -> None:
    """The rest of the coins is the owner's."""
    await bought(house)
    await sell(house, a_sale("0.0005"))

    with pytest.raises(ExchangeUnavailable, match="since the verdict"):
        await sell(house, a_sale(), source)

    assert len(house.exchange.sent) == 2
    assert house.open_sales.volume(KRW_BTC) == 0
    assert await sell(house, a_sale("0.0005"), source) is OrderStatus.EXECUTED


async def test_a_purchase_and_another_market_are_not_held_up(house: House) -> None:
    house.open_sales.begin("uat-x", a_sale(market=KRW_ETH), source=OrderSource.RULE)

    await bought(house)

    assert await sell(house, a_sale(), OrderSource.SIGNAL) is OrderStatus.EXECUTED


async def test_a_resting_sale_takes_its_coins_until_it_is_filled_or_ends() -> None:
    sales = OpenSales()
    order = an_order(intent=a_limit_sale("0.5"), status=OrderStatus.SUBMITTED)
    sales.begin(order.identifier, order.intent, source=OrderSource.HAND)
    sales.let_go(order.identifier, order)

    await sales.filled(_filled(order.identifier, "0.2"))
    left = sales.volume(KRW_BTC)
    resting = sales.resting(KRW_BTC)
    await sales.moved(_moved(order.identifier, OrderStatus.CANCELLED, executed="0.2"))

    assert (left, resting) == (D("0.3"), [order.identifier])
    assert (sales.volume(KRW_BTC), sales.resting(KRW_BTC)) == (D(0), [])


async def test_a_final_sale_keeps_the_coins_whose_fills_were_not_heard() -> None:
    sales = OpenSales()
    order = an_order(intent=a_sale("1"), status=OrderStatus.EXECUTED, executed_volume=D("0.9"))
    sales.begin(order.identifier, order.intent, source=OrderSource.RULE)
    await sales.filled(_filled(order.identifier, "0.2"))

    sales.let_go(order.identifier, order)
    kept = sales.volume(KRW_BTC)
    sales.compare([], known=sales.names(), differing=[KRW_BTC])
    while_memory_differs = sales.volume(KRW_BTC)
    sales.compare([], known=sales.names(), differing=[KRW_ETH])

    assert (kept, while_memory_differs) == (D("0.7"), D("0.7"))
    assert sales.names() == frozenset()


async def test_a_final_sale_whose_event_says_more_than_was_heard_keeps_its_coins() -> None:
    """The COMMIT of its first fill lost its answer, the one of its last fill did not."""
    sales = OpenSales()
    order = an_order(intent=a_sale("1"), status=OrderStatus.SUBMITTED)
    sales.begin(order.identifier, order.intent, source=OrderSource.RULE)
    sales.let_go(order.identifier, order)
    await sales.filled(_filled(order.identifier, "0.6"))

    await sales.moved(_moved(order.identifier, OrderStatus.EXECUTED, executed="1"))

    assert sales.volume(KRW_BTC) == D("0.4")


async def test_fills_that_only_the_table_knows_are_no_coins_of_an_open_sale() -> None:
    """Once memory agrees with the table on the position, they are booked there."""
    sales = OpenSales()
    order = an_order(intent=a_limit_sale("1"), status=OrderStatus.SUBMITTED)
    sales.begin(order.identifier, order.intent, source=OrderSource.HAND)
    sales.let_go(order.identifier, order)
    row = replace(order, status=OrderStatus.PARTIALLY_FILLED, executed_volume=D("0.4"))

    sales.compare([row], known=sales.names(), differing=[KRW_BTC])
    while_memory_differs = sales.volume(KRW_BTC)
    sales.compare([row], known=sales.names())

    assert (while_memory_differs, sales.volume(KRW_BTC)) == (D(1), D("0.6"))


async def test_a_sale_by_hand_leaves_the_coins_of_other_open_sales_alone(house: House) -> None:
    await bought(house)
    await sell(house, a_limit_sale("0.0006"), OrderSource.HAND)
    house.exchange.available["BTC"] += D(1)  # the owner's

    with pytest.raises(ExchangeUnavailable, match="since the verdict"):
        await sell(house, a_sale("0.0005"), OrderSource.HAND)

    assert await sell(house, a_sale("0.0004"), OrderSource.HAND) is OrderStatus.EXECUTED


async def test_the_table_says_what_the_last_process_left_open_and_what_has_ended() -> None:
    sales = OpenSales()
    left = an_order(identifier="uat-left", intent=a_limit_sale("0.5"), executed_volume=D("0.1"))
    sales.compare([left, an_order(identifier="uat-buy")], known=sales.names())
    after_the_start = sales.volume(KRW_BTC)
    sales.compare([], known=sales.names())

    assert after_the_start == D("0.4")
    assert sales.volume(KRW_BTC) == 0


async def test_a_sale_that_began_while_the_table_was_read_stays_counted() -> None:
    sales = OpenSales()
    known = sales.names()
    sales.begin("uat-new", a_sale(), source=OrderSource.RULE)
    sales.let_go("uat-new", an_order(status=OrderStatus.UNKNOWN))

    sales.compare([], known=known)

    assert sales.volume(KRW_BTC) == D("0.001")


async def test_a_sale_that_is_being_sent_stays_counted_whatever_the_table_says() -> None:
    sales = OpenSales()
    sales.begin("uat-new", a_sale(), source=OrderSource.RULE)

    sales.compare([], known=sales.names())

    assert sales.volume(KRW_BTC) == D("0.001")


async def test_a_sale_whose_row_was_written_while_the_table_was_read_stays_counted() -> None:
    """It was being sent as the reading began, and is followed no more as it ends."""
    sales = OpenSales()
    sales.begin("uat-new", a_sale(), source=OrderSource.RULE)
    known = sales.names()
    sales.let_go("uat-new", an_order(status=OrderStatus.UNKNOWN))

    sales.compare([], known=known)

    assert sales.volume(KRW_BTC) == D("0.001")


async def test_a_sale_that_was_given_up_and_is_on_the_book_is_counted_again() -> None:
    sales, intent = OpenSales(), a_limit_sale("0.001")
    sales.begin("uat-1", intent, source=OrderSource.HAND)
    sales.let_go("uat-1", an_order(identifier="uat-1", intent=intent, status=OrderStatus.FAILED))
    row = an_order(identifier="uat-1", intent=intent, status=OrderStatus.SUBMITTED)
    sales.compare([row], known=sales.names())
    given_up = sales.volume(KRW_BTC)

    found = _moved("uat-1", OrderStatus.SUBMITTED)
    await sales.moved(found)
    sales.compare([row], known=sales.names())
    told_again = sales.volume(KRW_BTC)
    await sales.moved(replace(found, is_recovered=True))
    sales.compare([row], known=sales.names())

    assert [given_up, told_again] == [0, 0]
    assert sales.volume(KRW_BTC) == D("0.001")
    assert sales.resting(KRW_BTC) == ["uat-1"]


async def test_an_exit_that_no_table_takes_stops_no_other_sale_and_keeps_its_coins() -> None:
    sales = OpenSales()
    sales.begin("uat-1", a_sale(), source=OrderSource.RULE)
    with pytest.raises(ExchangeUnavailable):
        sales.begin("uat-2", a_sale(), source=OrderSource.HAND)
    sales.lost_row("uat-1")

    sales.begin("uat-2", a_sale("0.002"), source=OrderSource.HAND)

    assert sales.volume(KRW_BTC) == D("0.003")


async def test_an_exit_of_the_last_process_stops_other_sales_until_it_ends() -> None:
    sales = OpenSales()
    row = an_order(identifier="uat-1", intent=a_sale(), rule=ExitRule.STOP_LOSS)
    sales.compare([row], known=sales.names())

    with pytest.raises(ExchangeUnavailable):
        sales.begin("uat-2", a_sale(), source=OrderSource.HAND)
    await sales.moved(_moved("uat-1", OrderStatus.EXECUTED, executed="0.001"))
    sales.begin("uat-3", a_sale(), source=OrderSource.HAND)


async def test_a_sale_that_is_over_is_not_looked_up_and_rests_no_more() -> None:
    sales = OpenSales()
    sales.begin("uat-1", a_limit_sale("0.001"), source=OrderSource.HAND)
    in_hand = list(sales.unfollowed(KRW_BTC))
    sales.let_go("uat-1", an_order(status=OrderStatus.SUBMITTED))
    (followed_no_more,) = sales.unfollowed(KRW_BTC)
    await sales.moved(_moved("uat-1", OrderStatus.EXECUTED, executed="0.001"))

    assert in_hand == []
    assert followed_no_more[0] == "uat-1"
    assert sales.unfollowed(KRW_BTC) == []
    assert sales.resting(KRW_BTC) == []
    assert sales.volume(KRW_BTC) == D("0.001"), "its fills were not heard yet"


async def test_a_sale_that_fills_in_parts_is_open_after_all_of_them_until_it_is_final() -> None:
    sales = OpenSales()
    sales.begin("uat-1", a_limit_sale("0.001"), source=OrderSource.HAND)
    await sales.filled(_filled("uat-1", "0.001"))

    assert sales.names() == frozenset()
    sales.let_go("uat-1", an_order(status=OrderStatus.PARTIALLY_FILLED))
    assert sales.names() == {"uat-1"}


async def test_a_row_that_turns_up_ends_with_its_row() -> None:
    """A sale whose row was lost is the table's again once it is found there."""
    sales = OpenSales()
    sales.begin("uat-1", a_sale(), source=OrderSource.RULE)
    sales.lost_row("uat-1")
    row = an_order(identifier="uat-1", intent=a_sale(), status=OrderStatus.UNKNOWN)
    sales.compare([], known=sales.names())
    without_row = sales.volume(KRW_BTC)
    sales.compare([row], known=sales.names())

    sales.compare([], known=sales.names())

    assert without_row == D("0.001")
    assert sales.volume(KRW_BTC) == 0


async def test_a_sale_that_ended_while_the_table_was_read_does_not_come_back() -> None:
    sales = OpenSales()
    sold = an_order(identifier="uat-1", intent=a_sale(), status=OrderStatus.SUBMITTED)
    sales.begin("uat-1", sold.intent, source=OrderSource.RULE)
    await sales.moved(_moved("uat-1", OrderStatus.EXECUTED))

    sales.compare([sold], known=sales.names())

    assert sales.volume(KRW_BTC) == 0


def _moved(identifier: str, status: OrderStatus, *, executed: str = "0") -> OrderMoved:
    return OrderMoved(
        order_id=1,
        identifier=identifier,
        market=KRW_BTC,
        side=Side.SELL,
        status=status,
        executed_volume=D(executed),
    )


def _filled(identifier: str, volume: str) -> OrderFilled:
    fill = a_fill(volume=D(volume))
    return OrderFilled(
        order_id=1,
        identifier=identifier,
        market=KRW_BTC,
        side=Side.SELL,
        volume=fill.volume,
        funds=fill.funds,
        fills=(fill,),
    )
