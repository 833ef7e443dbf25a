"""One signal for every traded market, each market on its own."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from loguru import logger

from service.domain.errors import BoundaryError, ServiceError, TooSoon
from service.domain.markets import Market
from service.domain.signals import Signal, Trigger


class TradeMarket(Protocol):
    async def __call__(self, market: Market, /, *, trigger: Trigger) -> Signal | None:
        """Make a signal and act on it. Raises: TooSoon, by hand within the cooldown."""


class AllMarkets:
    """One market's failure keeps no other from trading, and no market trades twice in a round."""

    def __init__(
        self,
        *,
        trade: TradeMarket,
        markets: Callable[[], Awaitable[Sequence[Market]]],
    ) -> None:
        self._trade = trade
        self._markets = markets
        self._left: Sequence[Market] | None = None
        self._trigger: Trigger = "schedule"

    def begin(self, trigger: Trigger) -> None:
        """Start a new round; every `step` until the next one belongs to it."""
        self._left, self._trigger = None, trigger

    async def step(self) -> None:
        """Trade every market; called again in the same round, only those an outage kept from it.

        Raises: once all markets had their turn, of the failures that may mend the one that asks for
            the longest wait, else the first.
        """
        if self._left is None:
            self._left = await self._markets()
        failed: list[tuple[Market, ServiceError]] = []
        for market in self._left:
            try:
                await self._trade(market, trigger=self._trigger)
            except TooSoon as exc:
                logger.bind(
                    event="signal",
                    market=str(market),
                    trigger=self._trigger,
                    wait_s=round(exc.retry_after_s, 3),
                ).info("the market is passed over, its cooldown has not passed")
            except ServiceError as exc:
                logger.bind(
                    event="signal", market=str(market), error=type(exc).__name__, cause=str(exc)
                ).warning("the market's turn failed")
                failed.append((market, exc))
        self._left = tuple(market for market, exc in failed if _may_mend(exc))
        if failed:
            raise max(
                (exc for _, exc in failed if _may_mend(exc)), key=_asked_s, default=failed[0][1]
            )


def _asked_s(error: ServiceError) -> float:
    return (error.retry_after_s or 0.0) if isinstance(error, BoundaryError) else 0.0


def _may_mend(error: ServiceError) -> bool:
    return isinstance(error, BoundaryError) and error.retryable
