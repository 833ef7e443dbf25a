"""The stub model: its opinion is a function of the numbers in the prompt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

_LINE: Final = re.compile(r"^\s*([a-z][a-z0-9_]*)\s*:\s*(\S+)\s*$", re.MULTILINE)
_CRASH: Final = Decimal(-3)  #: per cent in an hour; nothing is bought below
_HELD_LONG_MINUTES: Final = 60
_PROFIT, _LOSS = Decimal(1), Decimal(-2)  #: per cent
_LEAST, _MOST = Decimal("0.60"), Decimal("0.92")
_NAME: Final = "The sandbox's stand-in, not a real model:"


@dataclass(frozen=True, slots=True, kw_only=True)
class StubOpinion:
    action: Literal["BUY", "SELL", "HOLD"]
    confidence: Decimal  #: 0..1
    reasoning: str


def opinion_on(prompt: str) -> StubOpinion:
    """Return BUY without a position, unless the price crashed within the hour.

    With a position return SELL after an hour, a gain or a loss. Else return HOLD.
    """
    facts = dict(_LINE.findall(prompt))
    held = _number(facts, "position_volume")
    if held is None:
        return _hold("0.5", "the prompt holds no readable position_volume.")
    if held > 0:
        return _while_holding(facts, held)
    change = _number(facts, "change_1h_pct")
    if change is None:
        return _hold("0.5", "nothing is held, but change_1h_pct is not readable.")
    seen = f"nothing is held and change_1h_pct is {change}"
    if change <= _CRASH:
        return _hold("0.55", f"{seen}: too steep a fall to buy into.")
    return StubOpinion(
        action="BUY",
        confidence=_confidence(change),
        reasoning=f"{_NAME} {seen}: an entry, the more certain the larger the move.",
    )


def _while_holding(facts: Mapping[str, str], held: Decimal) -> StubOpinion:
    minutes = _number(facts, "position_held_minutes")
    gain = _number(facts, "position_pnl_pct")
    seen = f"position_volume is {held}, held for {minutes} minutes, position_pnl_pct is {gain}"
    is_old = minutes is not None and minutes >= _HELD_LONG_MINUTES
    is_decided = gain is not None and (gain >= _PROFIT or gain <= _LOSS)
    if is_old or is_decided:
        return StubOpinion(
            action="SELL",
            confidence=Decimal("0.75"),
            reasoning=f"{_NAME} {seen}: time to leave.",
        )
    return _hold("0.55", f"{seen}: too early to leave.")


def _hold(confidence: str, why: str) -> StubOpinion:
    return StubOpinion(action="HOLD", confidence=Decimal(confidence), reasoning=f"{_NAME} {why}")


def _confidence(change: Decimal) -> Decimal:
    share = min(abs(change) / abs(_CRASH), Decimal(1))
    return (_LEAST + (_MOST - _LEAST) * share).quantize(Decimal("0.01"))


def _number(facts: Mapping[str, str], name: str) -> Decimal | None:
    try:
        value = Decimal(facts.get(name, "").replace(",", "").rstrip("%"))
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
