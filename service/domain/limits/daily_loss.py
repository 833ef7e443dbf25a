"""What a Korean day has lost so far, and when that stops purchases.

Each quote currency counts in its own money. What counts is the profit and loss of what this service
bought: sales, open positions at their newest price, every fee. Deposits and withdrawals are in none
of these, so they are neither a loss nor a gain.
"""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from service.domain.orders import ZERO

_HUNDRED: Final = Decimal(100)
WARNS_AT_PCT: Final = Decimal(80)  #: of the limit
#: After an operator's resume the halt comes again when this part of the limit is lost on top.
FURTHER_RATIO: Final = Decimal("0.2")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayStart:
    """What one quote currency's day began with.

    Attributes:
        equity: of the account.
        pnl: of our positions until then: realised and open, less fees.
        deposited: money that came since, less what went.
    """

    quote: str
    day: date
    equity: Decimal
    pnl: Decimal
    deposited: Decimal = ZERO

    @property
    def base(self) -> Decimal:
        """Return the money that the limit is a share of.

        A deposit does not raise it, a withdrawal does not lower it. Where more came than was there,
        the account began today: then what came counts too.
        """
        if self.deposited > self.equity:
            return self.equity + self.deposited
        return self.equity


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLoss:
    """One quote currency's day against its limit.

    Attributes:
        pnl: of our positions now, as in `DayStart`.
        excused: the loss at which an operator resumed on this day; None before.
    """

    start: DayStart
    pnl: Decimal
    limit_pct: Decimal
    excused: Decimal | None = None

    def at(self, pnl: Decimal) -> "DailyLoss":
        return replace(self, pnl=pnl)

    @property
    def loss(self) -> Decimal:
        """Return what today lost, in money; 0 after a gain."""
        return max(self.start.pnl - self.pnl, ZERO)

    @property
    def limit(self) -> Decimal:
        """Return the loss that stops purchases, in money."""
        share = self.start.base * self.limit_pct / _HUNDRED
        if self.excused is None:
            return share
        return max(share, self.excused + share * FURTHER_RATIO)

    @property
    def is_reached(self) -> bool:
        return self.loss > 0 and self.loss >= self.limit

    @property
    def is_near(self) -> bool:
        """Whether the loss is 80 % of the limit or more."""
        return self.loss > 0 and self.loss * _HUNDRED >= self.limit * WARNS_AT_PCT

    @property
    def used_pct(self) -> Decimal | None:
        """Return the loss in percent of the day's base; None where the day began with nothing."""
        return self._pct(self.loss)

    @property
    def left_pct(self) -> Decimal | None:
        """Return what may still be lost, in percent of the day's base."""
        return self._pct(max(self.limit - self.loss, ZERO))

    def _pct(self, money: Decimal) -> Decimal | None:
        return money * _HUNDRED / self.start.base if self.start.base > 0 else None
