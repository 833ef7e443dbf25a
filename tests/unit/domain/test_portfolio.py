"""Sums of an account; what belongs to another quote is not in them."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.markets import Market
from service.domain.portfolio import equity_in
from tests.builders import KRW_BTC, a_balance, a_position, an_equity

KRW_ETH, BTC_XRP = Market("KRW", "ETH"), Market("BTC", "XRP")
AMOUNTS = st.decimals("0", "1e12", places=8)
PRICES = st.decimals("1e-8", "1e12", places=8)


def test_an_account_that_the_exchange_does_not_name_is_worth_nothing() -> None:
    assert equity_in("KRW", balances={}, positions=(), prices={}) == an_equity(cash=Decimal(0))


def test_money_that_is_a_coin_elsewhere_counts_in_both_quotes() -> None:
    balances = {"BTC": a_balance("BTC", 2), "XRP": a_balance("XRP", 100, locked=50)}
    prices = {KRW_BTC: Decimal(1_000), BTC_XRP: Decimal("0.01")}

    krw = equity_in("KRW", balances=balances, positions=(), prices=prices)
    btc = equity_in("BTC", balances=balances, positions=(), prices=prices)

    assert (krw.cash, krw.coins) == (Decimal(0), Decimal(2_000))
    assert (btc.cash, btc.coins) == (Decimal(2), Decimal("1.5"))


def test_a_closed_position_needs_no_price_and_keeps_what_it_earned() -> None:
    closed = a_position(market=KRW_ETH, realised_pnl=Decimal(-7), fees_paid=Decimal(7))
    open_ = a_position(volume=Decimal(1), cost=Decimal(90), realised_pnl=Decimal(-1))
    other = a_position(market=BTC_XRP, volume=Decimal(1), realised_pnl=Decimal(5))

    equity = equity_in(
        "KRW", balances={}, positions=(closed, open_, other), prices={KRW_BTC: Decimal(100)}
    )

    assert (equity.realised_pnl, equity.unrealised_pnl) == (Decimal(-8), Decimal(10))
    assert equity.fees_paid == Decimal(7)


def test_a_position_without_a_price_is_no_guess() -> None:
    with pytest.raises(KeyError):
        equity_in("KRW", balances={}, positions=(a_position(volume=Decimal(1)),), prices={})


@given(volumes=st.tuples(AMOUNTS, AMOUNTS), prices=st.tuples(PRICES, PRICES))
def test_no_digit_is_lost(
    volumes: tuple[Decimal, Decimal], prices: tuple[Decimal, Decimal]
) -> None:
    btc, eth = volumes
    balances = {"BTC": a_balance("BTC", str(btc)), "ETH": a_balance("ETH", str(eth))}

    equity = equity_in(
        "KRW",
        balances=balances,
        positions=(),
        prices=dict(zip((KRW_BTC, KRW_ETH), prices, strict=True)),
    )

    exact = [Fraction(v) * Fraction(p) for v, p in zip(volumes, prices, strict=True)]
    assert Fraction(equity.coins) == sum(exact)
