"""Stored orders in short, from the orders in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from service.ports.order_sweep import OrderSummary
from tests.fakes.orders import FakeOrders


class FakeSweptOrders:
    """Satisfies ports.SweptOrders."""

    def __init__(self, orders: FakeOrders) -> None:
        self._orders = orders
        self.until: datetime | None = None

    async def summaries(self, identifiers: Sequence[str]) -> Mapping[str, OrderSummary]:
        found = {}
        for identifier in identifiers:
            order = await self._orders.find(identifier)
            if order is not None:
                found[identifier] = OrderSummary(
                    status=order.status,
                    executed_volume=order.executed_volume,
                    executed_funds=order.executed_funds,
                    paid_fee=order.paid_fee,
                    fills=len(await self._orders.fills(order.id)),
                )
        return found

    async def swept_until(self) -> datetime | None:
        return self.until

    async def mark_swept(self, until: datetime) -> None:
        self.until = until
