"""What the balances tell of an order that is in no list."""

from decimal import Decimal
from typing import Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.domain.account import ROUNDING, Absence, absence_of
from service.domain.orders import Intent, OrderType, Side
from tests.builders import an_intent

_PROVED: Final = {Absence.EXPLAINED, Absence.ONE_SIDED}
_NOTHING: Final = Decimal(0)

amounts = st.decimals(
    min_value=-(10**9), max_value=10**9, places=8, allow_nan=False, allow_infinity=False
)
#: A market order executes all of its 5,000 won; a limit order perhaps the smallest step first.
market_volumes = st.decimals(min_value="0.000001", max_value=1000, places=8)
limit_volumes = st.decimals(min_value="0.00000001", max_value=1000, places=8)
prices = st.integers(min_value=1, max_value=10**9).map(Decimal)


def an_order_to(side: Side, kind: OrderType) -> Intent:
    volume = Decimal("0.001")
    if kind is not OrderType.MARKET:
        return an_intent(side=side, type=kind, price=Decimal(90_000_000), volume=volume, funds=None)
    if side is Side.BUY:
        return an_intent()
    return an_intent(side=side, volume=volume, funds=None)


@given(
    side=st.sampled_from(Side),
    kind=st.sampled_from(OrderType),
    data=st.data(),
    price=prices,
    beside=amounts,
    in_coins=st.booleans(),
)
def test_an_executed_order_is_never_called_absent(
    *,
    side: Side,
    kind: OrderType,
    data: st.DataObject,
    price: Decimal,
    beside: Decimal,
    in_coins: bool,
) -> None:
    """Whatever else moved one of its currencies at the same time, unless it undid the fill."""
    volume = data.draw(market_volumes if kind is OrderType.MARKET else limit_volumes)
    if kind is OrderType.MARKET:
        assume(volume * price >= 5000)
    sign = 1 if side is Side.BUY else -1
    money, coins = -sign * volume * price, sign * volume
    if in_coins:
        coins += beside
        assume(abs(coins) > ROUNDING or (kind is not OrderType.MARKET and coins))
    else:
        money += beside
        assume(abs(money) > ROUNDING)
    # A fill that moves neither by more than the rounding is told by the lists alone.
    assume(abs(money) > ROUNDING or abs(coins) > ROUNDING)

    assert absence_of(an_order_to(side, kind), money=money, coins=coins) not in _PROVED


@given(side=st.sampled_from(Side), amount=amounts, in_coins=st.booleans())
def test_a_movement_of_one_currency_hides_no_market_order(
    side: Side, amount: Decimal, in_coins: bool
) -> None:
    money, coins = (_NOTHING, amount) if in_coins else (amount, _NOTHING)

    found = absence_of(an_order_to(side, OrderType.MARKET), money=money, coins=coins)

    assert found is (Absence.ONE_SIDED if abs(amount) > ROUNDING else Absence.EXPLAINED)


@pytest.mark.parametrize(
    ("kind", "money", "coins", "expected"),
    [
        (OrderType.MARKET, "-100050", "0.001", Absence.CONTRADICTED),
        (OrderType.MARKET, "100050", "-0.001", Absence.UNCLEAR),
        (OrderType.MARKET, "500", "0.001", Absence.UNCLEAR),
        (OrderType.MARKET, "0.0000001", "-0.0000001", Absence.EXPLAINED),
        (OrderType.LIMIT, "500000", "0", Absence.ONE_SIDED),
        (OrderType.LIMIT, "499999", "0.00000001", Absence.UNCLEAR),
        (OrderType.LIMIT, "0", "1", Absence.UNCLEAR),
    ],
)
def test_each_kind_of_movement(kind: OrderType, money: str, coins: str, expected: Absence) -> None:
    order = an_order_to(Side.BUY, kind)

    assert absence_of(order, money=Decimal(money), coins=Decimal(coins)) is expected
