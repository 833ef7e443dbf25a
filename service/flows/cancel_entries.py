"""Takes our purchases off the book where a halt or the switch stops purchases."""

from collections.abc import Callable
from typing import Final

from loguru import logger

from service.domain.markets import Market
from service.domain.orders import Side
from service.domain.trading_states import OrderAct, OrderSource, permits
from service.flows.order_cancels import OrderCancels
from service.flows.trading_switch import TradingSwitch
from service.ports.clock import RealClock
from service.ports.exchange import Exchange

LOOK_EVERY_S: Final = 1.0
BY_HALT: Final = "system:halt"
#: Real seconds until the next look, once the book holds no purchase that must go.
LOOK_AGAIN_S: Final = 30.0


class EntryCancels:
    """Asks for cancellation until the exchange's own list shows no such purchase.

    It reads that list and not our rows, so it works while the database is away. An accepted request
    is no end yet: `OrderCancels` and the reconciler follow the orders too.

    Args:
        leads: whether this process trades.
    """

    def __init__(
        self,
        *,
        exchange: Exchange,
        cancels: OrderCancels,
        switch: TradingSwitch,
        real_clock: RealClock,
        leads: Callable[[], bool],
    ) -> None:
        self._exchange = exchange
        self._cancels = cancels
        self._switch = switch
        self._real_clock = real_clock
        self._leads = leads
        self._clear: tuple[object, float] | None = None  #: the halts, and when the book was clear

    async def step(self) -> None:
        """Look at the book when something is stopped. Raises: BoundaryError, without an answer."""
        stopped = self._switch.stops()
        # Without the database the lease runs out; a halt that only this process knows still counts.
        if not stopped or not (self._leads() or self._switch.unstored()):
            self._clear = None
            return
        now = self._real_clock.monotonic()
        if self._clear and self._clear[0] == stopped and now - self._clear[1] < LOOK_AGAIN_S:
            return
        listed = await self._exchange.open_orders()
        entries = [
            (one.order.market, one.order.identifier or "")
            for one in listed.ours
            if one.order.side is Side.BUY and self._must_go(one.order.market)
        ]
        for market, identifier in entries:
            logger.bind(event="order", market=str(market), identifier=identifier).warning(
                "a purchase on the book is being cancelled: purchases are halted"
            )
        await self._cancels.take_off([identifier for _, identifier in entries], by=BY_HALT)
        self._clear = None if entries else (stopped, now)

    def _must_go(self, market: Market) -> bool:
        return not permits(self._switch.known_status(market), OrderSource.HAND, OrderAct.BUY)
