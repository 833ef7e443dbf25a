"""Collect market data: a price every few seconds, and every finished one-minute candle."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from service.bus import Bus, TickerUpdated
from service.domain.markets import Market, Timeframe
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.store import MarketData

MAX_CANDLES: Final = 200  #: in one answer of the exchange
MAX_PAGES: Final = 20  #: in one pass, nearly three days of minutes
_MINUTE: Final = timedelta(minutes=1)


async def collect(
    *,
    markets: Sequence[Market],
    exchange: Exchange,
    market_data: MarketData,
    bus: Bus,
    clock: MarketClock,
) -> None:
    """Store one price of every market, and its candles since the newest stored minute."""
    asked_at = clock.now()
    tickers = await exchange.tickers(markets)
    await market_data.add_tickers(tickers, at=asked_at)
    for ticker in tickers:
        await bus.publish(TickerUpdated(ticker=ticker))
    for market in markets:
        await _collect_minutes(market, exchange=exchange, market_data=market_data, clock=clock)


async def _collect_minutes(
    market: Market, *, exchange: Exchange, market_data: MarketData, clock: MarketClock
) -> None:
    newest = await market_data.newest_candle_at(market, Timeframe.M1)
    for _ in range(MAX_PAGES):
        # The page ends at a minute that we name, not at the exchange's "now". Minutes may pass
        # before the answer, and then the oldest candles would drop off the page.
        end = clock.now().replace(second=0, microsecond=0) + _MINUTE
        behind = (end - newest) // _MINUTE if newest else MAX_CANDLES
        # At least two: the newest stored minute may have been unfinished, and a new one has begun.
        count = max(2, min(behind + 1, MAX_CANDLES))
        is_last = newest is None or behind <= MAX_CANDLES
        if newest is not None and not is_last:
            # After a long outage: oldest first, stored page by page. An interruption then leaves
            # no gap before the newest stored minute, which would never be filled.
            end = newest + MAX_CANDLES * _MINUTE
        page = await exchange.candles(market, Timeframe.M1, count=count, before=end)
        await market_data.put_candles(page)
        if is_last:
            return
        newest = end  # minutes without a trade have no candle, now or later
