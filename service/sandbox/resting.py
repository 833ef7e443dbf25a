"""Which resting orders the market's prints fill, by how much and when."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from service.sandbox.exchange.matching import Match
from service.sandbox.exchange.orders import ZERO, SandboxOrder
from service.sandbox.market.order_book import OrderBook
from service.sandbox.market.prints import Print, Prints, instant_of
from service.sandbox.market.ticks import decimal, units

_NEVER: Final = 2**63 - 1


class Hit(NamedTuple):
    """A resting order is met: it trades at its own limit."""

    order: SandboxOrder
    match: Match
    at: datetime


def hits(
    resting: Sequence[SandboxOrder],
    tape: Prints,
    *,
    after: int,
    until: int,
    book_at: Callable[[Print], OrderBook],
) -> Iterator[Hit]:
    """Yield the hits of one market's prints in (after, until].

    Lazily: the caller fills each order before it asks for the next, since what an order still
    wants decides what is left for those behind it.
    """
    bids = sorted((o for o in resting if o.is_bid), key=lambda o: (-_limit(o), o.number))
    asks = sorted((o for o in resting if not o.is_bid), key=lambda o: (_limit(o), o.number))
    low = _limit(bids[0]) if bids else -1
    high = _limit(asks[0]) if asks else _NEVER
    for last in tape.reaching(after=after, until=until, low=low, high=high):
        yield from _met(bids, last, book_at)
        yield from _met(asks, last, book_at)
        if all(order.state != "wait" for order in resting):
            return


def _met(
    orders: Iterable[SandboxOrder], last: Print, book_at: Callable[[Print], OrderBook]
) -> Iterator[Hit]:
    """Share out what one print brought among one side's orders, best first."""
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
    """Return the coins that met the order: the print's own volume, and the book behind it when
    the price went through the limit.
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
