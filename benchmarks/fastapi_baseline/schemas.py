"""The answers: the same JSON as ours, see docs/api.md."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Amount = Annotated[Decimal, PlainSerializer(_plain, return_type=str)]
Instant = Annotated[datetime, PlainSerializer(_utc, return_type=str)]
Item = TypeVar("Item")


class ResponseModel(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PageBody(BaseModel, Generic[Item]):
    items: list[Item]
    next_cursor: str | None


class OrderBody(ResponseModel):
    id: int
    identifier: str
    exchange_uuid: str | None
    market: str
    side: str
    type: str
    price: Amount | None
    volume: Amount | None
    funds: Amount | None
    status: str
    reason: str | None
    executed_volume: Amount
    executed_funds: Amount
    average_price: Amount | None
    paid_fee: Amount
    decision_id: int | None
    created_at: Instant
    sent_at: Instant
    updated_at: Instant
    stuck: bool = False  # every order of the comparison is final
    what_to_do: str | None = None
    origin: str
    rule: str | None
    quarantined_at: Instant | None
    quarantine_reason: str | None


class FillBody(ResponseModel):
    id: int
    trade_uuid: str
    order_id: int
    market: str
    side: str
    price: Amount
    volume: Amount
    funds: Amount
    fee: Amount
    realised_pnl: Amount | None
    traded_at: Instant
    recorded_at: Instant


class DecisionBody(ResponseModel):
    verdict: str
    reason: str | None
    detail: str | None
    lapsed: str | None


class SignalBody(ResponseModel):
    id: int
    market: str
    action: str
    confidence: Amount
    reasoning: str
    model: str
    price: Amount
    market_data_id: int | None
    trigger: str
    created_at: Instant
    decision: DecisionBody | None
    order_id: int | None


class PriceBody(ResponseModel):
    id: int
    market: str
    price: Amount
    high: Amount
    low: Amount
    volume_24h: Amount
    change_since_close_ratio: Amount
    traded_at: Instant
    collected_at: Instant
