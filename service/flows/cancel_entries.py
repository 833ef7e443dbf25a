"""Takes our purchases off the book where a halt or the switch stops purchases."""

from collections.abc import Callable
from typing import Final

from loguru import logger

from service.domain.errors import BoundaryError
from service.domain.markets import Market
from service.domain.orders import Side
from service.domain.trading_states import OrderAct, OrderSource, permits
from service.flows.trading_switch import TradingSwitch
from service.ports.clock import RealClock
from service.ports.exchange import Exchange

LOOK_EVERY_S: Final = 1.0
#: Real seconds until the next look, once the book holds no purchase that must go.
LOOK_AGAIN_S: Final = 30.0


class EntryCancels:
    """Asks for cancellation until the exchange's own list shows no such purchase.

    It reads that list and not our rows, so it works while the database is away. The reconciler
    stores what became of the orders: an accepted request is no end yet.

    Args:
        leads: whether this process trades.
    """

    def __init__(
        self,
        *,
        exchange: Exchange,
        switch: TradingSwitch,
        real_clock: RealClock,
        leads: Callable[[], bool],
    ) -> None:
        self._exchange = exchange
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
            (one.order.market, one.order.identifier)
            for one in listed.ours
            if one.order.side is Side.BUY and self._must_go(one.order.market)
        ]
        for market, identifier in entries:
            await self._cancel(market, identifier or "")
        self._clear = None if entries else (stopped, now)

    def _must_go(self, market: Market) -> bool:
        return not permits(self._switch.known_status(market), OrderSource.HAND, OrderAct.BUY)

    async def _cancel(self, market: Market, identifier: str) -> None:
        log = logger.bind(event="order", market=str(market), identifier=identifier)
        try:
            await self._exchange.cancel(identifier)
        except BoundaryError as exc:
            log.bind(error=type(exc).__name__, code=exc.code).warning(
                "a purchase on the book could not be cancelled, it is asked for again"
            )
        else:
            log.warning("a purchase on the book is being cancelled: purchases are halted")
