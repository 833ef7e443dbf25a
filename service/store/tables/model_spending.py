"""What model calls cost in each Korean day, with the worst case of calls under way."""

from datetime import date
from decimal import Decimal
from typing import Final

from service.domain.model_budget import DaySpending, Reservation
from service.store.database.pool import Pool

# The row's lock orders callers of every process: ON CONFLICT waits for it and judges the newest
# version of the row. Two calls at once therefore never pass the budget together.
RESERVE: Final = """
    INSERT INTO ai_spending (day, used_usd, reserved_usd)
    SELECT %(day)s, 0, %(usd)s
     WHERE %(budget_usd)s::numeric IS NULL
        OR %(usd)s <= %(budget_usd)s::numeric
        ON CONFLICT (day) DO UPDATE
       SET reserved_usd = ai_spending.reserved_usd + excluded.reserved_usd
     WHERE %(budget_usd)s::numeric IS NULL
        OR ai_spending.used_usd + ai_spending.reserved_usd + excluded.reserved_usd
           <= %(budget_usd)s::numeric
    RETURNING used_usd, reserved_usd
"""

GIVE_BACK: Final = """
    UPDATE ai_spending
       SET reserved_usd = greatest(reserved_usd - %(usd)s, 0)
     WHERE day = %(day)s
"""

OF_DAY: Final = """
    SELECT used_usd, reserved_usd
      FROM ai_spending
     WHERE day = %(day)s
"""


class PgModelSpending:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def reserve(
        self, reservation: Reservation, *, budget_usd: Decimal | None
    ) -> DaySpending | None:
        args = {"day": reservation.day, "usd": reservation.usd, "budget_usd": budget_usd}
        async with self._pool.cursor() as cur:
            await cur.execute(RESERVE, args)
            row = await cur.fetchone()
        return None if row is None else DaySpending(used_usd=row[0], reserved_usd=row[1])

    async def give_back(self, reservation: Reservation) -> None:
        async with self._pool.cursor() as cur:
            await cur.execute(GIVE_BACK, {"day": reservation.day, "usd": reservation.usd})

    async def of(self, day: date) -> DaySpending:
        async with self._pool.cursor() as cur:
            await cur.execute(OF_DAY, {"day": day})
            row = await cur.fetchone()
        used, reserved = row or (Decimal(0), Decimal(0))
        return DaySpending(used_usd=used, reserved_usd=reserved)
