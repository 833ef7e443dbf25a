"""Prices and candles in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from service.domain.limits.volatility import MinuteRange, minute_of
from service.domain.markets import Candle, Market, Ticker, Timeframe
from service.domain.order_checks import PriceRange


class FakeMarketData:
    """Satisfies ports.MarketData.

    Attributes:
        tickers: (asked at, ticker) in the order they were written.
        candles: by market, timeframe and opening.
    """

    def __init__(self) -> None:
        self.tickers: list[tuple[datetime, Ticker]] = []
        self.candles: dict[tuple[Market, Timeframe, datetime], Candle] = {}

    async def add_tickers(self, tickers: Sequence[Ticker], *, at: datetime) -> None:
        self.tickers.extend((at, ticker) for ticker in tickers)

    async def latest_id(self, market: Market) -> int | None:
        ids = [n for n, (_, ticker) in enumerate(self.tickers, 1) if ticker.market == market]
        return ids[-1] if ids else None

    async def newest_prices(
        self, markets: Sequence[Market], *, since: datetime
    ) -> Mapping[Market, Decimal]:
        return {t.market: t.price for at, t in self.tickers if t.market in markets and at >= since}

    async def price_range(
        self, market: Market, *, since: datetime, until: datetime
    ) -> PriceRange | None:
        found = [t.price for at, t in self.tickers if t.market == market and since <= at <= until]
        return PriceRange(low=min(found), high=max(found)) if found else None

    async def minute_ranges(
        self, markets: Sequence[Market], *, since: datetime, before: datetime
    ) -> Mapping[Market, Sequence[MinuteRange]]:
        known: dict[tuple[Market, int], list[Decimal]] = {}
        for at, ticker in self.tickers:
            if since <= at < before:
                known.setdefault((ticker.market, minute_of(at)), []).append(ticker.price)
        for (market, frame, at), candle in self.candles.items():
            if frame is Timeframe.M1 and since <= at < before:
                known.setdefault((market, minute_of(at)), []).extend((candle.low, candle.high))
        found: dict[Market, list[MinuteRange]] = {market: [] for market in markets}
        for (market, minute), prices in sorted(known.items()):
            if market in found:
                one = MinuteRange(minute=minute, low=min(prices), high=max(prices))
                found[market].append(one)
        return found

    async def newest_candle_at(
        self, market: Market, timeframe: Timeframe, *, before: datetime
    ) -> datetime | None:
        opened = [at for of, frame, at in self.candles if (of, frame) == (market, timeframe)]
        return max((at for at in opened if at < before), default=None)

    async def put_candles(self, candles: Sequence[Candle]) -> None:
        for candle in candles:
            self.candles[candle.market, candle.timeframe, candle.opened_at] = candle
