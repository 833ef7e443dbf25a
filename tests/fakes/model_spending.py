"""The spending on model calls in memory."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from service.domain.model_budget import DaySpending, Reservation
from tests.fakes.tables import Tables

NOTHING = DaySpending(used_usd=Decimal(0), reserved_usd=Decimal(0))


class FakeModelSpending:
    """Satisfies ports.ModelSpending. `FakeSignals.add_call` books on the same tables.

    Attributes: fail: raised by the next call instead of doing anything.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.fail: BaseException | None = None

    async def reserve(
        self, reservation: Reservation, *, budget_usd: Decimal | None
    ) -> DaySpending | None:
        if self.fail is not None:
            failure, self.fail = self.fail, None
            raise failure
        before = await self.of(reservation.day)
        after = replace(before, reserved_usd=before.reserved_usd + reservation.usd)
        if budget_usd is not None and after.used_usd + after.reserved_usd > budget_usd:
            return None
        self.tables.spent[reservation.day] = after
        return after

    async def give_back(self, reservation: Reservation) -> None:
        book(self.tables, reservation, Decimal(0))

    async def of(self, day: date) -> DaySpending:
        return self.tables.spent.get(day, NOTHING)


def book(tables: Tables, reservation: Reservation | None, usd: Decimal) -> None:
    """End a reservation as the row of its call does."""
    if reservation is None or reservation.day not in tables.spent:
        return
    before = tables.spent[reservation.day]
    tables.spent[reservation.day] = DaySpending(
        used_usd=before.used_usd + usd,
        reserved_usd=max(before.reserved_usd - reservation.usd, Decimal(0)),
    )
