"""Signals with what became of them: JSON that PostgreSQL makes (store/queries/signals.py)."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from service.domain.signals import Action
from service.web.contract.scalars import DecimalText, Instant


class SignalDecisionBody(TypedDict):
    verdict: Literal["ALLOWED", "REFUSED", "HELD"]
    reason: str | None  #: the rule that refused
    detail: str | None
    lapsed: str | None  #: why an allowed decision has no order


class RuleCheckBody(TypedDict):
    """What one rule found."""

    rule: str
    passed: bool
    detail: str
    limit: NotRequired[str | None]
    actual: NotRequired[str | None]
    until: NotRequired[Instant | None]


class SignalRowBody(TypedDict):
    id: int
    market: str
    action: Action
    confidence: DecimalText
    reasoning: str
    model: str
    price: DecimalText
    market_data_id: int | None
    trigger: Literal["schedule", "manual"]
    created_at: Instant
    decision: SignalDecisionBody | None
    order_id: int | None


class SignalRowsBody(TypedDict):
    items: list[SignalRowBody]
    next_cursor: str | None


class WholeSignalBody(SignalRowBody):
    facts: dict[str, object]  #: that the model was shown
    checks: list[RuleCheckBody]
