"""Reservations of the model's budget on a real PostgreSQL: at once, and across a crash."""

import asyncio
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from service.domain.model_budget import DaySpending, Reservation
from service.ports.model_spending import ModelSpending
from service.store.database.pool import Pool
from service.store.tables.model_spending import PgModelSpending
from service.store.tables.signals import PgSignals
from tests.fakes.model_spending import FakeModelSpending
from tests.fakes.signals import FakeSignals
from tests.fakes.tables import Tables
from tests.integration.store.seeds import a_call, rows

TODAY = date(2026, 1, 24)
ONE = Reservation(day=TODAY, usd=Decimal("0.4"))
BUDGET = Decimal(1)


@pytest.mark.proves("FR-006")
async def test_of_many_reservations_at_once_no_more_stand_than_the_budget_covers(
    pool: Pool,
) -> None:
    spending = PgModelSpending(pool)

    stood = await asyncio.gather(*(spending.reserve(ONE, budget_usd=BUDGET) for _ in range(12)))

    assert sum(one is not None for one in stood) == 2
    assert await spending.of(TODAY) == DaySpending(used_usd=Decimal(0), reserved_usd=Decimal("0.8"))


async def test_a_reservation_waits_for_the_one_before_and_judges_what_it_left(
    pool: Pool,
) -> None:
    """The second caller began before the first had committed, and still counts it."""
    spending = PgModelSpending(pool)
    await spending.reserve(ONE, budget_usd=BUDGET)
    async with pool.transaction() as first:
        await first.execute(
            "UPDATE ai_spending SET reserved_usd = reserved_usd + 0.4 WHERE day = %(day)s",
            {"day": TODAY},
        )
        second = asyncio.create_task(spending.reserve(ONE, budget_usd=BUDGET))
        while not await rows(pool, "SELECT FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert await second is None


@pytest.mark.proves("FR-006")
async def test_a_process_that_dies_before_the_calls_row_has_spent_the_worst_case(
    pool: Pool,
) -> None:
    """Reserved and never booked: the next process counts it until the day is over."""
    await PgModelSpending(pool).reserve(ONE, budget_usd=Decimal("0.5"))

    of_next_process = PgModelSpending(pool)

    assert await of_next_process.reserve(ONE, budget_usd=Decimal("0.5")) is None
    tomorrow = Reservation(day=date(2026, 1, 25), usd=ONE.usd)
    assert await of_next_process.reserve(tomorrow, budget_usd=Decimal("0.5")) is not None


async def test_a_calls_row_that_is_not_written_books_nothing(pool: Pool) -> None:
    spending = PgModelSpending(pool)
    await spending.reserve(ONE, budget_usd=BUDGET)

    with pytest.raises(Exception, match="outcome"):
        await PgSignals(pool).add_call(
            a_call(outcome="no such word", reservation=ONE, booked_usd=Decimal("0.1"))
        )

    assert await spending.of(TODAY) == DaySpending(used_usd=Decimal(0), reserved_usd=ONE.usd)


def stores(pool: Pool) -> Sequence[tuple[ModelSpending, PgSignals | FakeSignals]]:
    tables = Tables()
    return (
        (PgModelSpending(pool), PgSignals(pool)),
        (FakeModelSpending(tables), FakeSignals(tables=tables)),
    )


async def test_the_twin_counts_as_the_table_does(pool: Pool) -> None:
    async def history(
        spending: ModelSpending, signals: PgSignals | FakeSignals
    ) -> list[DaySpending | None]:
        seen = [await spending.reserve(ONE, budget_usd=BUDGET)]
        seen.append(await spending.reserve(ONE, budget_usd=BUDGET))
        seen.append(await spending.reserve(ONE, budget_usd=BUDGET))
        await signals.add_call(a_call(reservation=ONE, booked_usd=Decimal("0.1")))
        seen.append(await spending.of(TODAY))
        await spending.give_back(ONE)
        await spending.give_back(ONE)  # never below nothing
        seen.append(await spending.of(TODAY))
        seen.append(await spending.reserve(ONE, budget_usd=None))
        await signals.add_call(a_call())  # without a reservation nothing is booked
        seen.append(await spending.of(TODAY))
        seen.append(await spending.reserve(ONE, budget_usd=Decimal("0.4")))
        seen.append(await spending.of(date(2026, 1, 1)))
        return seen

    table, twin = [await history(*store) for store in stores(pool)]

    assert table == twin
    assert table[1:3] == [DaySpending(used_usd=Decimal(0), reserved_usd=Decimal("0.8")), None]


async def test_a_day_without_a_row_takes_no_call_dearer_than_its_budget(pool: Pool) -> None:
    assert await PgModelSpending(pool).reserve(ONE, budget_usd=Decimal("0.39")) is None
    assert await rows(pool, "SELECT * FROM ai_spending") == []
