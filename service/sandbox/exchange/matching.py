"""Which trades an order makes: a new one with the book, a resting one with the market's prints.

Pure arithmetic: the matches are computed before any order or account changes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import ROUND_DOWN, Decimal, localcontext
from functools import wraps
from typing import Final, NamedTuple, ParamSpec, TypeVar

from service.sandbox.exchange.orders import ZERO, SandboxOrder
from service.sandbox.market.order_book import OrderBook, PriceLevel
from service.sandbox.market.prints import Print, Prints, instant_of
from service.sandbox.market.ticks import decimal, units

STEP: Final = Decimal("0.00000001")  #: coins are counted in steps of this size
# A price of 17 digits times a volume of 17 times a fee of 4 fits 64 digits without rounding.
_DIGITS: Final = 64
_NEVER: Final = 2**63 - 1  #: a price that no print reaches
P = ParamSpec("P")
T = TypeVar("T")


def exact(function: Callable[P, T]) -> Callable[P, T]:
    """Run `function` with a decimal precision that rounds no product or sum of money."""

    @wraps(function)
    def exactly(*args: P.args, **kwargs: P.kwargs) -> T:
        with localcontext() as context:
            context.prec = _DIGITS
            return function(*args, **kwargs)

    return exactly


class Match(NamedTuple):
    price: Decimal
    volume: Decimal


class Taken(NamedTuple):
    matches: Sequence[Match]
    is_filled: bool  #: the rest, if any, is too small to trade


def take(order: SandboxOrder, levels: Sequence[PriceLevel]) -> Taken:
    """Return what `order` takes from `levels`, best first."""
    matches: list[Match] = []
    volume, funds = order.remaining_volume, order.remaining_funds
    for price, size in _within(order, levels):
        # Coins are rounded down to the exchange's step; the rest in KRW is freed.
        wanted = (funds / price).quantize(STEP, ROUND_DOWN) if volume is None else volume
        taken = min(wanted, size)
        if taken > 0:
            matches.append(Match(price, taken))
        if volume is None:
            funds -= taken * price
        else:
            volume -= taken
        if taken == wanted:
            return Taken(matches, is_filled=True)
    return Taken(matches, is_filled=False)


def _within(order: SandboxOrder, levels: Sequence[PriceLevel]) -> Iterator[Match]:
    for level in levels:
        price = decimal(level.price)
        if order.limit is not None and (
            price > order.limit if order.is_bid else price < order.limit
        ):
            return
        yield Match(price, decimal(level.size))


class Hit(NamedTuple):
    """A print fills a resting order, at the order's own limit."""

    order: SandboxOrder
    match: Match
    at: datetime


def hits(
    resting: Sequence[SandboxOrder],
    prints: Prints,
    *,
    after: int,
    until: int,
    book_at: Callable[[Print], OrderBook],
) -> Iterator[Hit]:
    """Yield the hits of one market's prints in (after, until].

    It is lazy: the caller must fill each order before it takes the next hit. The rest of an order
    decides the volume that is left for the orders behind it.
    """
    bids = sorted((o for o in resting if o.is_bid), key=lambda o: (-_limit(o), o.number))
    asks = sorted((o for o in resting if not o.is_bid), key=lambda o: (_limit(o), o.number))
    low = _limit(bids[0]) if bids else -1
    high = _limit(asks[0]) if asks else _NEVER
    for last in prints.reaching(after=after, until=until, low=low, high=high):
        yield from _met(bids, last, book_at)
        yield from _met(asks, last, book_at)
        if all(order.state != "wait" for order in resting):
            return


def _met(
    orders: Iterable[SandboxOrder], last: Print, book_at: Callable[[Print], OrderBook]
) -> Iterator[Hit]:
    """Split the volume of one print among one side's orders, best first."""
    used = ZERO
    for order in orders:
        if order.state != "wait" or not _reached(order, last.price):
            continue
        offered = _offered(order, last, book_at) - used
        volume = min(order.remaining_volume or ZERO, offered)
        if volume <= 0:
            return
        used += volume
        yield Hit(order, Match(order.limit or ZERO, volume), instant_of(last.step))


def _offered(order: SandboxOrder, last: Print, book_at: Callable[[Print], OrderBook]) -> Decimal:
    """Return the coins offered to the order by the print.

    These are the print's own volume, and the book's levels up to the limit if the price went
    through.
    """
    limit, volume = _limit(order), last.volume
    if last.price != limit:
        book = book_at(last)
        through = book.asks if order.is_bid else book.bids
        volume += sum(
            level.size
            for level in through
            if (level.price <= limit if order.is_bid else level.price >= limit)
        )
    return decimal(volume)


def _limit(order: SandboxOrder) -> int:
    return units(order.limit or ZERO)


def _reached(order: SandboxOrder, price: int) -> bool:
    return price <= _limit(order) if order.is_bid else price >= _limit(order)
