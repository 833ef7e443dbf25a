"""The order book around the last print: levels, one tick apart, sizes drawn from the seed."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from service.domain.markets import Market
from service.sandbox.market.generator import character_of
from service.sandbox.market.noise import integers
from service.sandbox.market.prints import Print
from service.sandbox.market.ticks import UNITS, tick_units

LEVELS: Final = 30
_SHARE: Final = 1 / 20_000  #: of a day's turnover, offered at an ordinary level


class PriceLevel(NamedTuple):
    price: int  #: units of KRW
    size: int  #: units of the coin


class OrderBook(NamedTuple):
    """Best price first on both sides."""

    asks: Sequence[PriceLevel]
    bids: Sequence[PriceLevel]


def book_at(seed: int, market: Market, last: Print) -> OrderBook:
    """Return the book right after the print `last`; equal arguments give an equal book."""
    drawn = integers(2 * LEVELS + 1, seed, market, "book", last.step, kind="H")
    turnover = character_of(market).turnover * _SHARE
    # The last trade took the best ask or hit the best bid; the other side is one tick away.
    lifted = drawn[-1] & 1
    tick = tick_units(last.price)
    # A candle file's prices may be off today's ticks; orders may not.
    below, above = last.price // tick * tick, -(-last.price // tick) * tick
    if lifted and above == below:
        below -= tick_units(below - 1)
    elif above == below:
        above += tick
    asks = _ladder(above, drawn[:LEVELS], turnover, up=True)
    return OrderBook(asks, _ladder(below, drawn[LEVELS:-1], turnover, up=False))


def _ladder(price: int, drawn: Sequence[int], funds: float, *, up: bool) -> Sequence[PriceLevel]:
    levels: list[PriceLevel] = []
    for depth, chance in enumerate(drawn):
        if price <= 0:
            break
        # Sizes grow with the distance: 0.2 to 2 ordinary levels, plus a tenth for each step.
        krw = funds * (0.2 + 1.8 * chance / 65_536) * (1 + depth / 10)
        levels.append(PriceLevel(price, max(1, int(krw * UNITS * UNITS / price))))
        # Below the edge of a price band, the tick is that of the lower band.
        price += tick_units(price) if up else -tick_units(price - 1)
    return levels
