"""The starts of days in memory."""

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from service.domain.errors import BoundaryError
from service.ports.loss_days import LossDay, LossDays


class FakeLossDays:
    """Satisfies ports.LossDayRows.

    Attributes:
        rows: by quote currency and day; set them freely.
        traded: the quote currencies that were traded on a day.
        warned: (quote, day) of each alert, oldest first.
        fail: raised by every call while it is set.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, date], LossDay] = {}
        self.traded: set[tuple[str, date]] = set()
        self.warned: list[tuple[str, date]] = []
        self.fail: BoundaryError | None = None

    def begin(self, day: LossDay) -> None:
        self.rows[day.start.quote, day.start.day] = day

    async def of(self, day: date, *, quotes: Collection[str]) -> LossDays:
        self._raise_failure()
        return LossDays(
            days=[row for (quote, of), row in self.rows.items() if of == day and quote in quotes],
            traded=frozenset(quote for quote, of in self.traded if of == day),
        )

    async def warn(self, quote: str, day: date, *, at: datetime) -> bool:
        self._raise_failure()
        row = self.rows[quote, day]
        if row.is_warned:
            return False
        self.rows[quote, day] = replace(row, is_warned=True)
        self.warned.append((quote, day))
        return True

    async def excuse(self, quote: str, day: date, *, loss: Decimal, at: datetime) -> None:
        self._raise_failure()
        self.rows[quote, day] = self.rows[quote, day].excused_by(loss, at=at)

    def _raise_failure(self) -> None:
        if self.fail is not None:
            raise self.fail
