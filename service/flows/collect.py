"""Collect market data: a price every few seconds, and every finished one-minute candle."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from loguru import logger

from service.bus import Bus, TickerUpdated
from service.domain.errors import BoundaryError, DomainError, ExchangeRefused, ServiceError
from service.domain.markets import Market, Ticker
from service.domain.prices import PriceSource
from service.flows.collect_candles import CandleCollector
from service.flows.live_prices import LivePrices
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.store import MarketData


class Collector:
    """Stores one price of every market, and its candles since the newest stored minute.

    What is odd about one market costs that market alone.
    """

    def __init__(
        self,
        *,
        markets: Sequence[Market],
        exchange: Exchange,
        market_data: MarketData,
        live_prices: LivePrices,
        bus: Bus,
        clock: MarketClock,
    ) -> None:
        self._markets = markets
        self._exchange = exchange
        self._market_data = market_data
        self._live_prices = live_prices
        self._bus = bus
        self._clock = clock
        self._candles = CandleCollector(
            exchange=exchange, market_data=market_data, live_prices=live_prices, clock=clock
        )

    async def step(self) -> None:
        """Collect once.

        Raises: BoundaryError, an outage at once; ServiceError, after all markets, the first of
            those that concern one market.
        """
        asked_at = self._clock.now()
        failed: list[ServiceError] = []
        for ticker in await _tickers(self._markets, exchange=self._exchange, failed=failed):
            with _apart(ticker.market, failed):
                self._live_prices.hear(ticker, source=PriceSource.REST)
                await self._market_data.add_tickers([ticker], at=asked_at)
                await self._bus.publish(TickerUpdated(ticker=ticker))
        for market in self._markets:
            with _apart(market, failed):
                await self._candles.collect(market)
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
