"""Frames of the market, computed from the same prints as the answers of the Quotation API."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, Literal

from service.domain.markets import Market
from service.sandbox.exchange.engine import Engine
from service.sandbox.market.order_book import LEVELS
from service.sandbox.market.prints import (
    DAY_STEPS,
    MINUTE_STEPS,
    Bar,
    Print,
    instant_of,
    milliseconds,
    step_at,
)
from service.sandbox.market_notes import MarketNotes
from service.sandbox.reply import Body
from service.sandbox.stream.requests import CANDLES, Topic
from service.sandbox.upbit_api.bodies import number
from service.sandbox.upbit_api.quotes import Quotes, book_body, minute_body

StreamType = Literal["SNAPSHOT", "REALTIME"]
_DEPTHS: Final = (1, 5, 15, LEVELS)
_NOT_IN_TICKERS: Final = ("market", "trade_date_kst", "trade_time_kst")


class MarketFrames:
    """Builds the frames of one topic; an unknown code has none, as Upbit stays silent."""

    def __init__(self, engine: Engine, quotes: Mapping[Market, Quotes], notes: MarketNotes) -> None:
        self._engine = engine
        self._notes = notes
        self._quotes = {str(market): each for market, each in quotes.items()}

    def snapshot(self, topic: Topic, now: datetime) -> Iterator[Body]:
        """Yield the newest state of the topic."""
        if (quotes := self._found(topic)) is None:
            return
        step = step_at(now)
        bodies: Iterator[Body]
        if topic.type in CANDLES:
            last = quotes.prints.newest(step).step
            bodies = self._candles(quotes, topic.type, after=last - 1, until=step)
        elif topic.type == "trade":
            bodies = iter([self._trade(quotes, quotes.prints.newest(step))])
        else:
            bodies = iter([self._state(quotes, topic, now)])
        yield from (_framed(topic, quotes, body, "SNAPSHOT") for body in bodies)

    def news(self, topic: Topic, *, after: int, until: int, now: datetime) -> Iterator[Body]:
        """Yield what the prints in (after, until] brought; nothing when there was no print.

        Every trade and every candle is sent. Of a ticker and an order book the newest one is.
        """
        quotes = self._found(topic)
        if quotes is None or (last := quotes.prints.newest(until)).step <= after:
            return
        bodies: Iterator[Body]
        if topic.type == "trade":
            prints = quotes.prints.between(after=after, until=last.step)
            bodies = (self._trade(quotes, each) for each in prints)
        elif topic.type in CANDLES:
            bodies = self._candles(quotes, topic.type, after=after, until=until)
        else:
            bodies = iter([self._state(quotes, topic, now)])
        yield from (_framed(topic, quotes, body, "REALTIME") for body in bodies)

    def _found(self, topic: Topic) -> Quotes | None:
        code, _, depth = topic.code.partition(".")
        if depth and (topic.type != "orderbook" or depth not in map(str, _DEPTHS)):
            return None
        return self._quotes.get(code)

    def _state(self, quotes: Quotes, topic: Topic, now: datetime) -> Body:
        if topic.type == "ticker":
            return self._ticker(quotes, now)
        count = int(topic.code.partition(".")[2] or LEVELS)
        book = self._engine.book(quotes.market, now)
        return book_body(quotes.market, book, count=count, now=now)

    def _ticker(self, quotes: Quotes, now: datetime) -> Body:
        body = {k: v for k, v in quotes.ticker(now).items() if k not in _NOT_IN_TICKERS}
        last = quotes.prints.newest(step_at(now))
        # The prints have no sides of their own that could be added up: half of the day each.
        half = float(str(body["acc_trade_volume"])) / 2
        sides = {"acc_ask_volume": half, "acc_bid_volume": half}
        state = self._notes.of(quotes.market).ticker_state
        return body | {"ask_bid": self._side(quotes, last)} | sides | state

    def _side(self, quotes: Quotes, last: Print) -> str:
        """Return the taker's side: a print at the best bid sold into it."""
        bids = self._engine.whole_book(quotes.market, last).bids
        return "ASK" if bids and last.price <= bids[0].price else "BID"

    def _trade(self, quotes: Quotes, last: Print) -> Body:
        closed = quotes.prints.newest(_day_of(last.step) - 1).price
        at, change = instant_of(last.step), last.price - closed
        body: Body = {
            "timestamp": milliseconds(at),
            "trade_price": number(last.price),
            "trade_volume": number(last.volume),
            "ask_bid": self._side(quotes, last),
            "prev_closing_price": number(closed),
            "change": "EVEN" if change == 0 else "RISE" if change > 0 else "FALL",
            "change_price": number(abs(change)),
            "trade_date": at.strftime("%Y-%m-%d"),
            "trade_time": at.strftime("%H:%M:%S"),
            "trade_timestamp": milliseconds(at),
            "sequential_id": milliseconds(at) * 10_000,
        }
        asks, bids = self._engine.whole_book(quotes.market, last)
        for name, side in (("ask", asks), ("bid", bids)):
            if side:
                body[f"best_{name}_price"] = number(side[0].price)
                body[f"best_{name}_size"] = number(side[0].size)
        return body

    def _candles(self, quotes: Quotes, kind: str, *, after: int, until: int) -> Iterator[Body]:
        for bar in _bars(quotes, CANDLES[kind], after=after, until=until):
            body = minute_body(quotes.market, bar, unit=0)
            del body["unit"]
            yield body


def _bars(quotes: Quotes, minutes: int, *, after: int, until: int) -> Iterator[Bar]:
    """Yield the bars that the prints in (after, until] changed, oldest first."""
    if minutes == 0:
        for step, price, volume in quotes.prints.between(after=after, until=until):
            yield Bar(step, step, price, price, price, price, volume, price * volume)
        return
    width = minutes * MINUTE_STEPS
    for first in range((after + 1) // width * width, until + 1, width):
        bar = quotes.prints.bar(first, width, now=until)
        if bar is not None and bar.last_step > after:
            yield bar


def _framed(topic: Topic, quotes: Quotes, body: Body, stream_type: StreamType) -> Body:
    body.pop("market", None)
    code = str(quotes.market)
    return {"type": topic.type, "code": code} | body | {"stream_type": stream_type}


def _day_of(step: int) -> int:
    return step // DAY_STEPS * DAY_STEPS
