"""What the sweep compares the exchange's lists with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from service.domain.orders import OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSummary:
    """A stored order, as far as a list of the exchange tells the same."""

    status: OrderStatus
    executed_volume: Decimal
    executed_funds: Decimal
    paid_fee: Decimal
    fills: int


class SweptOrders(Protocol):
    """Raises StoreBusy, StoreDown or StoreTimeout."""

    async def summaries(self, identifiers: Sequence[str]) -> Mapping[str, OrderSummary]:
        """Return those of the orders that have a row."""

    async def swept_until(self) -> datetime | None:
        """Return up to when all orders of the exchange were compared; None before the first time.

        After a backup was restored it is the backup's instant.
        """

    async def mark_swept(self, until: datetime) -> None: ...
