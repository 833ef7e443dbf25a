"""Which word about a market's price is believed. Pure: instants and limits are arguments.

One reference is the newest price that was believed, the other the newest stored price or candle
close. A price far from both is a jump: a fall of the market, or a lie. It is believed once another
source says the same, or once several trades in a row do and nothing contradicts them (ADR 0036).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from service.domain.markets import Market, Ticker

#: So many different trades in a row confirm a jump by themselves...
ROW_OF_TRADES: Final = 3
#: ...when they reach over so much of the market's time.
ROW_LASTS: Final = timedelta(seconds=5)
_HUNDRED: Final = Decimal(100)


class PriceSource(StrEnum):
    """Where a price was heard."""

    STREAM = "stream"
    REST = "rest"


class PriceDoubt(StrEnum):
    """Why there is no price to trade on."""

    NOT_HEARD = "not_heard"  #: no price since the start
    OUTSIDE_LOW_HIGH = "outside_low_high"  #: of its own day
    JUMP = "jump"  #: too far from what was known before, and not confirmed yet
    STALE = "stale"  #: the last trade is too old, or the last word about it


class PriceWord(Protocol):
    """What a source says about a market's price; the fields are those of a ticker."""

    @property
    def market(self) -> Market: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def low(self) -> Decimal: ...
    @property
    def high(self) -> Decimal: ...
    @property
    def traded_at(self) -> datetime: ...

    def whole(self) -> Ticker | None:
        """Return all that the source said, or None when the rest of it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLimits:
    """The operator's limits of a price."""

    max_age: timedelta  #: of the last trade
    max_jump_pct: Decimal  #: from the newest price before


class LivePrice(NamedTuple):
    """A price that is believed. Instants are the market's.

    A tuple, because it is made thousands of times a second: a frozen dataclass costs four times as
    much. Name its fields when you make one.
    """

    market: Market
    price: Decimal  #: quote money
    traded_at: datetime  #: the trade that made it
    heard_at: datetime
    source: PriceSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """Words in a row that agree with each other, and not with what was known before.

    Attributes:
        word: the newest of them.
        began_at: when the first was heard.
        trades: how many different trades they were.
    """

    word: LivePrice
    began_at: datetime
    trades: int = 1

    def is_followed_by(self, word: LivePrice, limits: PriceLimits) -> bool:
        """Whether `word` is the next of this row: near it, and not long after."""
        soon = word.heard_at - self.word.heard_at <= limits.max_age
        return soon and is_near(word.price, self.word.price, limits)

    def and_then(self, word: LivePrice) -> "Jump":
        """Return the row with `word` at its end; a trade that is told again counts once."""
        another = word.traded_at > self.word.traded_at
        return replace(self, word=word, trades=self.trades + another)

    def is_confirmed_by(self, word: LivePrice) -> bool:
        """Whether `word`, the next of this row, makes it a price."""
        if word.source is not self.word.source:
            return True
        row = self.and_then(word)
        return row.trades >= ROW_OF_TRADES and word.heard_at - row.began_at >= ROW_LASTS


def is_near(price: Decimal, reference: Decimal, limits: PriceLimits) -> bool:
    """Whether `price` is no further from `reference` than a price may move at once."""
    return abs(price - reference) * _HUNDRED <= limits.max_jump_pct * reference


def is_stale(price: LivePrice, *, now: datetime, limits: PriceLimits) -> bool:
    """Whether the last trade is too old to trade on."""
    return now - price.traded_at > limits.max_age
