"""An order while the rules size it, and what a rule says of it.

A rule may refuse the order or make it smaller, never larger.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Final

from service.domain.markets import VOLUME_STEP, whole_steps
from service.domain.orders import Side
from service.domain.risk.facts import Limits, Situation
from service.domain.signals import Proposal

HUNDRED: Final = Decimal(100)
_MONEY_STEPS: Final = {"KRW": Decimal(1)}  #: of other money, the exchange's own precision


@dataclass(frozen=True, slots=True)
class Draft:
    """Attributes:
    amount: money for a buy, coins for a sell.
    price: of a limit order; None: the market's.
    """

    side: Side
    amount: Decimal
    price: Decimal | None = None

    @property
    def is_buy(self) -> bool:
        return self.side is Side.BUY

    def cut_to(self, most: Decimal) -> "Draft":
        return replace(self, amount=min(self.amount, most))

    @property
    def coins(self) -> Decimal | None:
        """Return the volume of a purchase with a price, in whole steps."""
        return None if self.price is None else whole_steps(self.amount / self.price)

    def funds_at(self, market_price: Decimal) -> Decimal:
        """Return what the exchange counts the order as worth, in money."""
        if not self.is_buy:
            return self.amount * (self.price or market_price)
        if self.price is None:
            return self.amount
        return whole_steps(self.amount / self.price) * self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a rule makes of a draft. The rule's name stands in the table of the rules.

    Attributes: limit, actual, until: as in `Check`.
    """

    draft: Draft
    passed: bool
    detail: str
    limit: str | None = None
    actual: str | None = None
    until: datetime | None = None


Rule = Callable[[Draft, Proposal, Situation, Limits], Judged]
#: A rule that asks nothing of the proposal.
CommonRule = Callable[[Draft, object, Situation, Limits], Judged]


def passes(
    draft: Draft,
    detail: str,
    *,
    limit: str | None = None,
    actual: str | None = None,
    until: datetime | None = None,
) -> Judged:
    return Judged(draft=draft, passed=True, detail=detail, limit=limit, actual=actual, until=until)


def refuses(
    draft: Draft,
    detail: str,
    *,
    limit: str | None = None,
    actual: str | None = None,
    until: datetime | None = None,
) -> Judged:
    return Judged(draft=draft, passed=False, detail=detail, limit=limit, actual=actual, until=until)


def whole_money(amount: Decimal, currency: str) -> Decimal:
    """Return `amount` rounded down to whole units of KRW, or to eight decimals of other money."""
    return amount.quantize(_MONEY_STEPS.get(currency, VOLUME_STEP), ROUND_DOWN)
