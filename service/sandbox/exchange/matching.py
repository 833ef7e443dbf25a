"""What an order takes from the book: pure arithmetic, decided before anything is changed."""

from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_DOWN, Decimal, localcontext
from functools import wraps
from typing import Final, NamedTuple, ParamSpec, TypeVar

from service.sandbox.exchange.orders import SandboxOrder
from service.sandbox.market.order_book import PriceLevel
from service.sandbox.market.ticks import decimal

STEP: Final = Decimal("0.00000001")  #: coins are counted in steps of this size
# A price of 17 digits times a volume of 17 times the fee's 4: never rounded at 64.
_DIGITS: Final = 64
P = ParamSpec("P")
T = TypeVar("T")


def exact(function: Callable[P, T]) -> Callable[P, T]:
    """Run `function` with so many digits that no product or sum of money is rounded."""

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
    is_filled: bool  #: nothing that could be traded is left


def take(order: SandboxOrder, levels: Sequence[PriceLevel]) -> Taken:
    """Return what `order` takes from `levels`, best first."""
    matches: list[Match] = []
    volume, funds = order.remaining_volume, order.remaining_funds
    for price, size in _within(order, levels):
        # Coins are floored to the exchange's step: a rest of KRW is handed back.
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
