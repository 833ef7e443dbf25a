"""The tables that the routes read, mapped by SQLAlchemy; only the columns that they answer."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import BigInteger, DateTime, ForeignKey, Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way
        int: BigInteger,
        Decimal: Numeric,
        datetime: DateTime(timezone=True),
    }


class OrderModel(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    identifier: Mapped[str]
    exchange_uuid: Mapped[str | None]
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"))
    market: Mapped[str]
    side: Mapped[str]
    type: Mapped[str]
    price: Mapped[Decimal | None]
    volume: Mapped[Decimal | None]
    funds: Mapped[Decimal | None]
    status: Mapped[str]
    reason: Mapped[str | None]
    executed_volume: Mapped[Decimal]
    executed_funds: Mapped[Decimal]
    paid_fee: Mapped[Decimal]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    origin: Mapped[str]
    rule: Mapped[str | None]
    quarantined_at: Mapped[datetime | None]
    quarantine_reason: Mapped[str | None]

    @property
    def average_price(self) -> Decimal | None:
        if not self.executed_volume:
            return None
        return round(self.executed_funds / self.executed_volume, 8)


class FillModel(Base):
    __tablename__ = "fills"

    id: Mapped[int] = mapped_column(primary_key=True)
    trade_uuid: Mapped[str]
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    market: Mapped[str]
    side: Mapped[str]
    price: Mapped[Decimal]
    volume: Mapped[Decimal]
    funds: Mapped[Decimal]
    fee: Mapped[Decimal]
    realised_pnl: Mapped[Decimal | None]
    traded_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class DecisionModel(Base):
    __tablename__ = "decisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    signal_id: Mapped[int] = mapped_column(ForeignKey("trading_signals.id"))
    verdict: Mapped[str]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    #: No decision of the seed lapsed, so this side is spared a join.
    lapsed: ClassVar[str | None] = None
    orders: Mapped[list[OrderModel]] = relationship()


class SignalModel(Base):
    __tablename__ = "trading_signals"

    id: Mapped[int] = mapped_column(primary_key=True)
    market: Mapped[str]
    action: Mapped[str]
    confidence: Mapped[Decimal]
    reasoning: Mapped[str]
    model: Mapped[str]
    price: Mapped[Decimal]
    market_data_id: Mapped[int | None]
    trigger: Mapped[str]
    created_at: Mapped[datetime]
    decision: Mapped[DecisionModel | None] = relationship()

    @property
    def order_id(self) -> int | None:
        """The newest order that has not failed, else the newest failed one."""
        if self.decision is None or not self.decision.orders:
            return None
        return max(self.decision.orders, key=lambda o: (o.status != "FAILED", o.id)).id


class PriceModel(Base):
    __tablename__ = "market_data"

    id: Mapped[int] = mapped_column(primary_key=True)
    market: Mapped[str]
    price: Mapped[Decimal]
    high: Mapped[Decimal]
    low: Mapped[Decimal]
    volume_24h: Mapped[Decimal]
    change_since_close_ratio: Mapped[Decimal]
    traded_at: Mapped[datetime]
    collected_at: Mapped[datetime]
