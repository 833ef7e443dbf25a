"""Collect what the market does: prices every few seconds, and every finished minute."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from service.bus import Bus, TickerUpdated
from service.domain.markets import Market, Timeframe
from service.ports import Clock, Exchange, MarketData

MAX_CANDLES: Final = 200  #: in one answer of the exchange
_MINUTE: Final = timedelta(minutes=1)


async def collect(
    *,
    markets: Sequence[Market],
    exchange: Exchange,
    market_data: MarketData,
    bus: Bus,
    clock: Clock,
) -> None:
    """Store one price of every market, and the minutes since the last one we have."""
    asked_at = clock.now()
    tickers = await exchange.tickers(markets)
    await market_data.add_tickers(tickers, at=asked_at)
    for ticker in tickers:
        await bus.publish(TickerUpdated(ticker=ticker))
    for market in markets:
        await _collect_minutes(market, exchange=exchange, market_data=market_data, clock=clock)


async def _collect_minutes(
    market: Market, *, exchange: Exchange, market_data: MarketData, clock: Clock
) -> None:
    newest = await market_data.newest_candle_at(market, Timeframe.M1)
    behind = (clock.now() - newest) // _MINUTE if newest else MAX_CANDLES
    # The newest stored minute may have been unfinished, and a new one has begun: two at least.
    count = max(2, min(behind + 2, MAX_CANDLES))
    await market_data.put_candles(await exchange.candles(market, Timeframe.M1, count=count))
