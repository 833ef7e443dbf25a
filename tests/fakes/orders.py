"""Orders, fills and positions in memory, with the store's guards."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from service.domain.errors import DuplicateOrder, NotLeader
from service.domain.markets import Market
from service.domain.orders import OPEN, ZERO, Fill, Intent, Order, OrderStatus, Side
from service.domain.positions import Position, folded


class FakeOrders:
    """Satisfies ports.Orders.

    Attributes:
        epoch: the trading lease's; `add` with another one raises NotLeader.
        rows: the orders by id; a test may change them directly.
        booked: every fill with its order's id, oldest first.
        history: (order id, status), every state ever stored, oldest first.
        fail: raised by the next call instead of doing anything.
        lose: raised by the next write after it was stored, as a lost answer would be.
    """

    def __init__(self, *, epoch: int = 1) -> None:
        self.epoch = epoch
        self.rows: dict[int, Order] = {}
        self.booked: list[tuple[int, Fill]] = []
        self.history: list[tuple[int, OrderStatus]] = []
        self.fail: BaseException | None = None
        self.lose: BaseException | None = None

    async def add(
        self,
        intent: Intent,
        *,
        identifier: str,
        decision_id: int | None,
        at: datetime,
        epoch: int,
    ) -> Order:
        self._raise_failure()
        if epoch != self.epoch:
            raise NotLeader("the trading lease is not ours any more; nothing was written or sent")
        for row in self.rows.values():
            if row.identifier == identifier:
                raise DuplicateOrder(f"the identifier {identifier} was used before")
            settled = row.status is OrderStatus.FAILED
            if decision_id is not None and row.decision_id == decision_id and not settled:
                raise DuplicateOrder(f"decision {decision_id} has its order already")
        order = Order(
            id=len(self.rows) + 1,
            identifier=identifier,
            intent=intent,
            status=OrderStatus.PENDING,
            decision_id=decision_id,
            created_at=at,
            sent_at=at,
        )
        self._store(order)
        self._raise_loss()
        return order

    async def advance(
        self, order: Order, *, seen: OrderStatus, fills: Sequence[Fill] = (), at: datetime
    ) -> bool:
        self._raise_failure()
        row = self.rows[order.id]
        known = {fill.trade_uuid for _, fill in self.booked}
        if row.status is not seen or any(fill.trade_uuid in known for fill in fills):
            return False
        self.booked.extend((order.id, fill) for fill in fills)
        mine = await self.fills(order.id)
        self._store(
            replace(
                row,
                status=order.status,
                reason=order.reason,
                exchange_uuid=order.exchange_uuid or row.exchange_uuid,
                executed_volume=sum((fill.volume for fill in mine), ZERO),
                executed_funds=sum((fill.funds for fill in mine), ZERO),
                paid_fee=sum((fill.fee for fill in mine), ZERO),
            )
        )
        self._raise_loss()
        return True

    async def open(self, market: Market | None = None) -> tuple[Order, ...]:
        self._raise_failure()
        found = [
            row
            for row in self.rows.values()
            if row.status in OPEN and (market is None or row.market == market)
        ]
        return tuple(sorted(found, key=lambda row: (row.created_at, row.id)))

    async def count_since(self, at: datetime) -> int:
        self._raise_failure()
        return sum(row.created_at >= at for row in self.rows.values())

    async def fills(self, order_id: int) -> tuple[Fill, ...]:
        return tuple(fill for of, fill in self.booked if of == order_id)

    async def position(self, market: Market) -> Position:
        self._raise_failure()
        mine: list[tuple[Side, Fill]] = [
            (self.rows[of].intent.side, fill)
            for of, fill in self.booked
            if self.rows[of].market == market
        ]
        return folded(market, mine)

    async def positions(self) -> tuple[Position, ...]:
        traded = {self.rows[of].market for of, _ in self.booked}
        return tuple([await self.position(market) for market in sorted(traded, key=str)])

    # --- what a test arranges -------------------------------------------------------------

    def hold(self, order: Order, *fills: Fill) -> None:
        """Store an order with its fills, as an earlier run would have left them."""
        self._store(order)
        self.booked.extend((order.id, fill) for fill in fills)

    def _store(self, order: Order) -> None:
        self.rows[order.id] = order
        self.history.append((order.id, order.status))

    def _raise_failure(self) -> None:
        if self.fail is not None:
            failure, self.fail = self.fail, None
            raise failure

    def _raise_loss(self) -> None:
        if self.lose is not None:
            lost, self.lose = self.lose, None
            raise lost
