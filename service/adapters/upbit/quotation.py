"""Upbit's quotations, its public data. Fields: Upbit docs v1.6.4."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from loguru import logger

from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.record import Record, items, records
from service.adapters.upbit.wire import market_in
from service.domain.errors import UnknownMarket
from service.domain.markets import BestPrices, Candle, CandlePage, Market, Ticker, Timeframe

#: Our tables hold numbers within these bounds, which are far from any that a market has.
_SMALLEST_PRICE: Final = Decimal("1e-8")
_MOST: Final = Decimal("1e19")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TIME: Final = timedelta()
_MOST_CHANGE: Final = Decimal("1e9")
CANDLE_PATHS: Final = {
    Timeframe.M1: "/v1/candles/minutes/1",
    Timeframe.M3: "/v1/candles/minutes/3",
    Timeframe.M5: "/v1/candles/minutes/5",
    Timeframe.M10: "/v1/candles/minutes/10",
    Timeframe.M15: "/v1/candles/minutes/15",
    Timeframe.M30: "/v1/candles/minutes/30",
    Timeframe.H1: "/v1/candles/minutes/60",
    Timeframe.H4: "/v1/candles/minutes/240",
    Timeframe.D1: "/v1/candles/days",
}


def markets(payload: object) -> frozenset[Market]:
    """Return the markets with a readable name: one odd listing must not stop trading."""
    return frozenset(_known(record.text("market") for record in records(payload, "market")))


def _known(codes: Iterator[str]) -> Iterator[Market]:
    for code in codes:
        with suppress(UnknownMarket):
            yield Market.parse(code)


def tickers(payload: object, asked: Sequence[Market]) -> tuple[Ticker, ...]:
    """Return one ticker for each market `asked`, in that order."""
    found = {ticker.market: ticker for ticker in map(_ticker, records(payload, "ticker"))}
    missing = [market for market in asked if market not in found]
    if missing:
        raise OddAnswer(f"no ticker of {missing[0]}")
    return tuple(found[market] for market in asked)


def best_prices(payload: object, market: Market) -> BestPrices:
    """Return the first level of the order book. Upbit lists the best one first."""
    for book in records(payload, "orderbook"):
        if market_in(book, "market") == market:
            levels = list(book.records("orderbook_units"))
            if not levels:
                raise OddAnswer(f"the order book of {market} is empty")
            bid, ask = _price(levels[0], "bid_price"), _price(levels[0], "ask_price")
            if bid >= ask:
                raise OddAnswer(f"the order book of {market}: a bid at the price of an ask")
            return BestPrices(market=market, bid=bid, ask=ask)
    raise OddAnswer(f"no order book of {market}")


def _ticker(record: Record) -> Ticker:
    return Ticker(
        market=market_in(record, "market"),
        price=_price(record, "trade_price"),
        high=_price(record, "high_price"),
        low=_price(record, "low_price"),
        volume_24h=_volume(record, "acc_trade_volume_24h"),
        change_since_close_ratio=_change(record, "signed_change_rate"),
        traded_at=record.epoch_ms("trade_timestamp"),
    )


def _price(record: Record, name: str) -> Decimal:
    price = record.positive(name)
    if not _SMALLEST_PRICE <= price < _MOST:
        raise OddAnswer(f"{name}: out of range")
    return price


def _volume(record: Record, name: str) -> Decimal:
    volume = record.amount(name)
    if volume >= _MOST:
        raise OddAnswer(f"{name}: out of range")
    return volume


def _change(record: Record, name: str) -> Decimal:
    ratio = record.number(name)
    if abs(ratio) >= _MOST_CHANGE:
        raise OddAnswer(f"{name}: out of range")
    return ratio


def candles(
    payload: object, market: Market, timeframe: Timeframe, *, before: datetime | None = None
) -> CandlePage:
    """Return the candles oldest first, each once; Upbit sends the newest first.

    A row that cannot be read is left out with a warning: the rest of the page counts.

    Args: before: the end of the window that was asked for, exclusive.
    Raises: OddAnswer, when no row can be read.
    """
    by_start: dict[datetime, Candle] = {}
    faults: list[OddAnswer] = []
    for row in items(payload, "candle"):
        try:
            candle = _candle(Record(row, "candle"), market, timeframe, before=before)
            by_start[candle.opened_at] = candle
        except OddAnswer as exc:
            faults.append(exc)
    if faults and not by_start:
        raise faults[0]
    if faults:
        logger.bind(
            event="job",
            market=str(market),
            timeframe=timeframe.value,
            rows=len(faults),
            cause=str(faults[0]),
        ).warning("a candle cannot be read, the others of the page count")
    return CandlePage((by_start[at] for at in sorted(by_start)), unreadable=len(faults))


def _candle(
    record: Record, market: Market, timeframe: Timeframe, *, before: datetime | None
) -> Candle:
    if market_in(record, "market") != market:
        raise OddAnswer("candle.market: another market than asked for")
    candle = Candle(
        market=market,
        timeframe=timeframe,
        opened_at=_opened_at(record, timeframe, before=before),
        open=_price(record, "opening_price"),
        high=_price(record, "high_price"),
        low=_price(record, "low_price"),
        close=_price(record, "trade_price"),
        volume=_volume(record, "candle_acc_trade_volume"),
        funds=record.amount("candle_acc_trade_price"),
    )
    ends = (candle.open, candle.close)
    if not candle.low <= min(ends) <= max(ends) <= candle.high:
        raise OddAnswer("candle: a price outside low..high")
    return candle


def _opened_at(record: Record, timeframe: Timeframe, *, before: datetime | None) -> datetime:
    """Return when the candle began: a whole unit of its timeframe, within the window asked for.

    A candle that is dated too late would pass for the newest one, and no minute before it would be
    asked for any more.
    """
    at = record.utc_instant("candle_date_time_utc")
    if (at - _EPOCH) % timeframe.duration != _NO_TIME:
        raise OddAnswer("candle.candle_date_time_utc: not a whole unit of the timeframe")
    if before is not None and at >= before:
        raise OddAnswer("candle.candle_date_time_utc: later than asked for")
    return at
