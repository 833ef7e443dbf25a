"""Stores the account's equity each minute: complete, or not at all."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from service.domain.errors import ExchangeUnavailable
from service.domain.markets import Balance, Market
from service.domain.portfolio import equity_in
from service.domain.positions import Position
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.store import Equities, MarketData, Orders

#: A price older than this is not used: collecting has stopped.
PRICE_LASTS: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """Attributes: markets: the collected ones.  price_lasts: by the market's clock."""

    markets: Sequence[Market]
    exchange: Exchange
    market_data: MarketData
    orders: Orders
    equities: Equities
    clock: MarketClock
    price_lasts: timedelta = PRICE_LASTS

    async def step(self) -> None:
        """One pass of `snapshot_equity`. Raises: BoundaryError; then nothing is stored."""
        at = self.clock.now()
        # Cash and coins come from one answer: a sale between two would count twice, or not at all.
        balances = await self.exchange.balances()
        positions = await self.orders.positions()
        prices = await self._prices(_held(self.markets, balances, positions), at=at)
        quotes = sorted({market.quote for market in (*self.markets, *prices)})
        await self.equities.add(
            [
                equity_in(quote, balances=balances, positions=positions, prices=prices)
                for quote in quotes
            ],
            at=at.replace(second=0, microsecond=0),
        )

    async def _prices(self, held: Collection[Market], *, at: datetime) -> Mapping[Market, Decimal]:
        """Return the price of every market in `held`."""
        ours = [market for market in held if market in self.markets]
        known = await self.market_data.newest_prices(ours, since=at - self.price_lasts)
        for market in ours:
            if market not in known:
                raise ExchangeUnavailable(
                    f"no price of {market} has been collected lately, so what is held is of"
                    " unknown worth",
                    code="no_price",
                )
        # Bought before its market was taken out of TRADER_MARKETS: its price is not collected.
        others = [market for market in held if market not in self.markets]
        tickers = await self.exchange.tickers(others) if others else ()
        return dict(known) | {ticker.market: ticker.price for ticker in tickers}


def _held(
    markets: Sequence[Market], balances: Mapping[str, Balance], positions: Collection[Position]
) -> Collection[Market]:
    """Return the markets with coins on the account or in a stored position."""
    on_account = {
        market for market in markets if market.base in balances and balances[market.base].total
    }
    return sorted(on_account | {position.market for position in positions if position.volume})
