"""Collect market data: a price every few seconds, and every finished one-minute candle."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from loguru import logger

from service.bus import Bus, TickerUpdated
from service.domain.errors import BoundaryError, DomainError, ExchangeRefused, ServiceError
from service.domain.markets import Market, Ticker, Timeframe
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
    """Store one price of every market, and its candles since the newest stored minute.

    What is odd about one market costs that market alone.

    Raises: BoundaryError, an outage at once; ServiceError, after all markets, the first of those
        that concern one market.
    """
    asked_at = clock.now()
    failed: list[ServiceError] = []
    for ticker in await _tickers(markets, exchange=exchange, failed=failed):
        with _apart(ticker.market, failed):
            await market_data.add_tickers([ticker], at=asked_at)
            await bus.publish(TickerUpdated(ticker=ticker))
    for market in markets:
        with _apart(market, failed):
            await _collect_minutes(market, exchange=exchange, market_data=market_data, clock=clock)
    if failed:
        raise failed[0]


async def _tickers(
    markets: Sequence[Market], *, exchange: Exchange, failed: list[ServiceError]
) -> Sequence[Ticker]:
    """Return the ticker of every market that has a readable one: in one answer, if it can be."""
    try:
        return await exchange.tickers(markets)
    except ServiceError as exc:
        if not _is_of_one_market(exc):
            raise
    found: list[Ticker] = []
    for market in markets:
        with _apart(market, failed):
            found += await exchange.tickers([market])
    return found


@contextmanager
def _apart(market: Market, failed: list[ServiceError]) -> Iterator[None]:
    """Keep an error that concerns `market` alone from the other markets, in `failed`."""
    try:
        yield
    except ServiceError as exc:
        if not _is_of_one_market(exc):
            raise
        logger.bind(
            event="job", market=str(market), error=type(exc).__name__, cause=str(exc)
        ).warning("a market's prices cannot be collected, those of the others are")
        failed.append(exc)


def _is_of_one_market(error: ServiceError) -> bool:
    """Whether `error` may concern one market only: anything but an outage."""
    if isinstance(error, ExchangeRefused):
        return not error.of_account
    return isinstance(error, DomainError) or (
        isinstance(error, BoundaryError) and error.code == "bad_answer"
    )


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
