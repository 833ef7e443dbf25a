"""Trading signals and the model's answers."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from service.domain.markets import Market

#: The cause of the pass that makes a signal: the job's schedule, or an operator.
Trigger = Literal["schedule", "manual"]


class Action(StrEnum):
    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The model's usable answer."""

    action: Action
    confidence: Decimal  #: 0..1
    reasoning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one model call by the model's own count; None without a count."""

    input_tokens: int | None = None
    output_tokens: int | None = None  #: without thoughts
    thinking_tokens: int | None = None  #: billed as output
    cached_tokens: int | None = None  #: part of input_tokens, billed cheaper


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of one model call.

    `proposal` is None when the answer is unusable. Then `why` is a short code, e.g.
    `finish:MAX_TOKENS`, `blocked:SAFETY`, `unparsed`, `empty`.
    """

    proposal: Proposal | None
    why: str | None
    model: str  #: as the model calls itself
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A stored proposal: written once, never edited."""

    id: int
    market: Market
    proposal: Proposal
    model: str
    price: Decimal  #: when it was made
    created_at: datetime
