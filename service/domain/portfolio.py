"""The value of an account: its cash, and its coins at current prices."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final

from service.domain.markets import Balance, Market
from service.domain.orders import ZERO
from service.domain.positions import Position

_DIGITS: Final = 80  #: of a sum of prices times volumes; the usual 28 would round it


@dataclass(frozen=True, slots=True, kw_only=True)
class Equity:
    """The account valued in one quote currency; every amount is in that currency."""

    quote: str
    cash: Decimal  #: including what open orders lock
    coins: Decimal  #: value of all coins on the account, bought by this service or not
    realised_pnl: Decimal  #: of our positions, less every fee
    unrealised_pnl: Decimal  #: of our positions
    fees_paid: Decimal


def equity_in(
    quote: str,
    *,
    balances: Mapping[str, Balance],
    positions: Collection[Position],
    prices: Mapping[Market, Decimal],
) -> Equity:
    """Add up the account in `quote`.

    A currency that is money in one market and a coin in another counts in both quotes.

    Args:
        balances: by currency.
        prices: of every market whose coins are on the account or in `positions`.

    Raises: KeyError, for a position without a price.
    """
    ours = [position for position in positions if position.market.quote == quote]
    with localcontext(prec=_DIGITS):
        coins = sum(
            (
                balances[market.base].total * price
                for market, price in prices.items()
                if market.quote == quote and market.base in balances
            ),
            ZERO,
        )
        unrealised = sum((p.unrealised_pnl_at(prices[p.market]) for p in ours if p.volume), ZERO)
        return Equity(
            quote=quote,
            cash=balances[quote].total if quote in balances else ZERO,
            coins=coins,
            realised_pnl=sum((position.realised_pnl for position in ours), ZERO),
            unrealised_pnl=unrealised,
            fees_paid=sum((position.fees_paid for position in ours), ZERO),
        )
