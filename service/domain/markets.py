"""Markets, prices and the exchange's trading rules, in our own terms."""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from enum import StrEnum
from typing import Final, Self

from service.domain.errors import ExchangeUnavailable, UnknownMarket

_CODE: Final = re.compile(r"([A-Z0-9]{2,10})-([A-Z0-9]{1,15})")
VOLUME_STEP: Final = Decimal("0.00000001")  #: coins are counted in steps of this size


@dataclass(frozen=True, slots=True, order=True)
class Market:
    """A coin (`base`) traded for money (`quote`); written QUOTE-BASE, e.g. KRW-BTC."""

    quote: str
    base: str

    @classmethod
    def parse(cls, code: str) -> "Market":
        """Return the market called `code`, or raise UnknownMarket."""
        match = _CODE.fullmatch(code)
        if match is None:
            raise UnknownMarket(f"{code!r} is no market name; write it like KRW-BTC")
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.quote}-{self.base}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """The market's state at one instant. Prices in quote money, volumes in coins."""

    market: Market
    price: Decimal
    high: Decimal  #: of the running UTC day
    low: Decimal  #: of the running UTC day
    volume_24h: Decimal
    change_since_close_ratio: Decimal  #: 0.01 = one per cent above the close of the UTC day before
    traded_at: datetime  #: the last trade

    def whole(self) -> "Ticker":
        """Return itself: some sources say a price first and the rest only when it is wanted."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class BestPrices:
    """What the order book offers at best, in quote money."""

    market: Market
    bid: Decimal  #: of those who buy
    ask: Decimal  #: of those who sell


class Timeframe(StrEnum):
    """The length of a candle."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M10 = "10m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"

    @property
    def duration(self) -> timedelta:
        return _DURATIONS[self]


_DURATIONS: Final = {
    Timeframe.M1: timedelta(minutes=1),
    Timeframe.M3: timedelta(minutes=3),
    Timeframe.M5: timedelta(minutes=5),
    Timeframe.M10: timedelta(minutes=10),
    Timeframe.M15: timedelta(minutes=15),
    Timeframe.M30: timedelta(minutes=30),
    Timeframe.H1: timedelta(hours=1),
    Timeframe.H4: timedelta(hours=4),
    Timeframe.D1: timedelta(days=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """The trades of one timeframe. An interval without a trade has no candle."""

    market: Market
    timeframe: Timeframe
    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal  #: coins
    funds: Decimal  #: quote money that changed hands

    @property
    def ends_at(self) -> datetime:
        return self.opened_at + self.timeframe.duration


class CandlePage(tuple[Candle, ...]):  # noqa: SLOT001 - a tuple takes no slots of its own
    """The candles of one answer, oldest first.

    Attributes:
        unreadable: how many rows were left out because they could not be read.
    """

    unreadable: int

    def __new__(cls, candles: Iterable[Candle] = (), *, unreadable: int = 0) -> Self:
        page = super().__new__(cls, candles)
        page.unreadable = unreadable
        return page


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """What the exchange accepts in one market at present."""

    market: Market
    fee_ratio: Decimal  #: of an order's funds; a buy's fee comes on top
    min_funds: Decimal  #: smallest order, quote money
    max_funds: Decimal  #: largest order, quote money
    tick_size: Decimal  #: prices are multiples of it
    active: bool = True
    #: Names of what the exchange warns of in this market, e.g. PRICE_FLUCTUATIONS; also UNREADABLE,
    #: when that cannot be known, and NOT_LISTED. No entries, whatever the name.
    warnings: tuple[str, ...] = ()
    delisted_at: date | None = None  #: the exchange's day on which its trading ends
    #: Where the tick depends on the price: (least price, tick), ascending. `tick_size` is the
    #: exchange's own word, for the market's present price.
    ticks: tuple[tuple[Decimal, Decimal], ...] = ()

    def tick_at(self, price: Decimal, *, now: Decimal) -> Decimal:
        """Return the tick of a limit order at `price`. Args: now: the market's present price."""
        step = self._step(price)
        return self.tick_size if step == self._step(now) else self.ticks[step][1]

    def _step(self, price: Decimal) -> int:
        return bisect_right([least for least, _ in self.ticks], price) - 1

    def floor_to_tick(self, price: Decimal, *, now: Decimal) -> Decimal:
        """Return `price` rounded down to its tick. Args: now: the market's present price."""
        tick = self.tick_at(price, now=now)
        return (price / tick).to_integral_value(ROUND_DOWN) * tick

    def is_on_tick(self, price: Decimal) -> bool:
        return price > 0 and price % self.tick_size == 0

    def price_on_tick(self, price: Decimal, *, up: bool) -> Decimal:
        """Return the nearest price on the tick that is not below (`up`) or not above `price`."""
        steps = (price / self.tick_size).to_integral_value(ROUND_UP if up else ROUND_DOWN)
        return steps * self.tick_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One currency of the account."""

    currency: str
    available: Decimal
    locked: Decimal  #: in open orders

    @property
    def total(self) -> Decimal:
        return self.available + self.locked


class Balances(Mapping[str, Balance]):
    """The account by currency. One that is missing is not held.

    One whose row could not be read raises ExchangeUnavailable when it is asked for: it must not
    pass for nothing held. The others are as good as in any answer.

    Attributes:
        unreadable: the currencies of rows that could not be read.
    """

    def __init__(
        self, readable: Mapping[str, Balance], *, unreadable: Collection[str] = ()
    ) -> None:
        self._readable = dict(readable)
        self.unreadable = frozenset(unreadable)

    def __getitem__(self, currency: str) -> Balance:
        if currency in self.unreadable:
            raise ExchangeUnavailable(
                f"what the account holds of {currency} cannot be read", code="bad_answer"
            )
        return self._readable[currency]

    def __iter__(self) -> Iterator[str]:
        return iter(self._readable)

    def __len__(self) -> int:
        return len(self._readable)


def whole_steps(volume: Decimal) -> Decimal:
    """Return `volume` rounded down to VOLUME_STEP."""
    return volume.quantize(VOLUME_STEP, ROUND_DOWN)
