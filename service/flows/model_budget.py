"""The model's daily budget: no call is made that could exceed it. ADR 0037 says how."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from loguru import logger

from service.domain.days import korean_day, korean_midnight
from service.domain.errors import BoundaryError, ModelBudgetUsedUp, ModelRefused, ModelUnpriced
from service.domain.model_budget import DaySpending, Reservation
from service.domain.pricing import cost_usd
from service.domain.signals import Usage
from service.ports.clock import MarketClock
from service.ports.model_spending import ModelSpending
from service.settings.settings import Settings
from service.settings.table import AI_DAILY_BUDGET_USD, PRICE_TABLE

#: Errors after which nothing is billed: never connected, or answered with a status of failure.
_FREE: Final = frozenset(
    {"unreachable", "rate_limited", "unavailable", "internal", "deadline_exceeded", "cancelled"}
)


class ModelBudget:
    """Reserves the worst case of each call in the Korean day of the market's clock.

    Args:
        near: called, once a day, when four fifths of the budget are used.
        used_up: called, once a day, when the budget covers no call.
    """

    def __init__(
        self,
        *,
        rows: ModelSpending,
        settings: Settings,
        clock: MarketClock,
        near: Callable[[date], None],
        used_up: Callable[[date], None],
    ) -> None:
        self._rows = rows
        self._settings = settings
        self._clock = clock
        self._tell_near = near
        self._tell_used_up = used_up
        self._used_up: date | None = None
        self._near: tuple[date, Decimal] | None = None

    async def reserve(self, model: str, most: Usage) -> Reservation | None:
        """Store the worst case of a call that uses `most` tokens.

        None, where no budget is set and no price known: there is nothing to count by.

        Raises: ModelBudgetUsedUp; ModelUnpriced, without a price while a budget is set.
        """
        day = korean_day(self._clock.now())
        budget_usd = await self._settings.get(AI_DAILY_BUDGET_USD)
        prices = await self._settings.get(PRICE_TABLE)
        usd = cost_usd(most, model=model, day=day, prices=prices)
        if usd is None:
            if budget_usd is None:
                return None
            raise ModelUnpriced(
                f"no price of {model} is known, so its calls cannot be held to the budget: give it"
                " a row in price_table, or set ai_daily_budget_usd to null",
                code="price_unknown",
                sent=False,
            )
        reservation = Reservation(day=day, usd=usd)
        spending = await self._rows.reserve(reservation, budget_usd=budget_usd)
        if spending is None:
            raise self._refusal(day)
        self._used_up = None
        self._warn_if_near(day, spending, budget_usd)
        return reservation

    async def give_back(self, reservation: Reservation | None) -> None:
        """End the reservation of a call that was not made."""
        if reservation is not None:
            await self._rows.give_back(reservation)

    def tell_used_up(self) -> None:
        """Warn, once a day, that no model can be asked within the budget."""
        day = korean_day(self._clock.now())
        if self._used_up == day:
            return
        self._used_up = day
        logger.bind(event="ai", day=day.isoformat()).warning(
            "the model's budget of the day is used up: no signal is made until the day is over"
        )
        self._tell_used_up(day)

    def is_used_up(self) -> bool:
        """Whether today's last call was refused by the budget."""
        return self._used_up == korean_day(self._clock.now())

    def _refusal(self, day: date) -> ModelBudgetUsedUp:
        ends = korean_midnight(day + timedelta(days=1))
        return ModelBudgetUsedUp(
            "the model's budget of the day does not cover another call; it ends with the Korean"
            f" day, at {ends.isoformat()}, or when ai_daily_budget_usd is raised",
            code="budget_used_up",
            retry_after_s=(ends - self._clock.now()).total_seconds(),
            sent=False,
        )

    def _warn_if_near(self, day: date, spending: DaySpending, budget_usd: Decimal | None) -> None:
        if budget_usd is None or not spending.is_near(budget_usd):
            return
        if self._near == (day, budget_usd):
            return
        self._near = (day, budget_usd)
        logger.bind(event="ai", day=day.isoformat()).warning(
            "four fifths of the model's budget of the day are used"
        )
        self._tell_near(day)


def booked_after(error: BoundaryError, reservation: Reservation) -> Decimal:
    """Return what a failed call is booked with: the worst case, where it may have been billed.

    Google bills no request that ends with a status of failure. A call that was given up, or whose
    answer was lost or unreadable, may have been answered and billed.
    """
    code = error.code or ""
    is_free = isinstance(error, ModelRefused) or code in _FREE or code.startswith("http_")
    return Decimal(0) if is_free else reservation.usd
