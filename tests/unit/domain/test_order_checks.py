"""What an answer about an order of ours cannot say, and what is not the whole answer yet."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.markets import Market
from service.domain.order_checks import (
    AnswerCheck,
    Oddity,
    PriceRange,
    contradiction,
    reading,
)
from service.domain.orders import (
    ExchangeOrder,
    ExchangeOrderState,
    Intent,
    Order,
    OrderStatus,
    OrderType,
    Side,
    fills_from,
)
from tests.builders import a_fill, a_trade, an_exchange_order, an_intent, an_order

BUY = an_intent(funds=Decimal(100_000))
SALE = an_intent(side=Side.SELL, funds=None, volume=Decimal("0.001"))
LIMIT = an_intent(
    type=OrderType.LIMIT, price=Decimal(100_000_000), volume=Decimal("0.001"), funds=None
)
C, ODD, S = AnswerCheck, Oddity, ExchangeOrderState
RANGE = PriceRange(low=Decimal(99_000_000), high=Decimal(101_000_000))


def trades(*values: tuple[str, str]) -> dict[str, Any]:
    """Return the fields of an answer with these trades: (price, volume)."""
    made = tuple(
        a_trade(uuid=f"t-{n}", price=Decimal(p), volume=Decimal(v), funds=Decimal(p) * Decimal(v))
        for n, (p, v) in enumerate(values)
    )
    return {
        "trades": made,
        "trades_count": len(made),
        "executed_volume": sum(trade.volume for trade in made),
        "paid_fee": sum(trade.funds for trade in made) * Decimal("0.0005"),
    }


def of(intent: Intent) -> Order:
    return an_order(intent=intent, status=OrderStatus.SUBMITTED, exchange_uuid="e-1")


def seen(intent: Intent, **overrides: Any) -> ExchangeOrder:
    return an_exchange_order(**{"market": intent.market, "side": intent.side} | overrides)


@pytest.mark.parametrize("intent", [BUY, SALE, LIMIT])
def test_an_ordinary_answer_breaks_nothing_and_is_final(intent: Intent) -> None:
    answer = seen(intent)

    assert contradiction(of(intent), answer, (), prices=RANGE) is None
    what = reading(of(intent), answer, ())
    assert (what.status, what.oddity) == (OrderStatus.EXECUTED, None)


@pytest.mark.parametrize(
    ("intent", "answer", "check"),
    [
        (BUY, {"market": Market("KRW", "ETH")}, C.MARKET),
        (BUY, {"side": Side.SELL}, C.SIDE),
        (BUY, {"uuid": "e-2"}, C.UUID),
        # 100,000 asked and 500,000,000 filled, as a review saw it.
        (BUY, trades(("100000000", "5")), C.OVER_SPENT),
        (BUY, trades(("100000000", "0.001"), ("100000000", "0.00000001")), C.OVER_SPENT),
        # A million coins for one KRW.
        (BUY, trades(("0.000001", "1000000")), C.PRICE),
        (BUY, trades(("49499999", "0.001")), C.PRICE),
        (SALE, trades(("202000001", "0.001")), C.PRICE),
        (SALE, trades(("100000000", "0.00100001")), C.OVER_FILL),
        (SALE, {"executed_volume": Decimal(5), "trades": ()}, C.OVER_FILL),
        (LIMIT, trades(("100000000", "0.0006"), ("100000000", "0.0006")), C.OVER_FILL),
        (LIMIT, trades(("100001000", "0.001")), C.LIMIT),
        (replace(LIMIT, side=Side.SELL), trades(("99999000", "0.001")), C.LIMIT),
        (BUY, {"trades": (a_trade(funds=Decimal(99_999)),)}, C.FUNDS),
        (BUY, trades(("100000000.123456789", "0.0001")), C.PRECISION),
        (BUY, {"executed_volume": Decimal("0.0010000001")}, C.PRECISION),
        (BUY, {"paid_fee": Decimal(99_999_999)}, C.FEE_RATIO),
        (BUY, {"paid_fee": Decimal(1001)}, C.FEE_RATIO),
    ],
)
def test_an_answer_that_cannot_be_true_is_named_with_its_numbers(
    intent: Intent, answer: dict[str, Any], check: AnswerCheck
) -> None:
    found = contradiction(of(intent), seen(intent, **answer), (), prices=RANGE)

    assert found is not None
    assert found.check is check
    assert found.numbers


def test_a_booked_trade_that_changed_and_a_fee_that_shrank_cannot_be_true() -> None:
    booked = (a_fill(),)
    other = a_trade(price=Decimal(100_000_001), funds=Decimal("100000.001"))

    changed = contradiction(of(BUY), seen(BUY, trades=(other,)), booked)
    first = {"volume": Decimal("0.0004"), "funds": Decimal(40_000)}
    second = a_trade(uuid="t-2", volume=Decimal("0.0006"), funds=Decimal(60_000))
    more = seen(BUY, trades=(a_trade(**first), second), trades_count=2, paid_fee=Decimal("49.9"))
    shrank = contradiction(of(BUY), more, (a_fill(**first),))

    # A fee that shrank with no new trade may be an older answer's.
    assert contradiction(of(BUY), seen(BUY, paid_fee=Decimal("49.9")), booked) is None
    assert changed is not None
    assert changed.check is C.TRADE_CHANGED
    assert shrank is not None
    assert shrank.check is C.FEE_SHRANK


def test_without_collected_prices_a_market_orders_price_is_not_compared() -> None:
    answer = seen(SALE, **trades(("1", "0.001")))

    assert contradiction(of(SALE), answer, ()) is None


NOTHING: dict[str, Any] = {
    "executed_volume": Decimal(0),
    "paid_fee": Decimal(0),
    "trades": (),
    "trades_count": 0,
}


@pytest.mark.parametrize(
    ("intent", "answer", "oddity"),
    [
        (BUY, NOTHING, ODD.NOTHING_EXECUTED),
        (LIMIT, NOTHING, ODD.NOTHING_EXECUTED),
        (BUY, NOTHING | {"trades_count": 1}, ODD.TRADES_MISSING),
        (BUY, NOTHING | {"state": S.CANCELLED, "trades_count": 1}, ODD.TRADES_MISSING),
        (BUY, NOTHING | {"state": S.CANCELLED}, ODD.NOTHING_LEFT),
        (LIMIT, NOTHING | {"state": S.CANCELLED}, ODD.NOTHING_LEFT),
        (BUY, {"trades": ()}, ODD.TRADES_MISSING),
        (BUY, {"trades_count": 2}, ODD.TRADES_MISSING),
        (BUY, {"executed_volume": Decimal("0.0005")}, ODD.TRADES_BEYOND),
        (SALE, trades(("100000000", "0.0009")), ODD.EXECUTED_SHORT),
        (LIMIT, trades(("100000000", "0.0009")), ODD.EXECUTED_SHORT),
        (BUY, trades(("100000000", "0.0009")), ODD.EXECUTED_SHORT),
        (BUY, {"paid_fee": Decimal(0)}, ODD.FEE_TRAILS),
        (BUY, {"paid_fee": Decimal(25)}, ODD.FEE_TRAILS),
    ],
)
def test_an_answer_that_is_not_whole_is_never_final(
    intent: Intent, answer: dict[str, Any], oddity: Oddity
) -> None:
    what = reading(of(intent), seen(intent, **answer), ())

    assert what.oddity is oddity
    assert what.cautious_status in {OrderStatus.SUBMITTED, OrderStatus.PARTIALLY_FILLED}


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (OrderStatus.PARTIALLY_FILLED, NOTHING | {"state": S.WAITING}),
        (OrderStatus.PARTIALLY_FILLED, {"paid_fee": Decimal("49.9")}),
        (OrderStatus.EXECUTED, {"state": S.WAITING}),
        (OrderStatus.CANCELLED, {"state": S.WAITING}),
    ],
)
def test_an_answer_that_knows_less_than_is_booked_is_not_final_and_books_nothing(
    status: OrderStatus, answer: dict[str, Any]
) -> None:
    order = replace(of(BUY), status=status)

    assert contradiction(order, seen(BUY, **answer), (a_fill(),)) is None
    what = reading(order, seen(BUY, **answer), (a_fill(),))

    assert (what.oddity, what.adds_up) == (ODD.KNOWS_LESS, False)
    assert (what.numbers["booked_volume"], what.numbers["booked_fee"]) == ("0.001", "50")


def test_an_exact_fit_and_a_remainder_of_dust_are_done() -> None:
    exact = seen(BUY, **trades(("100000000", "0.001")))
    dust = seen(BUY, **trades(("99999999", "0.001")))

    assert reading(of(BUY), exact, ()).oddity is None
    assert reading(of(BUY), dust, ()).oddity is None


def test_a_cancelled_market_buy_with_fills_is_executed_whatever_was_left_of_the_money() -> None:
    answer = seen(BUY, state=S.CANCELLED, **trades(("100000000", "0.0004")))

    what = reading(of(BUY), answer, ())

    assert (what.status, what.oddity) == (OrderStatus.EXECUTED, None)


amounts = st.decimals(min_value=Decimal("0.00000001"), max_value=1000, places=8)
prices = st.decimals(min_value=Decimal("0.0001"), max_value=10**9, places=4)


@given(st.lists(st.tuples(prices, amounts), min_size=1, max_size=8), st.data())
def test_what_an_honest_exchange_executes_in_any_parts_is_booked_whole(
    parts: list[tuple[Decimal, Decimal]], data: st.DataObject
) -> None:
    """No honest answer contradicts: of a sale matched in parts, looked at twice."""
    made = trades(*((str(price), str(volume)) for price, volume in parts))
    order = of(an_intent(side=Side.SELL, funds=None, volume=made["executed_volume"]))
    shown = data.draw(st.integers(min_value=0, max_value=len(parts)))
    first = made["trades"][:shown]
    fee = sum((trade.funds for trade in first), Decimal(0)) * Decimal("0.0005")
    half = seen(
        order.intent,
        state=S.WAITING,
        trades=first,
        trades_count=shown,
        executed_volume=sum((trade.volume for trade in first), Decimal(0)),
        paid_fee=fee,
    )
    whole = seen(order.intent, **made)

    assert contradiction(order, half, ()) is None
    known = fills_from(half.trades, paid_fee=fee, known=())
    assert contradiction(order, whole, known) is None
    what = reading(order, whole, known)
    assert (what.oddity, what.status) == (None, OrderStatus.EXECUTED)
    assert contradiction(order, half, known) is None
