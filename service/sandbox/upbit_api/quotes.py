"""Tickers, candles and order books of one instant, computed from the prints."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from service.domain.markets import Market
from service.sandbox.market.order_book import OrderBook
from service.sandbox.market.prints import (
    DAY_STEPS,
    FUNDS_UNITS,
    MINUTE_STEPS,
    Bar,
    Prints,
    instant_of,
    milliseconds,
    step_at,
)
from service.sandbox.reply import Body
from service.sandbox.upbit_api.bodies import KST, number, whole_or_number

_DAYS_BACK: Final = 400  #: how many days without a trade a page of candles may skip
_YEAR_DAYS: Final = 365


class Quotes:
    """One market's quotations. The last ticker is cached until the next print."""

    def __init__(self, market: Market, prints: Prints) -> None:
        self.market = market
        self.prints = prints
        self._ticker: tuple[int, Body] | None = None
        self._closes: tuple[int, list[tuple[int, int]]] | None = None

    def candles(
        self, *, width: int, count: int, before: int | None, now: int
    ) -> Iterator[Bar | None]:
        """Yield up to `count` bars of `width` steps that begin before step `before`, newest first.

        Yields None after each day, so that the server can run other tasks in between.
        """
        newest = now if before is None else min(now, before - 1)
        first, left = newest // width * width, count
        end = max(newest - _DAYS_BACK * DAY_STEPS - count * width, -1)  # not before 1970
        while left and first > end:
            if (bar := self.prints.bar(first, width, now=now)) is not None:
                left -= 1
                yield bar
            if first % DAY_STEPS == 0:
                yield None
            first -= width

    def ticker(self, now: datetime) -> Body:
        step = step_at(now)
        if self._ticker is None or self._ticker[0] != step:
            self._ticker = (step, self._new_ticker(step))
        return self._ticker[1] | {"timestamp": milliseconds(now)}

    def _new_ticker(self, step: int) -> Body:
        last = self.prints.newest(step)
        today = step // DAY_STEPS
        closed = self.prints.newest(today * DAY_STEPS - 1).price
        day = self.prints.bar(today * DAY_STEPS, DAY_STEPS, now=step)
        at, change = instant_of(last.step), last.price - closed
        volume, funds = _totals(day)
        volume_24h, funds_24h = self._totals_24h(step)
        return {
            "market": str(self.market),
            **_dates(at),
            "trade_timestamp": milliseconds(at),
            "opening_price": number(day.open if day else closed),
            "high_price": number(day.high if day else closed),
            "low_price": number(day.low if day else closed),
            "trade_price": number(last.price),
            "prev_closing_price": number(closed),
            "change": "EVEN" if change == 0 else "RISE" if change > 0 else "FALL",
            "change_price": number(abs(change)),
            "change_rate": round(abs(change) / closed, 10),
            "signed_change_price": number(change),
            "signed_change_rate": round(change / closed, 10),
            "trade_volume": number(last.volume),
            "acc_trade_price": number(funds, scale=FUNDS_UNITS),
            "acc_trade_price_24h": number(funds_24h, scale=FUNDS_UNITS),
            "acc_trade_volume": number(volume),
            "acc_trade_volume_24h": number(volume_24h),
            **self._year_range(today, day),
        }

    def _totals_24h(self, step: int) -> tuple[int, int]:
        # Whole hours, and minutes at both ends: finished bars are cached, so a later ticker adds up
        # two dozen numbers.
        hour = 60 * MINUTE_STEPS
        first = step // MINUTE_STEPS * MINUTE_STEPS - DAY_STEPS + MINUTE_STEPS
        volume = funds = 0
        while first <= step:
            width = hour if first % hour == 0 and first + hour <= step else MINUTE_STEPS
            bar_volume, bar_funds = _totals(self.prints.bar(first, width, now=step))
            volume, funds, first = volume + bar_volume, funds + bar_funds, first + width
        return volume, funds

    def _year_range(self, today: int, day: Bar | None) -> Body:
        """Return the year's extremes of the daily closes and of the running day.

        The extremes of all prints would block the event loop for a second.
        """
        if self._closes is None or self._closes[0] != today:
            days = range(today - _YEAR_DAYS, today)
            self._closes = (today, [(self.prints.close(number), number) for number in days])
        closes = self._closes[1]
        high, high_day = max(closes + ([(day.high, today)] if day else []))
        low, low_day = min(closes + ([(day.low, today)] if day else []))
        return {
            "highest_52_week_price": number(high),
            "highest_52_week_date": _date(high_day),
            "lowest_52_week_price": number(low),
            "lowest_52_week_date": _date(low_day),
        }


def book_body(market: Market, book: OrderBook, *, count: int, now: datetime) -> Body:
    """Return the order book, its best `count` levels."""
    pairs = list(zip(book.asks, book.bids, strict=False))[:count]
    return {
        "market": str(market),
        "timestamp": milliseconds(now),
        "total_ask_size": number(sum(ask.size for ask, _ in pairs)),
        "total_bid_size": number(sum(bid.size for _, bid in pairs)),
        "orderbook_units": [
            {
                "ask_price": whole_or_number(ask.price),
                "bid_price": whole_or_number(bid.price),
                "ask_size": number(ask.size),
                "bid_size": number(bid.size),
            }
            for ask, bid in pairs
        ],
        "level": 0,
    }


def minute_body(market: Market, bar: Bar, *, unit: int) -> Body:
    return _candle_body(market, bar) | {"unit": unit}


def day_body(market: Market, bar: Bar, *, closed: int) -> Body:
    """Return a day candle; `closed` is the price at the end of the day before."""
    change = bar.close - closed
    return _candle_body(market, bar) | {
        "prev_closing_price": number(closed),
        "change_price": number(change),
        "change_rate": round(change / closed, 10),
    }


def _candle_body(market: Market, bar: Bar) -> Body:
    begin = instant_of(bar.first_step)
    return {
        "market": str(market),
        "candle_date_time_utc": begin.strftime("%Y-%m-%dT%H:%M:%S"),
        "candle_date_time_kst": begin.astimezone(KST).strftime("%Y-%m-%dT%H:%M:%S"),
        "opening_price": number(bar.open),
        "high_price": number(bar.high),
        "low_price": number(bar.low),
        "trade_price": number(bar.close),
        "timestamp": milliseconds(instant_of(bar.last_step)),
        "candle_acc_trade_price": number(bar.funds, scale=FUNDS_UNITS),
        "candle_acc_trade_volume": number(bar.volume),
    }


def _dates(at: datetime) -> Body:
    korean = at.astimezone(KST)
    return {
        "trade_date": at.strftime("%Y%m%d"),
        "trade_time": at.strftime("%H%M%S"),
        "trade_date_kst": korean.strftime("%Y%m%d"),
        "trade_time_kst": korean.strftime("%H%M%S"),
    }


def _date(day: int) -> str:
    return instant_of(day * DAY_STEPS).strftime("%Y-%m-%d")


def _totals(bar: Bar | None) -> tuple[int, int]:
    return (0, 0) if bar is None else (bar.volume, bar.funds)
