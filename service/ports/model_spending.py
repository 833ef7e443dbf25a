"""The stored spending on model calls, in our own terms."""

from datetime import date
from decimal import Decimal
from typing import Protocol

from service.domain.model_budget import DaySpending, Reservation


class ModelSpending(Protocol):
    """One row a Korean day. `Signals.add_call` books a reservation with the row of its call."""

    async def reserve(
        self, reservation: Reservation, *, budget_usd: Decimal | None
    ) -> DaySpending | None:
        """Store `reservation` and return the day's spending with it.

        None, and nothing stored, when used and reserved would exceed the budget. Of callers at
        once each sees the reservations of the others, in every process.

        Args: budget_usd: None for no limit.
        """

    async def give_back(self, reservation: Reservation) -> None:
        """End the reservation of a call that was not made."""

    async def of(self, day: date) -> DaySpending: ...
