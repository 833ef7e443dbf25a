"""Cancels our open orders: on request, by their age, where purchases stop. Until each is final."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from loguru import logger

from service.domain.errors import BoundaryError, DomainError, NotFound, ServiceError
from service.domain.orders import OPEN, Order, OrderStatus
from service.flows.leadership import Leadership
from service.flows.reconcile import Reconciler
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.order_requests import OrderRequests
from service.ports.store import Orders
from service.settings.settings import Settings
from service.settings.table import LIMIT_ORDER_MAX_AGE_MINUTES

CANCEL_EVERY_S: Final = 5.0  #: real seconds, until the exchange says that the order is final
#: Real seconds that a caller waits for its wishes to be stored: an exit sells what they free.
STORE_WITHIN_S: Final = 1.0
BY_AGE: Final = "system:order_age"


class OrderCancels:
    """The only place that asks the exchange to cancel. No other program's order is ever named."""

    def __init__(
        self,
        *,
        orders: Orders,
        requests: OrderRequests,
        exchange: Exchange,
        reconciler: Reconciler,
        leadership: Leadership,
        settings: Settings,
        clock: MarketClock,
    ) -> None:
        self._orders = orders
        self._requests = requests
        self._exchange = exchange
        self._reconciler = reconciler
        self._leadership = leadership
        self._settings = settings
        self._clock = clock

    async def request(self, order_id: int, *, by: str) -> None:
        """Store that the order shall end, and ask the exchange once; `step` asks again.

        An order that is cancelled already stays so.

        Raises: NotFound; DomainError, when it has ended in another way; NotLeader; StoreDown and
            kin. What the exchange answers to the first try is no error here.
        """
        self._leadership.check()
        # Stored first: whatever happens to the request, the order is followed until it is final.
        status = await self._requests.request_cancel(order_id, by=by, at=self._clock.now())
        if status is None:
            raise NotFound(f"there is no order {order_id}")
        if status is OrderStatus.CANCELLED:
            return
        if status not in OPEN:
            raise DomainError(f"order {order_id} is {status} already")
        for order in await self._orders.open():
            if order.id == order_id:
                await self._cancel(order)

    async def take_off(self, identifiers: Sequence[str], *, by: str) -> None:
        """Ask for the end of orders of ours that the exchange's own list shows as open.

        It needs neither the database nor the lease. Where the database answers, the wish is stored
        too, and `step` follows the order. The caller looks at the list again until they are off it.
        """
        # Asked first, all of them: a database that hangs must not hold one of them up.
        for identifier in identifiers:
            await self._ask(identifier)
        try:
            async with asyncio.timeout(STORE_WITHIN_S):
                await self._store_wishes(identifiers, by=by)
        except (BoundaryError, TimeoutError) as exc:
            logger.bind(event="order", error=type(exc).__name__, cause=str(exc)).warning(
                "a cancel is asked for and cannot be stored right now"
            )

    async def _store_wishes(self, identifiers: Sequence[str], *, by: str) -> None:
        for identifier in identifiers:
            order = await self._orders.find(identifier)
            if order is not None and order.is_open:
                await self._requests.request_cancel(order.id, by=by, at=self._clock.now())

    async def step(self) -> None:
        """Ask for the end of every order that shall end. Raises: StoreDown and kin."""
        if not self._leadership.may_trade:
            return
        open_orders = await self._orders.open()
        if not open_orders:
            return
        requested = await self._requests.to_cancel()
        minutes = await self._settings.get(LIMIT_ORDER_MAX_AGE_MINUTES)
        age = timedelta(minutes=minutes)
        for order in open_orders:
            if order.id in requested:
                await self._cancel(order)
            elif self._is_too_old(order, age):
                await self._requests.request_cancel(order.id, by=BY_AGE, at=self._clock.now())
                await self._cancel(order)

    def _is_too_old(self, order: Order, age: timedelta) -> bool:
        return order.intent.type.rests and self._clock.now() - order.created_at >= age

    async def _cancel(self, order: Order) -> None:
        """Ask once, then look. One order's trouble leaves the others' turn."""
        await self._ask(order.identifier, order_id=order.id)
        try:
            await self._reconciler.settle(order)
        except ServiceError as exc:
            logger.bind(
                event="order",
                order_id=order.id,
                identifier=order.identifier,
                error=type(exc).__name__,
                cause=str(exc),
            ).warning("the order cannot be looked up right now")

    async def _ask(self, identifier: str, *, order_id: int | None = None) -> None:
        line = logger.bind(event="order", order_id=order_id, identifier=identifier)
        try:
            await self._exchange.cancel(identifier)
            line.info("cancel accepted, the order is followed until it is final")
        except ServiceError as exc:
            # A refusal proves nothing: it may have ended, or not have reached the book yet.
            line.bind(error=type(exc).__name__, cause=str(exc)).warning(
                "the order is not cancelled yet, it is looked up and asked for again"
            )
