"""Prices that a history writes: calm, jumps, a fall through the stop, a crash, and back again.

A path is drawn before the history begins. So the truth about every price is known to the world
alone, whatever the feed and the tickers say of it.
"""

import random
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from service.domain.markets import Market
from service.sandbox.exchange.available_depth import Depth
from service.sandbox.market.order_book import OrderBook, PriceLevel
from service.sandbox.market.prints import DAY_STEPS, Day, Print
from service.sandbox.market.ticks import UNITS, rounded, units

_Move = Callable[[random.Random], Sequence[float]]  #: the change of each step, 0.01 is one per cent

_CALM: Final = 0.0004  #: standard deviation of a calm step
QUIET_STEPS: Final = 360  #: with a print, before each path
_FUNDS: Final = 500_000_000  #: KRW of one print
_START: Final[Mapping[str, Decimal]] = {"BTC": Decimal(100_000_000), "ETH": Decimal(5_000_000)}


def _calm(rng: random.Random) -> Sequence[float]:
    return [rng.gauss(0, _CALM) for _ in range(rng.randint(3, 12))]


def _jump(rng: random.Random) -> Sequence[float]:
    return [rng.choice((1, -1)) * rng.uniform(0.003, 0.02)]


def _slide(rng: random.Random) -> Sequence[float]:
    """Fall bit by bit, as far as most stops."""
    steps = rng.randint(4, 10)
    return [-rng.uniform(0.02, 0.07) / steps for _ in range(steps)]


def _through(rng: random.Random) -> Sequence[float]:
    """Fall in one step, often past the stop."""
    return [-rng.uniform(0.03, 0.12)]


def _crash(rng: random.Random) -> Sequence[float]:
    """Lose about 30 % within one to nine steps."""
    steps = rng.choice((1, 2, 3, 6, 9))
    return [-rng.uniform(0.25, 0.35) / steps * (1 if steps == 1 else 1.15) for _ in range(steps)]


def _rally(rng: random.Random) -> Sequence[float]:
    steps = rng.randint(1, 6)
    return [rng.uniform(0.01, 0.12) / steps for _ in range(steps)]


def _wick(rng: random.Random) -> Sequence[float]:
    """Fall for one step and come back at once."""
    depth = rng.uniform(0.02, 0.12)
    return [-depth, depth / (1 - depth)]


#: Every kind of move with how often it is drawn.
MOVES: Final[Mapping[str, tuple[_Move, int]]] = {
    "calm": (_calm, 8),
    "jump": (_jump, 3),
    "slide": (_slide, 3),
    "through the stop": (_through, 3),
    "crash": (_crash, 2),
    "rally": (_rally, 3),
    "wick": (_wick, 1),
}


def drawn(rng: random.Random, market: Market, *, steps: int) -> tuple[Sequence[int], Counter[str]]:
    """Return about so many prices, in units, each on its tick; and what happens to them."""
    price = _START[market.base] * Decimal(str(round(rng.uniform(0.7, 1.3), 4)))
    prices, moves = [rounded(units(price))], Counter[str]()
    names, weights = tuple(MOVES), [often for _, often in MOVES.values()]
    while len(prices) < steps:
        (name,) = rng.choices(names, weights)
        moves[name] += 1
        for change in MOVES[name][0](rng):
            prices.append(rounded(int(prices[-1] * (1 + change))))
    return prices, moves


class PricePath:
    """A `Source`: the first price long before the path, one print a step, then no more prints."""

    last_step: int | None = None

    def __init__(self, prices: Sequence[int], *, first: int) -> None:
        self._first = first
        self.begins_at = first - QUIET_STEPS  #: the first step with a print, but for one
        self._drawn = prices
        # The quiet hour before has candles, and the day before has a print.
        past = [first - DAY_STEPS, *range(first - QUIET_STEPS, first)]
        self._steps = [*past, *range(first, first + len(prices))]
        self._prices = [*([prices[0]] * len(past)), *prices]

    def day(self, number: int) -> Day:
        first = number * DAY_STEPS
        begin = bisect_left(self._steps, first)
        end = bisect_left(self._steps, first + DAY_STEPS)
        prices = self._prices[begin:end]
        return Day(
            steps=array("H", (step - first for step in self._steps[begin:end])),
            prices=array("q", prices),
            volumes=array("q", (_FUNDS * UNITS * UNITS // price for price in prices)),
        )

    def close(self, number: int) -> int:
        ended = bisect_right(self._steps, (number + 1) * DAY_STEPS - 1)
        return self._prices[max(0, ended - 1)]

    def between(self, begin: int, end: int) -> Sequence[int]:
        """Return the prices in force from step `begin` to step `end`, both included."""
        last = len(self._drawn) - 1
        low, high = (min(max(0, step - self._first), last) for step in (begin, end))
        return self._drawn[low : high + 1]


class SparseDepth(Depth):
    """Books with gaps between their levels: a large order moves the price.

    Attributes:
        gap: between two levels, 0.001 is a tenth of a per cent; 0: one tick.
    """

    gap = 0.0

    def whole(self, market: Market, last: Print) -> OrderBook:
        book = super().whole(market, last)
        if not self.gap:
            return book
        return OrderBook(
            _spread(book.asks, last.price, self.gap), _spread(book.bids, last.price, -self.gap)
        )


def _spread(levels: Sequence[PriceLevel], price: int, gap: float) -> Sequence[PriceLevel]:
    """Return the levels further apart; what is offered at each is worth the same."""
    moved = [
        level.price + rounded(int(price * abs(gap) * n)) * (1 if gap > 0 else -1)
        for n, level in enumerate(levels)
        if n
    ]
    prices = [levels[0].price, *(rounded(one) for one in moved if one > 0)]
    return [
        PriceLevel(one, level.size * level.price // one)
        for one, level in zip(prices, levels, strict=False)
    ]
