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


def streamed_price(fields: _Fields, raw: bytes, market: Market) -> StreamedPrice:
    """Return the word in one ticker frame. Raises: OddAnswer.

    Args: fields: `raw` as orjson reads it.
    """
    at = fields.get("trade_timestamp")
    price, low, high = (
        _exact(fields.get("trade_price")),
        _exact(fields.get("low_price")),
        _exact(fields.get("high_price")),
    )
    if type(at) is int and _EARLIEST_MS <= at < _LATEST_MS and price and low and high:
        traded_at = datetime.fromtimestamp(at / 1000, UTC)
        return StreamedPrice(market, price, low, high, traded_at, raw)
    whole = _exactly(raw, market)
    return StreamedPrice(market, whole.price, whole.low, whole.high, whole.traded_at, raw)


def _exact(value: object) -> Decimal | None:
    """Return the very number that was sent, or None when only the exact parser can tell it."""
    if type(value) is float:
        if not _LEAST <= value < _WHOLE_BELOW:
            return None
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
