"""The stream of prices: kept open while no other process leads, doubted when it is too quiet."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from loguru import logger

from service.domain.errors import BoundaryError
from service.domain.markets import Market
from service.domain.prices import PriceSource
from service.flows.live_prices import LivePrices
from service.flows.reconnects import Reconnects
from service.ports.clock import RealClock
from service.ports.exchange import Exchange
from service.ports.price_feed import LiveStreams, PriceConnection, StreamState

TAKE_WITHIN_S: Final = 0.5  #: real; how soon the end of the process or of the lease is noticed
#: Real seconds without a frame after which REST is asked whether there was a trade.
QUIET_S: Final = 4.0
#: Real seconds that the stream gets to tell a trade that REST knows. With the pass of `watch`, a
#: second apart, a stream that is silent while pings are answered is found within nine.
BEHIND_S: Final = 3.0
UNHEARD_S: Final = 10.0  #: real seconds after the subscription; the present prices come at once
TOLD_AFTER_S: Final = 10.0  #: a stream that is away for longer is shown in health


class LiveFeed:
    """Hears the stream's prices, and finds out when it does not tell what REST knows.

    Attributes: unheard: markets that this connection has not told a price of.
    """

    def __init__(
        self,
        *,
        streams: LiveStreams,
        exchange: Exchange,
        live_prices: LivePrices,
        markets: Sequence[Market],
        real_clock: RealClock,
        leads: Callable[[], bool],
    ) -> None:
        self._streams, self._exchange = streams, exchange
        self._live_prices = live_prices
        self._markets = markets
        self._real_clock = real_clock
        self._leads = leads
        self._reconnects = Reconnects("prices", real_clock)
        self._connection: PriceConnection | None = None
        self._opened_at = 0.0
        self._traded_at: dict[Market, datetime] = {}  #: told by this connection
        self._behind_at: dict[Market, float] = {}  #: when the stream was found to lack a trade
        self._asked_at = 0.0
        self.unheard: frozenset[Market] = frozenset()

    def state(self) -> StreamState:
        return self._reconnects.state()

    @property
    def is_lost(self) -> bool:
        """Whether the stream has been away for so long that an operator should know."""
        return self._leads() and self._reconnects.lost_for_s() > TOLD_AFTER_S

    async def step(self, stopping: asyncio.Event) -> None:
        """Open the stream, unless it is too soon, and hear it until it is lost."""
        if not self._leads():
            self._reconnects.rest()
        elif self._reconnects.is_due() and not stopping.is_set():
            with self._reconnects.noted():
                await self._hear(stopping)

    async def _hear(self, stopping: asyncio.Event) -> None:
        async with self._streams.prices(await self._known_markets()) as connection:
            self._begin(connection)
            try:
                while self._leads() and not stopping.is_set():
                    if words := await connection.prices(within_s=TAKE_WITHIN_S):
                        self._reconnects.heard()
                        self._traded_at |= {word.market: word.traded_at for word in words}
                        self._live_prices.hear_all(words, source=PriceSource.STREAM)
            finally:
                self._end()

    async def _known_markets(self) -> Sequence[Market]:
        """Return the markets that the exchange has: to any other it does not even answer."""
        try:
            known = await self._exchange.markets()
        except BoundaryError as exc:
            logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
                "the exchange's markets cannot be read, all are subscribed to"
            )
            return self._markets
        for market in self._markets:
            if market not in known:
                logger.bind(event="app", market=str(market)).warning(
                    "the exchange has no such market, it is not subscribed to"
                )
        return [market for market in self._markets if market in known] or self._markets

    def _begin(self, connection: PriceConnection) -> None:
        self._connection = connection
        self._opened_at = self._real_clock.monotonic()
        self._traded_at.clear()
        self._behind_at.clear()
        self._reconnects.opened(connection)

    def _end(self) -> None:
        self._connection = None
        self.unheard = frozenset()
        self._reconnects.closed()

    # --- is it too quiet? -----------------------------------------------------------------

    async def watch(self) -> None:
        """Look whether the stream tells what there is to tell; once a second.

        Raises: BoundaryError, when REST cannot be asked.
        """
        connection, now = self._connection, self._real_clock.monotonic()
        if connection is None:
            return
        self._note_unheard(connection, now)
        self._compare(connection, now)
        if self._reconnects.quiet_s() >= QUIET_S and now - self._asked_at >= QUIET_S:
            self._asked_at = now
            await self._live_prices.ask(self._exchange, self._markets)

    def _note_unheard(self, connection: PriceConnection, now: float) -> None:
        if now - self._opened_at < UNHEARD_S:
            return
        unheard = frozenset(self._markets) - self._traded_at.keys()
        for market in unheard - self.unheard:
            logger.bind(event="app", market=str(market)).warning(
                "the stream has not told a price of a market since it was opened"
            )
        self.unheard = unheard
        if not self._traded_at:
            connection.end("it has told no price at all")

    def _compare(self, connection: PriceConnection, now: float) -> None:
        """Give the stream up when it lacks a trade that REST has told a while ago."""
        for market, told_at in self._traded_at.items():
            latest = self._live_prices.latest(market)
            if latest is None or latest.traded_at <= told_at:
                self._behind_at.pop(market, None)
            elif now - self._behind_at.setdefault(market, now) >= BEHIND_S:
                connection.end("it is silent about a trade")
