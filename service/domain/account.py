"""What the account should hold: what it held once, and what has moved it since."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from service.domain.orders import Intent, OrderType, Side

#: The exchange tells amounts with fewer decimals than a fee has; a smaller difference is none.
ROUNDING: Final = Decimal("0.0000001")


class Absence(StrEnum):
    """Whether lists and balances explain that the exchange does not know an order of ours."""

    EXPLAINED = "EXPLAINED"  #: it is in no list, and nothing has moved that could be its fills
    #: It is in no list, and one of both currencies has not moved: an execution would have moved it.
    ONE_SIDED = "ONE_SIDED"
    CONTRADICTED = "CONTRADICTED"  #: it is in a list, or the account moved as if it was executed
    UNCLEAR = "UNCLEAR"  #: something else may have moved the account


def absence_of(intent: Intent, *, money: Decimal, coins: Decimal) -> Absence:
    """Say what the balances tell of an order that is in no list.

    An order that was executed has moved both currencies. Where one has not moved, something else
    moved the other: a deposit, say. The first fill of a limit order may be smaller than the
    exchange's rounding, so its coins must agree to the last decimal.

    Args: money, coins: what nothing explains of quote currency and base asset.
    """
    money_moved, coins_moved = abs(money) > ROUNDING, abs(coins) > ROUNDING
    if not money_moved and not coins_moved:
        return Absence.EXPLAINED
    if money_moved and coins_moved:
        is_bought, is_sold = money < 0 < coins, coins < 0 < money
        as_ordered = is_bought if intent.side is Side.BUY else is_sold
        return Absence.CONTRADICTED if as_ordered else Absence.UNCLEAR
    is_sure = intent.type is OrderType.MARKET or not coins
    return Absence.ONE_SIDED if is_sure else Absence.UNCLEAR


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
    """Money or coins that came, or went (negative), without a trade; told by an operator.

    Attributes:
        is_another: it is not the one of this amount that the account has shown already.
        corrects: the id of the deposit that this one takes back, whole or in part. Then it counts
            at that deposit's instant, and the account has nothing more to show.
    """

    currency: str
    amount: Decimal
    at: datetime
    note: str
    actor: str
    is_another: bool = False
    corrects: int | None = None
