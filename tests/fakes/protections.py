"""What protection keeps, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from service.domain.errors import BoundaryError
from service.domain.markets import Market
from service.ports.protection import StoredProtection


class FakeProtections:
    """Satisfies ports.Protections.

    Attributes:
        rows: the newest of each market.
        highs: the highest price of each market's stored minutes.
        dust: the markets whose dust was told, in order.
        fail: raised by every call while it is set.
    """

    def __init__(self) -> None:
        self.rows: dict[Market, StoredProtection] = {}
        self.highs: dict[Market, Decimal] = {}
        self.dust: list[Market] = []
        self.fail: BoundaryError | None = None

    async def all(self) -> Sequence[StoredProtection]:
        self._raise_failure()
        return tuple(self.rows[market] for market in sorted(self.rows))

    async def save(self, rows: Sequence[StoredProtection], *, at: datetime) -> None:
        del at
        self._raise_failure()
        for row in rows:
            known = self.rows.get(row.market)
            is_same = known is not None and known.opened_at == row.opened_at
            if row.is_dust and not (known is not None and is_same and known.is_dust):
                self.dust.append(row.market)
            highest = max(row.highest, known.highest) if known and is_same else row.highest
            self.rows[row.market] = replace(row, highest=highest)

    async def highest(
        self, market: Market, *, since: datetime, max_jump_pct: Decimal
    ) -> Decimal | None:
        del since, max_jump_pct
        self._raise_failure()
        return self.highs.get(market)

    def _raise_failure(self) -> None:
        if self.fail is not None:
            raise self.fail
