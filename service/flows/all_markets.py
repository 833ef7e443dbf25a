"""Makes a signal for every traded market, each independently of the others."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from loguru import logger

from service.domain.errors import BoundaryError, ModelBudgetUsedUp, ServiceError, TooSoon
from service.domain.markets import Market
from service.domain.signals import Signal, Trigger


class TradeMarket(Protocol):
    async def __call__(self, market: Market, /, *, trigger: Trigger) -> Signal | None:
        """Make a signal and act on it. Raises: TooSoon, by hand within the cooldown."""


class AllMarkets:
    """Trades all markets: one's failure does not stop the others, none trades twice in a pass."""

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
        """Start a new pass; every later `step` is an attempt of it."""
        self._left, self._trigger = None, trigger

    async def step(self) -> None:
        """Trade every market; a retry in the same pass trades only those that an outage stopped.

        Raises: after all markets, one of their errors: of the retryable ones the one with the
            longest Retry-After, else the first. A bug of ours in one market is logged at once.
        """
        if self._left is None:
            self._left = await self._markets()
        failed: list[tuple[Market, Exception]] = []
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
            except ModelBudgetUsedUp:
                # Told once a day by the budget: the operator's own limit is no failure of a pass.
                logger.bind(event="signal", market=str(market), trigger=self._trigger).info(
                    "the market is passed over, the model's budget of the day is used up"
                )
            except ServiceError as exc:
                logger.bind(
                    event="signal", market=str(market), error=type(exc).__name__, cause=str(exc)
                ).warning("the market's turn failed")
                failed.append((market, exc))
            except Exception as exc:  # noqa: BLE001 - an odd number stops its own market only
                logger.bind(event="signal", market=str(market)).exception(
                    "the market's turn met a bug, the other markets go on"
                )
                failed.append((market, exc))
        self._left = tuple(market for market, exc in failed if _is_retryable(exc))
        if failed:
            raise max(
                (exc for _, exc in failed if _is_retryable(exc)), key=_asked_s, default=failed[0][1]
            )


def _asked_s(error: Exception) -> float:
    return (error.retry_after_s or 0.0) if isinstance(error, BoundaryError) else 0.0


def _is_retryable(error: Exception) -> bool:
    return isinstance(error, BoundaryError) and error.retryable
