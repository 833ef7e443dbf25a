"""The exchange, in our own terms."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from service.domain.markets import Balance, Candle, Market, MarketRules, Ticker, Timeframe
from service.domain.orders import ExchangeOrder, Intent


class Exchange(Protocol):
    """Raises ExchangeUnavailable or ExchangeRefused; `submit` and `cancel` also OutcomeUnknown."""

    async def markets(self) -> frozenset[Market]: ...

    async def tickers(self, markets: Sequence[Market]) -> tuple[Ticker, ...]: ...

    async def candles(
        self, market: Market, timeframe: Timeframe, *, count: int, before: datetime | None = None
    ) -> tuple[Candle, ...]:
        """Return at most `count` (1..200) candles, oldest first, gaps left out.

        The newest may still be running. `before` is exclusive.
        """

    async def rules(self, market: Market) -> MarketRules: ...

    async def balances(self) -> Mapping[str, Balance]:
        """Return every currency of the account by its name."""

    def check_orders(self) -> None:
        """Raise what `submit` would raise without a request: a wait that the server asked for."""

    async def submit(self, intent: Intent, *, identifier: str) -> ExchangeOrder:
        """Send the order, once. After OutcomeUnknown it may be on the book: use `find`."""

    async def find(self, identifier: str) -> ExchangeOrder | None:
        """Return the order with its trades, or None when the exchange knows no such order."""

    async def cancel(self, identifier: str) -> None:
        """Ask for cancellation. The answer says accepted, not done: use `find` afterwards."""
