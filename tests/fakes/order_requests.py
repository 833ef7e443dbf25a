"""Keys of orders and requested cancellations in memory, over the rows of the fake orders."""

from collections.abc import Collection
from datetime import datetime

from service.domain.orders import Intent, OrderStatus
from service.domain.risk.verdicts import Refused
from service.ports.order_requests import KeyedOrder
from tests.fakes.orders import FakeOrders


class FakeOrderRequests:
    """Satisfies ports.OrderRequests.

    Attributes:
        cancelled: by whom and when each order was asked to end.
        refused: (actor, intent, verdict) of each refusal by hand, oldest first.
    """

    def __init__(self, orders: FakeOrders) -> None:
        self._orders = orders
        self.cancelled: dict[int, tuple[str, datetime]] = {}
        self.refused: list[tuple[str, Intent, Refused]] = []

    async def by_key(self, idempotency_key: str) -> KeyedOrder | None:
        order_id = self._orders.keys.get(idempotency_key)
        if order_id is None:
            return None
        return KeyedOrder(id=order_id, intent=self._orders.rows[order_id].intent)

    async def request_cancel(self, order_id: int, *, by: str, at: datetime) -> OrderStatus | None:
        row = self._orders.rows.get(order_id)
        if row is None:
            return None
        if row.is_open:
            self.cancelled.setdefault(order_id, (by, at))
        return row.status

    async def to_cancel(self) -> Collection[int]:
        return [n for n in self.cancelled if self._orders.rows[n].is_open]

    async def add_refusal(
        self, intent: Intent, *, refused: Refused, actor: str, at: datetime
    ) -> None:
        del at
        self.refused.append((actor, intent, refused))
