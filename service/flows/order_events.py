"""Tells of an order's new state: one log line, and the events of the bus."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loguru import logger

from service.bus import Bus, OrderFilled, OrderMoved
from service.domain.orders import ZERO, Fill, Order, OrderOrigin, OrderStatus

if TYPE_CHECKING:
    from loguru import Logger


def line(order: Order) -> "Logger":
    """Return the logger for a line about `order`. It holds no amount."""
    return logger.bind(
        event="order",
        market=str(order.market),
        order_id=order.id,
        identifier=order.identifier,
        side=order.intent.side.value,
        type=order.intent.type.value,
    )


async def tell(bus: Bus, before: Order, after: Order, fills: Sequence[Fill] = ()) -> None:
    """Log the stored change and publish it."""
    intent = after.intent
    line(after).bind(
        status=after.status.value,
        reason=after.quarantine.reason if after.quarantine else after.reason,
        fills=len(fills),
    ).log(_level(before, after), "order")
    if fills:
        await bus.publish(
            OrderFilled(
                order_id=after.id,
                identifier=after.identifier,
                market=intent.market,
                side=intent.side,
                volume=sum((fill.volume for fill in fills), ZERO),
                funds=sum((fill.funds for fill in fills), ZERO),
                fills=tuple(fills),
            )
        )
    if after.status is not before.status:
        await bus.publish(_moved(after))


async def tell_open(bus: Bus, order: Order) -> None:
    """Publish the stored state of an order again, for whatever looks after open orders."""
    await bus.publish(_moved(order))


def _moved(order: Order) -> OrderMoved:
    return OrderMoved(
        order_id=order.id,
        identifier=order.identifier,
        market=order.intent.market,
        side=order.intent.side,
        status=order.status,
        executed_volume=order.executed_volume,
        reason=order.reason,
        is_recovered=order.origin is OrderOrigin.RECOVERED,
    )


def _level(before: Order, after: Order) -> str:
    if after.quarantine is not None or before.origin is not after.origin:
        return "ERROR"
    bad = after.status in {OrderStatus.FAILED, OrderStatus.UNKNOWN}
    return "WARNING" if bad else "INFO"
