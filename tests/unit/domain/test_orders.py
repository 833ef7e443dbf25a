from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.errors import InvalidTransition
from service.domain.orders import (
    OPEN,
    TRANSITIONS,
    ExchangeOrderState,
    Intent,
    ListedOrder,
    OrderOrigin,
    OrderStatus,
    OrderType,
    Quarantine,
    Side,
    fills_from,
    status_on_exchange,
)
from tests.builders import KRW_BTC, T0, a_trade, an_exchange_order, an_intent, an_order

amounts = st.decimals(min_value=Decimal("0.00000001"), max_value=10**9, places=8)


def test_every_status_says_where_it_may_go() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)


def test_only_a_failed_order_is_recovered_and_only_to_the_book() -> None:
    failed = an_order(status=OrderStatus.FAILED, reason="not_placed")

    found = failed.recovered(OrderStatus.EXECUTED)

    assert (found.status, found.reason) == (OrderStatus.EXECUTED, "recovered")
    assert found.origin is OrderOrigin.RECOVERED
    with pytest.raises(InvalidTransition):
        failed.recovered(OrderStatus.PENDING)
    with pytest.raises(InvalidTransition):
        an_order(status=OrderStatus.CANCELLED).recovered(OrderStatus.EXECUTED)


@pytest.mark.parametrize("status", OrderStatus)
def test_an_order_of_any_status_can_be_put_aside_and_leaves_by_moving(status: OrderStatus) -> None:
    aside = an_order(status=status).put_aside(Quarantine(at=T0, reason="over_fill", detail={}))

    assert aside.status is OrderStatus.UNKNOWN
    assert aside.is_open
    assert aside.moved_to(OrderStatus.EXECUTED).quarantine is None
    is_found = aside.origin is OrderOrigin.RECOVERED
    assert is_found is (status is OrderStatus.FAILED)


def test_a_settled_order_stays_what_it_is_but_for_a_cancel_that_crossed_a_fill() -> None:
    settled = set(OrderStatus) - OPEN

    leaves = {status: TRANSITIONS[status] - {status} for status in settled}

    assert leaves == {
        OrderStatus.EXECUTED: frozenset(),
        OrderStatus.FAILED: frozenset(),
        OrderStatus.CANCELLED: {OrderStatus.EXECUTED},
    }


def test_an_order_on_the_book_can_no_longer_have_failed() -> None:
    order = an_order(status=OrderStatus.SUBMITTED)

    with pytest.raises(InvalidTransition, match="SUBMITTED -> FAILED"):
        order.moved_to(OrderStatus.FAILED)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": OrderType.MARKET, "side": Side.BUY, "volume": Decimal(1)},
        {"type": OrderType.MARKET, "side": Side.SELL, "funds": Decimal(1)},
        {"type": OrderType.LIMIT, "side": Side.BUY, "price": Decimal(1)},
        {"type": OrderType.LIMIT_IOC, "side": Side.BUY, "funds": Decimal(1)},
        {"type": OrderType.MARKET, "side": Side.BUY, "funds": Decimal(0)},
        {"type": OrderType.MARKET, "side": Side.BUY, "funds": Decimal("NaN")},
    ],
)
def test_an_intent_that_the_exchange_could_not_read_cannot_be_made(fields: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises((ValueError, ArithmeticError)):
        Intent(market=KRW_BTC, **fields)


@pytest.mark.parametrize(
    ("state", "executed", "type_", "status"),
    [
        (ExchangeOrderState.WAITING, "0", OrderType.LIMIT, OrderStatus.SUBMITTED),
        (ExchangeOrderState.WAITING, "0.1", OrderType.LIMIT, OrderStatus.PARTIALLY_FILLED),
        (ExchangeOrderState.DONE, "0.1", OrderType.LIMIT, OrderStatus.EXECUTED),
        (ExchangeOrderState.CANCELLED, "0", OrderType.LIMIT, OrderStatus.CANCELLED),
        (ExchangeOrderState.CANCELLED, "0.1", OrderType.LIMIT, OrderStatus.CANCELLED),
        (ExchangeOrderState.DONE, "1", OrderType.LIMIT_IOC, OrderStatus.EXECUTED),
        # What the book did not offer at once comes back as a cancel too.
        (ExchangeOrderState.CANCELLED, "0.1", OrderType.LIMIT_IOC, OrderStatus.EXECUTED),
        (ExchangeOrderState.CANCELLED, "0", OrderType.LIMIT_IOC, OrderStatus.CANCELLED),
        # A market buy's remainder comes back as a cancel: never "nothing bought".
        (ExchangeOrderState.CANCELLED, "0.1", OrderType.MARKET, OrderStatus.EXECUTED),
        (ExchangeOrderState.CANCELLED, "0", OrderType.MARKET, OrderStatus.CANCELLED),
    ],
)
def test_the_exchanges_word_is_read_together_with_the_fills(
    state: ExchangeOrderState, executed: str, type_: OrderType, status: OrderStatus
) -> None:
    limit = an_intent(type=OrderType.LIMIT, price=Decimal(1000), volume=Decimal(1), funds=None)
    intent = an_intent() if type_ is OrderType.MARKET else replace(limit, type=type_)
    seen = an_exchange_order(state=state, executed_volume=Decimal(executed))

    assert status_on_exchange(seen, intent) is status


@example(funds=[Decimal("1E-8"), Decimal(4000), Decimal("1E-8")], fee=Decimal("1E-9"), first=1)
@given(
    funds=st.lists(amounts, min_size=1, max_size=12),
    fee=st.decimals(min_value=0, max_value=10**6, places=9),
    first=st.integers(min_value=0, max_value=12),
)
def test_fees_of_the_fills_add_up_to_the_orders_fee_however_they_arrive(
    funds: list[Decimal], fee: Decimal, first: int
) -> None:
    trades = [a_trade(uuid=f"t-{n}", funds=amount) for n, amount in enumerate(funds)]
    # In the exchange's own nine places: a third has no end, and no answer holds one.
    share = fee * min(first, len(trades)) / len(trades)
    fee_then = share.quantize(Decimal("1E-9"), rounding=ROUND_DOWN)

    early = fills_from(trades[:first], paid_fee=fee_then, known=())
    late = fills_from(trades, paid_fee=fee, known=early)
    fills = early + late

    assert [fill.trade_uuid for fill in fills] == [trade.uuid for trade in trades]
    if late:
        assert sum(fill.fee for fill in fills) == fee
    assert fills_from(trades, paid_fee=fee, known=fills) == ()


@pytest.mark.parametrize(
    ("identifier", "is_ours"),
    [
        ("uat-1", True),
        ("uat-" + "a" * 60, True),
        ("uat-" + "a" * 61, False),
        ("uat-", False),
        ("uat-a b", False),
        ("uat-1\n", False),
        ("uat-ü", False),
        ("bot-uat-1", False),
        (None, False),
    ],
)
def test_an_order_is_ours_when_its_whole_identifier_is_one_that_we_give(
    identifier: str | None,
    is_ours: bool,
) -> None:
    """Another program's text under our prefix can be in no request of ours."""
    order = an_exchange_order(identifier=identifier)

    assert ListedOrder(order=order, intent=None, executed_funds=None).is_ours is is_ours
