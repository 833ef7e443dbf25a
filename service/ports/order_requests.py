"""What an operator asked of orders: by which key, that they end, and what was refused."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.domain.orders import Intent, OrderStatus
from service.domain.risk.verdicts import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedOrder:
    """The order of an idempotency key, and what was asked for with it."""

    id: int
    intent: Intent


class OrderRequests(Protocol):
    """Raises StoreBusy, StoreDown or StoreTimeout."""

    async def by_key(self, idempotency_key: str) -> KeyedOrder | None: ...

    async def request_cancel(self, order_id: int, *, by: str, at: datetime) -> OrderStatus | None:
        """Store that the order shall end, unless it has; return its status, None without one.

        The first request's author and instant stay.
        """

    async def to_cancel(self) -> Collection[int]:
        """Return the ids of the open orders that shall end."""

    async def add_refusal(
        self, intent: Intent, *, refused: Refused, actor: str, at: datetime
    ) -> None:
        """Store a risk event: the rules refused an order by hand before its insert."""
