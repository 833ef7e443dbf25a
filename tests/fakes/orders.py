"""Orders, fills and positions in memory: the twin of PostgreSQL's tables.

`tests/integration/store/test_contract.py` holds both to the same tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Any

from service.domain.days import korean_day, korean_midnight
from service.domain.errors import DomainError, DuplicateOrder, NotLeader, OrderRefused
from service.domain.markets import Market
from service.domain.orders import (
    OPEN,
    RECOVERED,
    ZERO,
    Breach,
    Fill,
    Intent,
    Order,
    OrderOrigin,
    OrderStatus,
    Side,
)
from service.domain.positions import Position
from service.domain.trading_states import (
    OrderAct,
    OrderSource,
    TradingStatus,
    permits,
    refusal_text,
)
from tests.fakes.tables import LeaseRow, Tables


class FakeOrders:
    """Satisfies ports.Orders. No call suspends, so each one is atomic.

    Attributes:
        tables: the rows it shares with the fakes of the lease and of the trading state.
        rows: the orders by id; a test may change them directly.
        booked: every fill with its order's id, oldest first.
        keys: the order of each idempotency key.
        history: (order id, status), every state ever stored, oldest first.
        fail: raised by the next call instead of doing anything.
        away: raised by every call while it is set.
        lose: raised by the next write after it was stored, as a lost answer would be.
        lose_fills: raised by the next write that books fills, after it was stored.
        poison: raised by every change of the order with this id, as a constraint would be.
    """

    def __init__(self, *, epoch: int = 1, tables: Tables | None = None) -> None:
        """Args: epoch: of the lease that is held for ever, where no tables are given."""
        held = LeaseRow(owner="test", epoch=epoch, expires_at=inf)
        self.tables = tables or Tables(lease=held)
        self.rows: dict[int, Order] = {}
        self.booked: list[tuple[int, Fill]] = []
        self.history: list[tuple[int, OrderStatus]] = []
        self.keys: dict[str, int] = {}
        self.fail: BaseException | None = None
        self.away: BaseException | None = None
        self.lose: BaseException | None = None
        self.lose_fills: BaseException | None = None
        self.poison: dict[int, Exception] = {}

    @property
    def epoch(self) -> int:
        """The trading lease's; `add` with another one raises NotLeader."""
        return self.tables.lease.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self.tables.lease.epoch = epoch

    async def add(
        self,
        intent: Intent,
        *,
        identifier: str,
        decision_id: int | None,
        at: datetime,
        epoch: int,
        source: OrderSource,
        most_per_hour: int | None,
        idempotency_key: str | None = None,
        actor: str | None = None,
        breach: Breach | None = None,
    ) -> Order:
        del actor
        self._raise_failure()
        if not self.tables.holds(epoch):
            raise NotLeader("the trading lease is not ours any more; nothing was written or sent")
        self._check_not_recovered(decision_id)
        self._check_not_lapsed(decision_id)
        try:
            self._check_rules(intent, source, most_per_hour, at)
        except OrderRefused as exc:
            if decision_id is not None:
                self.tables.lapsed[decision_id] = exc.rule
            raise
        self._check_unique(identifier, decision_id)
        if idempotency_key in self.keys:
            raise DuplicateOrder("this idempotency key has an order already")
        order = Order(
            id=len(self.rows) + 1,
            identifier=identifier,
            intent=intent,
            status=OrderStatus.PENDING,
            decision_id=decision_id,
            created_at=at,
            sent_at=at,
            rule=None if breach is None else breach.rule,
        )
        self._store(order)
        if breach is not None:
            self.tables.exits.append((order.id, breach))
        if idempotency_key is not None:
            self.keys[idempotency_key] = order.id
        self._raise_loss()
        return order

    async def adopt(
        self,
        intent: Intent,
        *,
        identifier: str,
        exchange_uuid: str,
        made_at: datetime,
        at: datetime,
    ) -> Order:
        self._raise_failure()
        self._check_unique(identifier, None)
        if any(row.exchange_uuid == exchange_uuid for row in self.rows.values()):
            raise DuplicateOrder(f"order {identifier} has a row already")
        order = Order(
            id=len(self.rows) + 1,
            identifier=identifier,
            intent=intent,
            status=OrderStatus.UNKNOWN,
            decision_id=None,
            created_at=made_at,
            sent_at=made_at,
            exchange_uuid=exchange_uuid,
            reason=RECOVERED,
            origin=OrderOrigin.RECOVERED,
        )
        self._store(order)
        self._raise_loss()
        return order

    async def add_sent(
        self,
        intent: Intent,
        *,
        identifier: str,
        breach: Breach,
        epoch: int,
        at: datetime,
        now: datetime,
    ) -> Order:
        del epoch, now
        self._raise_failure()
        found = next((row for row in self.rows.values() if row.identifier == identifier), None)
        if found is None:
            found = Order(
                id=len(self.rows) + 1,
                identifier=identifier,
                intent=intent,
                status=OrderStatus.PENDING,
                decision_id=None,
                created_at=at,
                sent_at=at,
                rule=breach.rule,
            )
            self._store(found)
            self.tables.exits.append((found.id, breach))
        self._raise_loss()
        return found

    async def advance(
        self,
        order: Order,
        *,
        seen: OrderStatus,
        fills: Sequence[Fill] = (),
        paid_fee: Decimal | None = None,
        at: datetime,
    ) -> bool:
        self._raise_failure()
        if order.id in self.poison:
            raise self.poison[order.id]
        row = self.rows.get(order.id)
        if row is None or row.status is not seen:
            return False
        if self._is_stored(order.id, fills):
            return False
        self._check_uuid(order)
        booked = self._charged(order.id, [*self.booked, *((order.id, f) for f in fills)], paid_fee)
        self.booked[:] = booked
        mine = await self.fills(order.id)
        self._store(
            replace(
                row,
                status=order.status,
                reason=order.reason,
                origin=order.origin,
                quarantine=order.quarantine,
                exchange_uuid=order.exchange_uuid or row.exchange_uuid,
                executed_volume=sum((fill.volume for fill in mine), ZERO),
                executed_funds=sum((fill.funds for fill in mine), ZERO),
                paid_fee=sum((fill.fee for fill in mine), ZERO),
            )
        )
        if fills and self.lose_fills is not None:
            self.lose, self.lose_fills = self.lose_fills, None
        self._raise_loss()
        return True

    async def find(self, identifier: str) -> Order | None:
        self._raise_failure()
        found = (row for row in self.rows.values() if row.identifier == identifier)
        return next(found, None)

    async def by_id(self, order_id: int) -> Order | None:
        self._raise_failure()
        return self.rows.get(order_id)

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

    async def bought_since(self, at: datetime) -> Mapping[str, Decimal]:
        self._raise_failure()
        bought: dict[str, Decimal] = {}
        for row in self.rows.values():
            if row.created_at >= at and row.intent.side is Side.BUY:
                funds = row.intent.most_funds if row.status in OPEN else row.executed_funds
                bought[row.market.quote] = bought.get(row.market.quote, ZERO) + funds
        return bought

    async def fills(self, order_id: int) -> tuple[Fill, ...]:
        if self.away is not None:
            raise self.away
        return tuple(fill for of, fill in self.booked if of == order_id)

    async def position(self, market: Market) -> Position:
        self._raise_failure()
        position = Position(market=market)
        for of, fill in self.booked:
            order = self.rows[of]
            if order.market == market:
                position = _after(position, order.intent.side, fill)
        return position

    async def positions(self) -> tuple[Position, ...]:
        traded = {self.rows[of].market for of, _ in self.booked}
        return tuple([await self.position(market) for market in sorted(traded, key=str)])

    # --- what a test arranges -------------------------------------------------------------

    def hold(self, order: Order, *fills: Fill) -> None:
        """Store an order with its fills, as an earlier run would have left them."""
        self._store(order)
        self.booked.extend((order.id, fill) for fill in fills)

    # --- the rules ------------------------------------------------------------------------

    def _check_rules(
        self, intent: Intent, source: OrderSource, most_per_hour: int | None, at: datetime
    ) -> None:
        status = self.tables.status(intent.market)
        if not permits(status, source, OrderAct.of(intent.side)):
            self._refuse("trading_enabled", status)
        stored = self.tables.settings()
        if most_per_hour is not None:
            cap = stored.get("max_orders_per_hour")
            most = min(most_per_hour, cap) if isinstance(cap, int) else most_per_hour
            since = at - timedelta(hours=1)
            if sum(row.created_at >= since for row in self.rows.values()) >= most:
                self._refuse("order_rate", status)
        if intent.side is Side.BUY and intent.market.quote == "KRW":
            self._check_caps(intent.most_funds, stored, status, at)

    def _check_caps(
        self, spends: Decimal, stored: Mapping[str, Any], status: TradingStatus, at: datetime
    ) -> None:
        if (cap := stored.get("max_order_krw")) is not None and spends > Decimal(cap):
            self._refuse("max_order", status)
        since = korean_midnight(korean_day(at))
        bought = sum(
            row.intent.most_funds if row.status in OPEN else row.executed_funds
            for row in self.rows.values()
            if row.created_at >= since
            and row.intent.side is Side.BUY
            and row.intent.market.quote == "KRW"
        )
        cap = stored.get("max_daily_order_krw")
        if cap is not None and bought + spends > Decimal(cap):
            self._refuse("max_daily_order", status)

    def _refuse(self, rule: str, status: TradingStatus) -> None:
        self.tables.refusals.append((rule, status.value))
        raise OrderRefused(refusal_text(rule, status), rule=rule)

    # --- the constraints ------------------------------------------------------------------

    def _check_not_recovered(self, decision_id: int | None) -> None:
        for row in self.rows.values():
            counts = row.status is not OrderStatus.FAILED and row.origin is OrderOrigin.RECOVERED
            if decision_id is not None and row.decision_id == decision_id and counts:
                raise DuplicateOrder(f"decision {decision_id} has its order already")

    def _check_not_lapsed(self, decision_id: int | None) -> None:
        if decision_id in self.tables.lapsed:
            raise DuplicateOrder(f"decision {decision_id} lapsed before, it gets no order")

    def _check_unique(self, identifier: str, decision_id: int | None) -> None:
        for row in self.rows.values():
            if row.identifier == identifier:
                raise DuplicateOrder(f"the identifier {identifier} was used before")
            counts = row.status is not OrderStatus.FAILED and row.origin is OrderOrigin.SERVICE
            if decision_id is not None and row.decision_id == decision_id and counts:
                raise DuplicateOrder(f"decision {decision_id} has its order already")

    def _is_stored(self, order_id: int, fills: Sequence[Fill]) -> bool:
        trades = {fill.trade_uuid for fill in fills}
        if len(trades) < len(fills):
            raise DomainError(f"order {order_id}: one trade is given twice")
        owners = {of for of, fill in self.booked if fill.trade_uuid in trades}
        if owners - {order_id}:
            raise DomainError(f"order {order_id}: a trade belongs to another order")
        return bool(owners)

    def _charged(
        self, order_id: int, booked: list[tuple[int, Fill]], paid_fee: Decimal | None
    ) -> list[tuple[int, Fill]]:
        """Return the fills with the order's last one charged what its fee lacks."""
        mine = [n for n, (of, _) in enumerate(booked) if of == order_id]
        if paid_fee is None or not mine:
            return booked
        missing = paid_fee - sum((booked[n][1].fee for n in mine), ZERO)
        if missing < 0:
            raise DomainError(f"order {order_id}: its fee became smaller than what was booked")
        last = booked[mine[-1]][1]
        booked[mine[-1]] = (order_id, replace(last, fee=last.fee + missing))
        return booked

    def _check_uuid(self, order: Order) -> None:
        uuid = order.exchange_uuid
        same = (row for row in self.rows.values() if row.exchange_uuid == uuid is not None)
        if any(row.id != order.id for row in same):
            raise DomainError(f"order {order.id}: its exchange uuid is another order's")

    def _store(self, order: Order) -> None:
        self.rows[order.id] = order
        if order.decision_id is not None:
            self.tables.ordered.add(order.decision_id)
        self.history.append((order.id, order.status))

    def _raise_failure(self) -> None:
        if self.away is not None:
            raise self.away
        if self.fail is not None:
            failure, self.fail = self.fail, None
            raise failure

    def _raise_loss(self) -> None:
        if self.lose is not None:
            lost, self.lose = self.lose, None
            raise lost


def _after(position: Position, side: Side, fill: Fill) -> Position:
    """A sale of more than is held ends the position, as in the store."""
    if side is Side.SELL and fill.volume > position.volume:
        fill = position.part_held(fill)
    return position.after(side, fill)
