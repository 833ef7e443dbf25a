"""The order book less what this account has taken from it since the last print."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from service.domain.markets import Market
from service.sandbox.exchange.matching import Match
from service.sandbox.exchange.orders import ZERO, Side
from service.sandbox.market.order_book import OrderBook, PriceLevel, book_at
from service.sandbox.market.prints import Print, Prints, step_at
from service.sandbox.market.ticks import decimal, units


class Depth:
    def __init__(self, prints: Mapping[Market, Prints], *, seed: int) -> None:
        self._prints = prints
        self._seed = seed
        self._taken: defaultdict[tuple[Market, int], Decimal] = defaultdict(lambda: ZERO)

    def whole(self, market: Market, last: Print) -> OrderBook:
        """Return the book right after the print `last`, with nothing taken from it."""
        return book_at(self._seed, market, last)

    def left(self, market: Market, now: datetime) -> OrderBook:
        """Return the book at the newest print, without what this account has taken from it."""
        book = self.whole(market, self._prints[market].newest(step_at(now)))
        asks, bids = (
            [level._replace(size=size) for level in side if (size := self._size(market, level)) > 0]
            for side in book
        )
        return OrderBook(asks, bids)

    def best_for(self, side: Side, market: Market, now: datetime) -> Decimal:
        """Return the best price for an order of `side`, KRW."""
        book = self.left(market, now)
        opposite = book.asks if side == "bid" else book.bids
        # This account may have taken the whole side until the next print.
        last = self._prints[market].newest(step_at(now)).price
        return decimal(opposite[0].price if opposite else last)

    def take(self, market: Market, match: Match) -> None:
        self._taken[market, units(match.price)] += match.volume

    def renew(self) -> None:
        """Reset what was taken: a new print makes a new book."""
        self._taken.clear()

    def _size(self, market: Market, level: PriceLevel) -> int:
        return level.size - units(self._taken[market, level.price])
