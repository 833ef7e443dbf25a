"""The flattening that was asked for last. It outlives the process that accepted it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from service.domain.flattening import FlattenedMarket
from service.domain.markets import Market


class Flattenings(Protocol):
    """Raises StoreBusy, StoreDown or StoreTimeout."""

    async def begin(self, markets: Sequence[Market], *, by: str, at: datetime) -> None:
        """Have each market flattened. One that is under way stays as it is.

        What ended earlier is dropped, unless something is under way.
        """

    async def last(self) -> Sequence[FlattenedMarket]:
        """Return how far each market is, by market."""

    async def save(self, one: FlattenedMarket, *, at: datetime) -> None:
        """Store how far the market is, unless it has ended already."""
