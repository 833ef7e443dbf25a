"""The cost of a model call by the operator's dated price table."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from service.domain.signals import Usage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """USD for a million tokens of one model from one day on."""

    model: str
    effective_from: date  #: a Korean day
    input: Decimal
    cached: Decimal
    output: Decimal  #: thoughts are billed as output


def cost_usd(
    usage: Usage, *, model: str, day: date, prices: Iterable[ModelPrice]
) -> Decimal | None:
    """Return the cost, or None without a price in the table or without token counts.

    Args: day: the Korean day of the call.

    Source: Gemini pricing: input less cached at the input price, cached at the cached price,
    candidates + thoughts at the output price. The cost of an unknown model is None, not a guess.
    """
    known = [p for p in prices if p.model == model and p.effective_from <= day]
    if not known or usage.input_tokens is None:
        return None
    price = max(known, key=lambda p: p.effective_from)
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    out = (usage.output_tokens or 0) + (usage.thinking_tokens or 0)
    total = (usage.input_tokens - cached) * price.input + cached * price.cached + out * price.output
    return total / _MILLION
