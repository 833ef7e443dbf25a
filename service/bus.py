"""In-process events: facts in the past tense, delivered to subscribers.

A step that *must* follow is not an event: await it.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from loguru import logger

from service.domain.markets import Market, Ticker
from service.domain.orders import Fill, OrderStatus, Side
from service.domain.signals import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerUpdated:
    ticker: Ticker


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalMade:
    signal: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMoved:
    """An order reached another status, and that is stored."""

    order_id: int
    identifier: str
    market: Market
    side: Side
    status: OrderStatus
    executed_volume: Decimal  #: coins of all its fills that are stored, heard of or not
    reason: str | None = None
    is_recovered: bool = False  #: it was found at the exchange, after it was given up or unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled:
    """Fills were booked; `volume` and `funds` are their sums."""

    order_id: int
    identifier: str
    market: Market
    side: Side
    volume: Decimal
    funds: Decimal
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillsFound:
    """Fills are stored whose booking was not told: its COMMIT gave no answer.

    What was bought by them is in the table's position, and may be there already for a listener that
    has read the table since.
    """

    market: Market
    side: Side


Event = TickerUpdated | SignalMade | OrderMoved | OrderFilled | FillsFound
E = TypeVar("E", TickerUpdated, SignalMade, OrderMoved, OrderFilled, FillsFound)
Subscriber = Callable[[E], Awaitable[None]]


class Bus:
    """Delivers each event to every subscriber of its type, in the order they subscribed."""

    def __init__(self) -> None:
        self._subscribers: dict[type, list[Callable[[Any], Awaitable[None]]]] = defaultdict(list)

    def subscribe(self, kind: type[E], subscriber: Subscriber[E]) -> None:
        self._subscribers[kind].append(subscriber)

    async def publish(self, event: Event) -> None:
        """Call all subscribers; a failure of one is logged and does not stop the others."""
        for subscriber in self._subscribers[type(event)]:
            try:
                await subscriber(event)
            except Exception:  # noqa: BLE001 - one subscriber must not stop the others
                logger.bind(event="app", heard=type(event).__name__).exception(
                    "a subscriber failed"
                )
