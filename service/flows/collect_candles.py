"""Collect every finished one-minute candle, without a gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loguru import logger

from service.domain.markets import Candle, Market, Timeframe
from service.flows.live_prices import LivePrices
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.store import MarketData

MAX_CANDLES: Final = 200  #: in one answer of the exchange
MAX_PAGES: Final = 20  #: in one pass, nearly three days of minutes
#: How often a page with an unreadable row is asked for again: once a minute.
MOST_AGAIN: Final = 10
_MINUTE: Final = timedelta(minutes=1)


@dataclass(slots=True, kw_only=True)
class _Doubt:
    """Minutes that may be missing before the newest stored one.

    Attributes:
        since: the oldest of them.
        asked: the end of the window that was asked for last.
        times: how often they were asked for again, and could not be read.
    """

    since: datetime
    asked: datetime | None = None
    times: int = 0


class CandleCollector:
    """Fetches what follows the newest stored minute, and again what could not be read.

    Each process asks for the last 200 minutes once: a page of the process before it may have had
    an unreadable row.
    """

    def __init__(
        self,
        *,
        exchange: Exchange,
        market_data: MarketData,
        live_prices: LivePrices,
        clock: MarketClock,
    ) -> None:
        self._exchange = exchange
        self._market_data = market_data
        self._live_prices = live_prices
        self._clock = clock
        self._doubts: dict[Market, _Doubt] = {}
        self._begun: set[Market] = set()

    async def collect(self, market: Market) -> None:
        """Store the minutes of `market` since the newest stored one.

        Raises: BoundaryError, DomainError; then a later call asks for the same minutes again.
        """
        end = self._end()
        newest = await self._begin(market, end)
        for _ in range(MAX_PAGES):
            # The page ends at a minute that we name, not at the exchange's "now". Minutes may pass
            # before the answer, and then the oldest candles would drop off the page.
            end = self._end()
            behind = (end - newest) // _MINUTE if newest else MAX_CANDLES
            # At least two: the newest stored minute may have been unfinished, and a new one has
            # begun.
            count = max(2, min(behind + 1, MAX_CANDLES))
            is_last = newest is None or behind <= MAX_CANDLES
            if newest is not None and not is_last:
                # After a long outage: oldest first, stored page by page. An interruption then
                # leaves no gap before the newest stored minute, which would never be filled.
                end = newest + MAX_CANDLES * _MINUTE
            page = await self._page(market, count=count, end=end)
            if is_last:
                if page:
                    self._live_prices.anchor(market, page[-1].close)
                return
            newest = end  # minutes without a trade have no candle, now or later

    def _end(self) -> datetime:
        return self._clock.now().replace(second=0, microsecond=0) + _MINUTE

    async def _begin(self, market: Market, end: datetime) -> datetime | None:
        """Return the minute to begin with: the newest stored one, or an older one in doubt."""
        newest = await self._market_data.newest_candle_at(market, Timeframe.M1, before=end)
        if market not in self._begun:
            self._begun.add(market)
            self._doubts[market] = _Doubt(since=end - MAX_CANDLES * _MINUTE)
        if newest is None:
            return None  # then a whole page is asked for as well
        doubt = self._doubts.get(market)
        if doubt is None or (doubt.asked is not None and doubt.asked >= end):
            return newest
        if doubt.times >= MOST_AGAIN:
            del self._doubts[market]
            logger.bind(event="job", market=str(market), since=doubt.since.isoformat()).warning(
                "a minute's candle stays missing: it could not be read ten times"
            )
            return newest
        doubt.asked = end
        return min(newest, doubt.since)

    async def _page(self, market: Market, *, count: int, end: datetime) -> Sequence[Candle]:
        page = await self._exchange.candles(market, Timeframe.M1, count=count, before=end)
        await self._market_data.put_candles(page)
        begin, doubt = end - count * _MINUTE, self._doubts.get(market)
        if page.unreadable and doubt is None:
            self._doubts[market] = _Doubt(since=begin, asked=end)
        elif doubt is not None and begin <= doubt.since:
            if page.unreadable:
                doubt.times += 1
            else:
                del self._doubts[market]
        return page
