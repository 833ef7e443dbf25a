"""Snapshots of the account in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from service.domain.portfolio import Equity


class FakeEquities:
    """Satisfies ports.Equities.

    Attributes:
        rows: (minute, account in one quote), in the order they were written.
        fail: raised by the next call instead of doing anything.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[datetime, Equity]] = []
        self.fail: BaseException | None = None

    async def add(self, equities: Sequence[Equity], *, at: datetime) -> None:
        if self.fail is not None:
            raise self.fail
        self.rows.extend((at, equity) for equity in equities)

    async def lowest_since(self, at: datetime) -> Mapping[str, Decimal]:
        if self.fail is not None:
            raise self.fail
        lowest: dict[str, Decimal] = {}
        for minute, equity in self.rows:
            worth = equity.cash + equity.coins
            if minute >= at:
                lowest[equity.quote] = min(lowest.get(equity.quote, worth), worth)
        return lowest
