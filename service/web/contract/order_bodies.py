"""Orders and fills: JSON that PostgreSQL makes (store/queries/orders.py)."""

from typing_extensions import TypedDict

from service.domain.orders import ExitRule, OrderOrigin, OrderStatus, OrderType, Side
from service.web.contract.scalars import DecimalText, Instant
from service.web.contract.signal_bodies import RuleCheckBody


class OrderRowBody(TypedDict):
    id: int
    identifier: str
    exchange_uuid: str | None
    market: str
    side: Side
    type: OrderType
    price: DecimalText | None
    volume: DecimalText | None
    funds: DecimalText | None
    status: OrderStatus
    reason: str | None
    executed_volume: DecimalText
    executed_funds: DecimalText
    average_price: DecimalText | None
    paid_fee: DecimalText
    decision_id: int | None
    created_at: Instant
    sent_at: Instant
    updated_at: Instant
    stuck: bool
    what_to_do: str | None
    origin: OrderOrigin
    rule: ExitRule | None
    quarantined_at: Instant | None
    quarantine_reason: str | None


class OrderRowsBody(TypedDict):
    items: list[OrderRowBody]
    next_cursor: str | None


class FillRowBody(TypedDict):
    id: int
    trade_uuid: str
    order_id: int
    market: str
    side: Side
    price: DecimalText
    volume: DecimalText
    funds: DecimalText
    fee: DecimalText
    realised_pnl: DecimalText | None  #: of a sale
    traded_at: Instant
    recorded_at: Instant


class FillsBody(TypedDict):
    items: list[FillRowBody]
    next_cursor: str | None


class WholeOrderBody(OrderRowBody):
    quarantine_detail: dict[str, object] | None
    signal_id: int | None
    checks: list[RuleCheckBody]
    fills: list[FillRowBody]
