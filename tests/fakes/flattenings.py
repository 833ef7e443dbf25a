"""The last flattening in memory."""

from collections.abc import Sequence
from datetime import datetime

from service.domain.errors import BoundaryError
from service.domain.flattening import FlattenedMarket
from service.domain.markets import Market


class FakeFlattenings:
    """Satisfies ports.Flattenings.

    Attributes:
        rows: how far each market is.
        fail: raised by every call while it is set.
    """

    def __init__(self) -> None:
        self.rows: dict[Market, FlattenedMarket] = {}
        self.fail: BoundaryError | None = None

    async def begin(self, markets: Sequence[Market], *, by: str, at: datetime) -> None:
        del at
        self._raise_failure()
        if all(one.is_finished for one in self.rows.values()):
            self.rows.clear()
        for market in markets:
            known = self.rows.get(market)
            if known is None or known.is_finished:
                self.rows[market] = FlattenedMarket(market=market, requested_by=by)

    async def last(self) -> Sequence[FlattenedMarket]:
        self._raise_failure()
        return tuple(self.rows[market] for market in sorted(self.rows))

    async def save(self, one: FlattenedMarket, *, at: datetime) -> None:
        del at
        self._raise_failure()
        known = self.rows.get(one.market)
        if known is not None and not known.is_finished:
            self.rows[one.market] = one

    def _raise_failure(self) -> None:
        if self.fail is not None:
            raise self.fail
