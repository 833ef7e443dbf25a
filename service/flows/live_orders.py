"""The stream of our own orders: what it tells is looked up at once, never booked from a frame."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from loguru import logger

from service.domain.errors import BoundaryError
from service.domain.orders import IDENTIFIER_PREFIX
from service.flows.reconnects import Reconnects
from service.ports.clock import RealClock
from service.ports.price_feed import LiveStreams, StreamState

TAKE_WITHIN_S: Final = 0.5  #: real; how soon the end of the process or of the lease is noticed


class LiveOrders:
    """Has each order of ours looked up as soon as the exchange tells that something happened.

    A frame may come twice, late or before REST knows of it. So it is only a reason to look: fills
    are booked from the look-up, exactly once. What happens while there is no connection is not told
    later, and so each new one has all open orders looked up.
    """

    def __init__(
        self,
        *,
        streams: LiveStreams,
        look: Callable[[str], Awaitable[None]],
        look_at_all: Callable[[], None],
        real_clock: RealClock,
        leads: Callable[[], bool],
    ) -> None:
        """Bind what looks orders up.

        Args:
            look: looks one order up by its identifier.
            look_at_all: has every open order looked up soon.
        """
        self._streams = streams
        self._look, self._look_at_all = look, look_at_all
        self._leads = leads
        self._reconnects = Reconnects("orders", real_clock)

    def state(self) -> StreamState:
        return self._reconnects.state()

    async def step(self, stopping: asyncio.Event) -> None:
        """Open the stream, unless it is too soon, and follow it until it is lost."""
        if not self._leads():
            self._reconnects.rest()
        elif self._reconnects.is_due() and not stopping.is_set():
            with self._reconnects.noted():
                await self._hear(stopping)

    async def _hear(self, stopping: asyncio.Event) -> None:
        async with self._streams.orders() as connection:
            self._reconnects.opened(connection)
            try:
                self._look_at_all()
                # Silence is all that an idle account tells: an open connection is back already.
                self._reconnects.heard()
                while self._leads() and not stopping.is_set():
                    for identifier in await connection.orders(within_s=TAKE_WITHIN_S):
                        self._reconnects.heard()
                        await self._follow(identifier)
            finally:
                self._reconnects.closed()

    async def _follow(self, identifier: str) -> None:
        if not identifier.startswith(IDENTIFIER_PREFIX):
            return  # another program's
        try:
            await self._look(identifier)
        except BoundaryError as exc:
            # The periodic look-up follows the order whatever happens here.
            logger.bind(
                event="app", identifier=identifier, error=type(exc).__name__, cause=str(exc)
            ).warning("an order that the stream told of cannot be looked up now")
            self._look_at_all()
