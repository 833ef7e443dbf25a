"""How long an order may stay open until an operator has to know, and what an operator can do.

A limit order may lie on the book for as long as its price is not reached: it has no bound there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.domain.markets import Market
from service.domain.orders import OrderStatus, OrderType, Side

UNHEALTHY_S: Final = 600.0  #: market seconds
#: Market seconds in each status, by whether the exchange is known to have the order.
UNCERTAIN_S: Final = 60.0
ON_THE_BOOK_S: Final = 300.0  #: of one that never rests there, and is final in seconds
UNCERTAIN: Final = frozenset({OrderStatus.PENDING, OrderStatus.UNKNOWN})
ON_THE_BOOK: Final = frozenset({OrderStatus.SUBMITTED, OrderStatus.PARTIALLY_FILLED})

_LOOK: Final = "POST /api/v1/trading/orders/sync looks it up now."
#: For one that no proof settles: the market stays blocked until an operator says so.
_END: Final = (
    "If it is not there after ten minutes, `trader order not-placed ID` ends it"
    " (POST /api/v1/trading/orders/ID/not-placed)."
)
ADVICE: Final[Mapping[OrderStatus, str]] = {
    **dict.fromkeys(
        UNCERTAIN,
        f"Search the exchange's list of orders for its identifier; {_LOOK} {_END}",
    ),
    **dict.fromkeys(
        ON_THE_BOOK,
        f"Compare it with the exchange's list of orders; {_LOOK}",
    ),
}
ADVICE_ASIDE: Final = (
    "Compare it with the exchange's list of orders: what the exchange answers cannot be booked."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An order that is not final.

    Attributes:
        since: when it was sent, the market's instant.
        is_aside: what the exchange says of it cannot be booked.
    """

    id: int
    identifier: str
    market: Market
    side: Side
    type: OrderType
    status: OrderStatus
    since: datetime
    is_aside: bool = False

    def age_s(self, now: datetime) -> float:
        return (now - self.since).total_seconds()

    def is_stuck(self, now: datetime) -> bool:
        """Return whether it is open for longer than it may be."""
        bound_s = self._bound_s()
        return self.is_aside or (bound_s is not None and self.age_s(now) >= bound_s)

    def is_long_stuck(self, now: datetime) -> bool:
        return self.is_stuck(now) and (self.is_aside or self.age_s(now) >= UNHEALTHY_S)

    @property
    def advice(self) -> str:
        """Return what an operator can do, in one sentence."""
        return ADVICE_ASIDE if self.is_aside else ADVICE[self.status]

    def _bound_s(self) -> float | None:
        if self.status in UNCERTAIN:
            return UNCERTAIN_S
        return None if self.type.rests else ON_THE_BOOK_S
