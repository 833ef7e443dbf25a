"""The exchange, in our own terms."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from service.domain.markets import (
    Balances,
    BestPrices,
    CandlePage,
    Market,
    MarketRules,
    Ticker,
    Timeframe,
)
from service.domain.orders import ExchangeOrder, Intent, ListedOrder, OrderList

LONGEST_WINDOW: Final = timedelta(days=7)  #: of one question for finished orders


class Exchange(Protocol):
    """Raises ExchangeUnavailable or ExchangeRefused; `submit` and `cancel` also OutcomeUnknown."""

    async def markets(self) -> frozenset[Market]: ...

    async def tickers(self, markets: Sequence[Market]) -> tuple[Ticker, ...]: ...

    async def best_prices(self, market: Market) -> BestPrices:
        """Return the best prices of the order book."""

    async def candles(
        self, market: Market, timeframe: Timeframe, *, count: int, before: datetime | None = None
    ) -> CandlePage:
        """Return at most `count` (1..200) candles, oldest first, gaps left out.

        The newest may still be running. `before` is exclusive. A row that cannot be read is left
        out and counted; an answer without any readable row is an error.
        """

    async def rules(self, market: Market) -> MarketRules: ...

    async def balances(self) -> Balances:
        """Return every currency of the account by its name."""

    def check_orders(self) -> None:
        """Raise what `submit` would raise without a request: a wait that the server asked for."""

    async def submit(
        self, intent: Intent, *, identifier: str, before_send: Callable[[], None]
    ) -> ExchangeOrder:
        """Send the order, once. After OutcomeUnknown it may be on the book: use `find`.

        Args:
            before_send: called in the last step before bytes leave, with nothing to wait for after
                it. When it raises, nothing was sent, and its error is passed on.
        """

    async def find(self, identifier: str) -> ExchangeOrder | None:
        """Return the order with its trades, or None when the exchange knows no such order."""

    async def open_orders(self) -> OrderList:
        """Return every order of the account that is not finished, ours or not."""

    async def closed_orders(self, since: datetime, until: datetime) -> OrderList:
        """Return the finished orders of the account that were made in this time, ours or not.

        An order finishes at any moment: ask for the open ones first, else one may be in neither.

        Args: until: LONGEST_WINDOW after `since` at most.
        """

    async def orders_by_identifiers(self, identifiers: Sequence[str]) -> Mapping[str, ListedOrder]:
        """Return what one bulk question finds. It proves no absence: use `find` for the rest."""

    async def cancel(self, identifier: str) -> None:
        """Ask for cancellation. The answer says accepted, not done: use `find` afterwards."""
