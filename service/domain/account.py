"""What the account should hold: what it held once, and what has moved it since."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

#: The exchange tells amounts with fewer decimals than a fee has; a smaller difference is none.
ROUNDING: Final = Decimal("0.0000001")


class Absence(StrEnum):
    """Whether lists and balances explain that the exchange does not know an order of ours."""

    EXPLAINED = "EXPLAINED"  #: it is in no list, and nothing has moved that could be its fills
    CONTRADICTED = "CONTRADICTED"  #: it is in a list, or the account moved as if it was executed
    UNCLEAR = "UNCLEAR"  #: something else may have moved the account


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyBook:
    """One currency: its baseline, and what has moved it since.

    Attributes:
        amount: what the account held at the baseline.
        at: the instant of the baseline.
        moved: by our fills since then.
        moved_by_others: by orders of other programs since then.
        booked, external: both sums since ever; they identify this state of the books.
    """

    currency: str
    amount: Decimal
    at: datetime
    moved: Decimal
    moved_by_others: Decimal
    booked: Decimal
    external: Decimal

    @property
    def expected(self) -> Decimal:
        return self.amount + self.moved + self.moved_by_others

    def difference(self, actual: Decimal) -> Decimal:
        """Return what of `actual` nothing explains; 0 within the exchange's rounding."""
        difference = actual - self.expected
        return Decimal(0) if abs(difference) <= ROUNDING else difference

    def is_settled_at(self, actual: Decimal) -> bool:
        """Whether a new baseline with `actual` would say nothing new."""
        return actual == self.amount and not self.moved and not self.moved_by_others


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeposit:
    """Money or coins that came, or went (negative), without a trade; told by an operator."""

    currency: str
    amount: Decimal
    at: datetime
    note: str
    actor: str
