"""A market's prints: one trade every few seconds.

Tickers, candles of every length, the order book and the matching of orders are all derived from
these prints. So they agree to the last digit.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import mul
from typing import Final, NamedTuple, Protocol

from service.sandbox.market.ticks import UNITS

STEP_S: Final = 10  #: seconds between prints
DAY_STEPS: Final = 86_400 // STEP_S
MINUTE_STEPS: Final = 60 // STEP_S
_HOUR_STEPS: Final = 60 * MINUTE_STEPS
_DAYS_KEPT: Final = 24  #: about 150 kB each
_BARS_KEPT: Final = 20_000
_DEAREST: Final = 2**63 - 1  #: no print has a higher price
_DAYS_BACK: Final = 4_000  #: every market has a print within so many days
FUNDS_UNITS: Final = UNITS * UNITS  #: of price times volume in one KRW
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def step_at(instant: datetime) -> int:
    """Return the newest step not after `instant`, counted from 1970."""
    return (instant - EPOCH) // timedelta(seconds=STEP_S)


def instant_of(step: int) -> datetime:
    return EPOCH + timedelta(seconds=step * STEP_S)


def milliseconds(instant: datetime) -> int:
    """Return `instant` as Upbit's timestamps: milliseconds since 1970."""
    return (instant - EPOCH) // timedelta(milliseconds=1)


class Print(NamedTuple):
    """One trade of the market: price in units of KRW, volume in units of the coin."""

    step: int
    price: int
    volume: int


class Bar(NamedTuple):
    """The prints of one interval added up; `funds` in 1e-16 KRW."""

    first_step: int  #: the begin of the interval, traded or not
    last_step: int  #: of the newest print
    open: int
    high: int
    low: int
    close: int
    volume: int
    funds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The prints of one UTC day; three sequences of one length, oldest first."""

    steps: Sequence[int]  #: of the day, 0..DAY_STEPS-1; absent where nothing traded
    prices: "array[int]"
    volumes: "array[int]"
    funds: Sequence[int] | None = None  #: 1e-16 KRW; None: price times volume


class Source(Protocol):
    """The origin of a market's prints: a generator or a file."""

    @property
    def last_step(self) -> int | None:
        """After it there are no prints; None: there is always another."""

    def day(self, number: int) -> Day:
        """Return day `number`, counted from 1970."""

    def close(self, number: int) -> int:
        """Return about the last price of day `number`, in units, without computing the day."""


class Prints:
    """A source with a cache, and the queries of the exchange."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._days: OrderedDict[int, Day] = OrderedDict()
        self._bars: dict[tuple[int, int], Bar | None] = {}

    @property
    def last_step(self) -> int | None:
        return self._source.last_step

    def day(self, number: int) -> Day:
        if (day := self._days.get(number)) is None:
            day = self._days[number] = self._source.day(number)
            if len(self._days) > _DAYS_KEPT:
                self._days.popitem(last=False)
        self._days.move_to_end(number)
        return day

    def forget(self, *, after: int) -> None:
        """Compute anew what the source has to say about the steps behind `after`."""
        for number in [number for number in self._days if number >= (after + 1) // DAY_STEPS]:
            del self._days[number]

    def close(self, number: int) -> int:
        """Return about the last price of day `number`, without computing the day."""
        return self._source.close(number)

    def newest(self, step: int) -> Print:
        """Return the newest print not after `step`."""
        if self.last_step is not None:
            step = min(step, self.last_step)
        number, within = divmod(step, DAY_STEPS)
        for back in range(_DAYS_BACK):
            day = self.day(number - back)
            if count := bisect_right(day.steps, within if back == 0 else DAY_STEPS):
                at = count - 1
                first = (number - back) * DAY_STEPS
                return Print(first + day.steps[at], day.prices[at], day.volumes[at])
        raise AssertionError("a market without a single print in years")

    def reaching(self, *, after: int, until: int, low: int, high: int) -> Iterator[Print]:
        """Yield the prints in (after, until] at `low` or cheaper or at `high` or dearer."""
        if self.last_step is not None:
            until = min(until, self.last_step)
        for number in range((after + 1) // DAY_STEPS, until // DAY_STEPS + 1):
            day, first = self.day(number), number * DAY_STEPS
            begin = bisect_right(day.steps, after - first)
            end = bisect_right(day.steps, until - first)
            prices = day.prices[begin:end]
            if not prices or (min(prices) > low and max(prices) < high):
                continue
            for at, price in enumerate(prices, begin):
                if price <= low or price >= high:
                    yield Print(first + day.steps[at], price, day.volumes[at])

    def between(self, *, after: int, until: int) -> Iterator[Print]:
        """Yield the prints in (after, until], oldest first."""
        return self.reaching(after=after, until=until, low=_DEAREST, high=0)

    def bar(self, first: int, width: int, *, now: int) -> Bar | None:
        """Return the interval of `width` steps from `first` as known at step `now`.

        None for an interval without a print. An interval never crosses midnight.
        """
        if first + width > now + 1:
            return self._running(first, now)
        key = (first, width)
        if key not in self._bars:
            if len(self._bars) >= _BARS_KEPT:
                self._bars.clear()
            self._bars[key] = self._add_up(first, first + width)
        return self._bars[key]

    def _running(self, first: int, now: int) -> Bar | None:
        """Add up an unfinished interval from its finished hours, which are cached, and the rest."""
        parts: list[Bar] = []
        begin = first
        for width in (_HOUR_STEPS, MINUTE_STEPS):
            # A wider part begins where hours begin: at any hour of the day.
            while begin % width == 0 and begin + width <= now + 1:
                if (part := self.bar(begin, width, now=now)) is not None:
                    parts.append(part)
                begin += width
        if begin <= now and (part := self._add_up(begin, now + 1)) is not None:
            parts.append(part)
        return _joined(parts, first) if parts else None

    def _add_up(self, first: int, end: int) -> Bar | None:
        number, within = divmod(first, DAY_STEPS)
        day = self.day(number)
        begin = bisect_left(day.steps, within)
        stop = bisect_left(day.steps, within + end - first)
        if begin >= stop:
            return None
        prices, volumes = day.prices[begin:stop], day.volumes[begin:stop]
        funds = map(mul, prices, volumes) if day.funds is None else islice(day.funds, begin, stop)
        return Bar(
            first_step=first,
            last_step=number * DAY_STEPS + day.steps[stop - 1],
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[-1],
            volume=sum(volumes),
            funds=sum(funds),
        )


def _joined(parts: Sequence[Bar], first: int) -> Bar:
    """Return the bars of neighbouring intervals as one that begins at step `first`."""
    return Bar(
        first_step=first,
        last_step=parts[-1].last_step,
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        volume=sum(part.volume for part in parts),
        funds=sum(part.funds for part in parts),
    )
