"""One signal for every traded market, each market on its own."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from service.domain.errors import BoundaryError
from service.domain.markets import Market
from service.domain.signals import Signal
from service.ports import Clock

#: A retry of the runner comes within seconds; what comes later is a round of its own.
_SAME_ROUND: Final = timedelta(minutes=1)


class Rounds:
    """One market's outage keeps no other from trading, and no market trades twice in a round."""

    def __init__(
        self,
        *,
        trade: Callable[[Market], Awaitable[Signal | None]],
        markets: Callable[[], Awaitable[Sequence[Market]]],
        clock: Clock,
    ) -> None:
        self._trade = trade
        self._markets = markets
        self._clock = clock
        self._left: Sequence[Market] = ()
        self._began_at: datetime | None = None

    async def step(self) -> None:
        """Trade every market; after a failure, called again, only those that failed.

        Raises: the first BoundaryError, once all markets had their turn.
        """
        failed: list[tuple[Market, BoundaryError]] = []
        for market in await self._due():
            try:
                await self._trade(market)
            except BoundaryError as exc:
                failed.append((market, exc))
        self._left = tuple(market for market, _ in failed)
        if failed:
            raise failed[0][1]

    async def _due(self) -> Sequence[Market]:
        now = self._clock.now()
        again = self._began_at is not None and now - self._began_at < _SAME_ROUND
        if self._left and again:
            return self._left
        self._began_at = now
        return await self._markets()
