"""What model calls may cost in a Korean day: the worst case is reserved before each call."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from service.domain.signals import Usage

NEAR_RATIO: Final = Decimal("0.8")  #: of the budget; from here on an operator is warned


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The worst case of one call, stored before the call is made."""

    day: date  #: Korean
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpending:
    """What the model calls of one Korean day have cost.

    Attributes:
        used_usd: of calls that ended.
        reserved_usd: of calls under way, and of calls whose end was never stored, e.g. after a
            crash. They may have been billed, so they stay until the day is over.
    """

    used_usd: Decimal
    reserved_usd: Decimal

    def is_near(self, budget_usd: Decimal) -> bool:
        """Whether NEAR_RATIO of the budget is used."""
        return self.used_usd + self.reserved_usd >= NEAR_RATIO * budget_usd


def booked_usd(reservation: Reservation, *, cost_usd: Decimal | None, usage: Usage) -> Decimal:
    """Return what an answered call is booked with: its cost, or the worst case where unknown."""
    if cost_usd is None or usage.output_tokens is None:
        return reservation.usd
    return cost_usd
