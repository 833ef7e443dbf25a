"""Collect market data: a price every few seconds, and every finished one-minute candle."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

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

FRESH_S: Final = 10.0  #: market seconds; the period of the job


class Collector:
    """Stores one price of every market, and its candles since the newest stored minute.

    The price is the stream's where it spoke within the period, and REST's elsewhere. A price that
    is not believed is not stored: equity and the measure of the next jump come from what is.
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
        streamed = self._streamed()
        for ticker in streamed.values():
            await self._store(ticker, failed, at=asked_at)
        silent = [market for market in self._markets if market not in streamed]
        refused: dict[Market, Ticker] = {}
        for ticker in await _tickers(silent, exchange=self._exchange, failed=failed):
            market = ticker.market
            if self._live_prices.hear(ticker, source=PriceSource.REST) is None:
                refused[market] = ticker
            else:
                # The answer may be older than what the stream said before it fell silent.
                newest = self._live_prices.ticker(market) or ticker
                await self._store(newest, failed, at=asked_at)
        for market in self._markets:
            with _apart(market, failed):
                await self._candles.collect(market)
            if market in refused and self._is_confirmed(refused[market], since=asked_at):
                await self._store(refused[market], failed, at=asked_at)
        if failed:
            raise failed[0]

    def _streamed(self) -> Mapping[Market, Ticker]:
        """Return the newest ticker of each market whose stream is fresh."""
        found: dict[Market, Ticker] = {}
        for market in self._markets:
            latest, ticker = self._live_prices.latest(market), self._live_prices.ticker(market)
            # Not REST's own word of the pass before, which may be as young.
            if latest is None or ticker is None or latest.source is not PriceSource.STREAM:
                continue
            age_s = self._live_prices.age_s(market)
            if age_s is not None and age_s <= FRESH_S:
                found[market] = ticker
        return found

    def _is_confirmed(self, refused: Ticker, *, since: datetime) -> bool:
        """Whether a price that was a jump is believed by now, e.g. by the newest candle."""
        latest = self._live_prices.latest(refused.market)
        return latest is not None and latest.price == refused.price and latest.heard_at >= since

    async def _store(self, ticker: Ticker, failed: list[ServiceError], *, at: datetime) -> None:
        with _apart(ticker.market, failed):
            await self._market_data.add_tickers([ticker], at=at)
            await self._bus.publish(TickerUpdated(ticker=ticker))


async def _tickers(
    markets: Sequence[Market], *, exchange: Exchange, failed: list[ServiceError]
) -> Sequence[Ticker]:
    """Return the ticker of every market that has a readable one: in one answer, if it can be."""
    if not markets:
        return ()
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
