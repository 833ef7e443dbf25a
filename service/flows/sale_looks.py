"""Looks up how sales of ours ended that nothing else follows: the database may be away."""

from typing import Final

from loguru import logger

from service.domain.errors import ServiceError
from service.domain.markets import Market
from service.domain.order_checks import Oddity, contradiction, reading
from service.domain.orders import OPEN, ExchangeOrder, Intent, Order, OrderStatus
from service.flows.looks import NOTHING_LEFT, Looks
from service.flows.open_sales import OpenSales
from service.ports.clock import RealClock
from service.ports.exchange import Exchange

#: What keeps a row open although the coins that were sold are certain.
_CERTAIN: Final = frozenset({None, Oddity.FEE_TRAILS})


class SaleLooks:
    """Tells `OpenSales` what a sale left. Its row, its fills and its position stay as they are.

    While the database answers the reconciler settles the row as well, from the same answer. An
    order that the exchange does not know keeps its coins: its request may still arrive.
    """

    def __init__(self, *, exchange: Exchange, open_sales: OpenSales, real_clock: RealClock) -> None:
        self._exchange = exchange
        self._open_sales = open_sales
        self._real_clock = real_clock
        self._looks = Looks()

    async def look(self, market: Market) -> bool:
        """Look up the sales of `market`; return whether one has ended."""
        has_ended = False
        for identifier, intent in self._open_sales.unfollowed(market):
            try:
                seen = await self._exchange.find(identifier)
            except ServiceError as exc:
                logger.bind(
                    event="order", identifier=identifier, error=type(exc).__name__, cause=str(exc)
                ).warning("a sale cannot be looked up right now, its coins are not sold again")
                break
            if seen is None:
                continue
            now = self._real_clock.monotonic()
            if is_final(self._looks, identifier, intent, seen, at=now):
                self._looks.forget(identifier)
                self._open_sales.ended_at(identifier, executed=seen.executed_volume)
                has_ended = True
        return has_ended


def is_final(
    looks: Looks, identifier: str, intent: Intent, seen: ExchangeOrder, *, at: float
) -> bool:
    """Whether the answer can be true and adds up, so that nothing more is sold by it.

    Args:
        looks: counts the answers that are believed only when they repeat.
        at: `RealClock.monotonic()`.
    """
    order = Order(
        id=0,
        identifier=identifier,
        intent=intent,
        status=OrderStatus.SUBMITTED,
        decision_id=None,
        created_at=seen.created_at,
    )
    if contradiction(order, seen, ()) is not None:
        return False
    what = reading(order, seen, ())
    if what.status in OPEN:
        return False
    if what.oddity is not Oddity.NOTHING_LEFT:
        return what.oddity in _CERTAIN
    looks.count(identifier, what.oddity, at=at)
    return looks.reached(identifier, NOTHING_LEFT, at=at)
