"""Ticker frames as words about prices, with exact decimals at the speed of the stream.

orjson reads a JSON number as a double. That loses nothing here: Upbit's numbers come out of
doubles, and a decimal number of at most 15 digits is the only one of so many digits that its double
stands for, so that the shortest text of the double has the very digits that were sent. A number
with more digits, or of any other form, makes its frame be read again by the exact parser.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from service.adapters.upbit import quotation
from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.record import parsed
from service.domain.markets import Market, Ticker

EXACT_DIGITS: Final = 15  #: of a double
_WHOLE_BELOW: Final = 1e15
_LONGEST: Final = EXACT_DIGITS + 1  #: characters of a text that may hold 15 digits and a point
#: Milliseconds of Unix time of 2010 and 2101: outside of them no instant is meant.
_EARLIEST_MS: Final = 1_262_304_000_000
_LATEST_MS: Final = 4_133_980_800_000
_LEAST: Final = 1e-8
_Fields = Mapping[str, Any]  # Any: JSON


class StreamedPrice(NamedTuple):
    """What a frame says about a price. Satisfies domain.PriceWord.

    A tuple: at 2,000 frames a second a frozen dataclass would cost as much as the parser.
    """

    market: Market
    price: Decimal
    low: Decimal
    high: Decimal
    traded_at: datetime
    raw: bytes

    def whole(self) -> Ticker | None:
        """Return the whole ticker; only what is stored needs it, every ten seconds."""
        try:
            return _exactly(self.raw, self.market)
        except OddAnswer:
            return None


class TickerReader:
    """Reads the ticker frames of one market. A day's low and high seldom change: they are kept."""

    __slots__ = ("_high", "_high_sent", "_low", "_low_sent", "market")

    def __init__(self, market: Market) -> None:
        self.market = market
        self._low_sent: object = None
        self._high_sent: object = None
        self._low: Decimal | None = None
        self._high: Decimal | None = None

    def word(self, fields: _Fields, raw: bytes) -> StreamedPrice:
        """Return the word in one ticker frame. Raises: OddAnswer.

        Args: fields: `raw` as orjson reads it.
        """
        at, low, high = (
            fields.get("trade_timestamp"),
            fields.get("low_price"),
            fields.get("high_price"),
        )
        if low != self._low_sent or type(low) is not float:
            self._low_sent, self._low = low, _exact(low)
        if high != self._high_sent or type(high) is not float:
            self._high_sent, self._high = high, _exact(high)
        price = _exact(fields.get("trade_price"))
        if (
            type(at) is int and _EARLIEST_MS <= at < _LATEST_MS
            and price is not None and self._low is not None and self._high is not None
        ):  # fmt: skip
            traded_at = datetime.fromtimestamp(at / 1000, UTC)
            return StreamedPrice(self.market, price, self._low, self._high, traded_at, raw)
        whole = _exactly(raw, self.market)
        return StreamedPrice(self.market, whole.price, whole.low, whole.high, whole.traded_at, raw)


def _exact(value: object) -> Decimal | None:
    """Return the very number that was sent, or None when only the exact parser can tell it."""
    if type(value) is float and _LEAST <= value < _WHOLE_BELOW:
        if value.is_integer():
            return Decimal(int(value))
        text = repr(value)
        return Decimal(text) if len(text) <= _LONGEST else None
    if type(value) is int and 0 < value < _WHOLE_BELOW:
        return Decimal(value)
    return None


def _exactly(raw: bytes, market: Market) -> Ticker:
    """Read a frame as a ticker of REST, whose fields it has. Raises: OddAnswer."""
    fields = parsed(raw)
    if not isinstance(fields, dict):
        raise OddAnswer("ticker: no object")
    return quotation.tickers([fields | {"market": str(market)}], [market])[0]
