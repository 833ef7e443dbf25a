"""What each Korean day began with, and what its loss has led to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from service.domain.limits.daily_loss import DayStart


@dataclass(frozen=True, slots=True, kw_only=True)
class LossDay:
    """One quote currency's day as stored.

    Attributes:
        excused_at: when an operator resumed; None before.
        excused: the loss at that time.
    """

    start: DayStart
    is_warned: bool = False
    excused_at: datetime | None = None
    excused: Decimal | None = None

    def excused_by(self, loss: Decimal, *, at: datetime) -> "LossDay":
        return replace(self, excused=loss, excused_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossDays:
    """Attributes: traded: the quote currencies with a fill on this day."""

    days: Sequence[LossDay]
    traded: frozenset[str]


class LossDayRows(Protocol):
    """Raises StoreBusy, StoreDown or StoreTimeout."""

    async def of(self, day: date, *, quotes: Collection[str]) -> LossDays:
        """Return the day of each of `quotes` whose start is known, and fix it from now on.

        The start is the newest stored equity before midnight. Where that is older than an hour, it
        is that or the day's first, whichever has the larger profit: what was lost meanwhile counts.
        One that is older than a day does not count.
        """

    async def warn(self, quote: str, day: date, *, at: datetime) -> bool:
        """Note, with its alert, that the loss is near its limit; False when it was noted before."""

    async def excuse(self, quote: str, day: date, *, loss: Decimal, at: datetime) -> None:
        """Store the loss at which an operator resumed at `at`."""
