"""The KRW market's tick table, valid since 2025-07-31 (Upbit docs: krw-market-info).

Prices here are whole numbers of 0.00000001 KRW, so that a day of them fits an `array` and sums are
exact. Money, in the engine and in answers, is `Decimal`.
"""

from bisect import bisect_right
from decimal import Decimal
from typing import Final

UNITS: Final = 10**8  #: price or volume units in one KRW or one coin

_TABLE: Final = (
    ("0", "0.00000001"),
    ("0.00001", "0.0000001"),
    ("0.0001", "0.000001"),
    ("0.001", "0.00001"),
    ("0.01", "0.0001"),
    ("0.1", "0.001"),
    ("1", "0.01"),
    ("10", "0.1"),
    ("100", "1"),
    ("1000", "1"),
    ("5000", "5"),
    ("10000", "10"),
    ("50000", "50"),
    ("100000", "100"),
    ("500000", "500"),
    ("1000000", "1000"),
    ("2000000", "1000"),
)
_FLOORS: Final = [int(Decimal(floor) * UNITS) for floor, _ in _TABLE]
_TICKS: Final = [int(Decimal(tick) * UNITS) for _, tick in _TABLE]


def tick_units(price: int) -> int:
    """Return the tick at `price`, both in units."""
    return _TICKS[bisect_right(_FLOORS, price) - 1]


def tick_size(price: Decimal) -> Decimal:
    """Return the tick at `price`, KRW."""
    return decimal(tick_units(units(price)))


def on_tick(price: Decimal) -> bool:
    """Return whether an order may have this price."""
    whole = price * UNITS
    return price > 0 and whole == int(whole) and int(whole) % tick_units(int(whole)) == 0


def rounded(price: int) -> int:
    """Return the price on the tick nearest to `price`, at least one tick, in units."""
    tick = tick_units(price)
    return max(tick, (price + tick // 2) // tick * tick)


def units(amount: Decimal) -> int:
    """Return `amount` in units, anything smaller cut off."""
    return int(amount.scaleb(8))


def decimal(amount: int) -> Decimal:
    """Return `amount` units as an exact Decimal."""
    return Decimal(amount).scaleb(-8)
