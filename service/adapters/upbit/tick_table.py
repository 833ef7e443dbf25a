"""The ticks of Upbit's KRW markets by price, since 2025-07-31.

Source: Upbit docs "krw-market-info". The exchange's own answer tells the tick of the present price
only; a limit order may be anywhere.
"""

from decimal import Decimal
from typing import Final

#: (least price, tick), ascending.
KRW_TICKS: Final = tuple(
    (Decimal(least), Decimal(tick))
    for least, tick in (
        ("0", "0.00000001"),
        ("0.00001", "0.0000001"),
        ("0.0001", "0.000001"),
        ("0.001", "0.00001"),
        ("0.01", "0.0001"),
        ("0.1", "0.001"),
        ("1", "0.01"),
        ("10", "0.1"),
        ("100", "1"),
        ("5000", "5"),
        ("10000", "10"),
        ("50000", "50"),
        ("100000", "100"),
        ("500000", "500"),
        ("1000000", "1000"),
    )
)
