from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.orders import Side
from service.domain.positions import folded
from tests.builders import KRW_BTC, T0, a_fill, a_position

volumes = st.decimals(min_value=Decimal("0.00000001"), max_value=1000, places=8)
prices = st.integers(min_value=1, max_value=300_000).map(lambda n: Decimal(n * 1000))


def test_buying_twice_averages_the_price_without_fees() -> None:
    bought = [
        (Side.BUY, a_fill(volume=Decimal(1), funds=Decimal(100), fee=Decimal(1))),
        (Side.BUY, a_fill(volume=Decimal(1), funds=Decimal(200), fee=Decimal(2))),
    ]

    position = folded(KRW_BTC, bought)

    assert position.average_price == Decimal(150)
    assert position.fees_paid == Decimal(3)
    assert position.realised_pnl == Decimal(-3)
    assert position.opened_at == T0


def test_selling_more_than_is_held_is_refused() -> None:
    with pytest.raises(ValueError, match="sold 1, held 0"):
        a_position().after(Side.SELL, a_fill(volume=Decimal(1)))


@given(st.lists(st.tuples(st.booleans(), volumes, prices), min_size=1, max_size=20))
def test_money_that_went_in_is_cost_or_came_out_as_profit_or_loss(
    steps: list[tuple[bool, Decimal, Decimal]],
) -> None:
    position = a_position()
    spent = Decimal(0)

    for buy, wanted, price in steps:
        volume = wanted if buy else min(wanted, position.volume)
        if not volume:
            continue
        fill = a_fill(volume=volume, funds=volume * price, fee=volume * price * Decimal("0.0005"))
        position = position.after(Side.BUY if buy else Side.SELL, fill)
        spent += (fill.funds if buy else -fill.funds) + fill.fee

    assert position.cost - position.realised_pnl == spent
    assert position.volume >= 0
    if not position.volume:
        assert position.cost == 0
        assert position.opened_at is None
