"""How far a price has moved within the last minutes, and when that halts a market.

Time is counted in whole minutes. A window of n minutes is the running minute and the n before it,
so no move within n minutes is missed, and one of up to n + 1 minutes counts.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

_HUNDRED: Final = Decimal(100)


def minute_of(at: datetime) -> int:
    """Return the minute of `at`, counted from 1970."""
    return int(at.timestamp() // 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteRange:
    """The lowest and the highest price of one minute."""

    minute: int
    low: Decimal
    high: Decimal


def moved_pct(low: Decimal, high: Decimal) -> Decimal:
    """Return how far `high` lies above `low`, in percent of `low`: the larger of rise and fall."""
    return (high - low) * _HUNDRED / low


def is_volatile(low: Decimal, high: Decimal, *, threshold_pct: Decimal) -> bool:
    """Whether a price between `low` and `high` has moved by `threshold_pct` or more."""
    return (high - low) * _HUNDRED >= threshold_pct * low


def may_resume(
    *, halted_at: datetime, now: datetime, after_minutes: int | None, is_calm: bool
) -> bool:
    """Whether a halt for volatility ends by itself.

    Args:
        after_minutes: how long it lasts at least; None: only an operator ends it.
        is_calm: the prices of the window are known, and below the threshold.
    """
    if after_minutes is None or not is_calm:
        return False
    return now - halted_at >= timedelta(minutes=after_minutes)


class RecentRange:
    """The lowest and the highest price of a window that ends with the newest minute.

    Two monotonic queues: of each minute only what no later minute exceeds is kept, at most one
    entry a minute, however many prices come. A price is added in constant time on average.
    Source: "Sliding window maximum" (D. Lemire, Streaming maximum-minimum filter, 2006).
    """

    def __init__(self, *, minutes: int) -> None:
        self.minutes = minutes
        self._highs: deque[tuple[int, Decimal]] = deque()  #: falling
        self._lows: deque[tuple[int, Decimal]] = deque()  #: rising
        self._newest = 0

    def add(self, price: Decimal, *, minute: int) -> None:
        """Take a price. One of an earlier minute than the newest counts to the newest."""
        minute = self._newest = max(minute, self._newest)
        while self._highs and self._highs[-1][1] <= price:
            self._highs.pop()
        # One that stays from this minute lies beyond the price, and both leave together.
        if not self._highs or self._highs[-1][0] < minute:
            self._highs.append((minute, price))
        while self._lows and self._lows[-1][1] >= price:
            self._lows.pop()
        if not self._lows or self._lows[-1][0] < minute:
            self._lows.append((minute, price))
        self.move_to(minute)

    def move_to(self, minute: int) -> None:
        """Drop what is older than the window that ends with `minute`."""
        oldest = minute - self.minutes
        while self._highs and self._highs[0][0] < oldest:
            self._highs.popleft()
        while self._lows and self._lows[0][0] < oldest:
            self._lows.popleft()

    def merge(self, known: Iterable[MinuteRange], *, minutes: int | None = None) -> "RecentRange":
        """Return the range of these prices and of `known`, which may be older.

        Args: minutes: of the new range's window; None: as here.
        """
        merged = RecentRange(minutes=self.minutes if minutes is None else minutes)
        prices = [*self._highs, *self._lows]
        for one in known:
            prices += ((one.minute, one.low), (one.minute, one.high))
        for minute, price in sorted(prices):
            merged.add(price, minute=minute)
        return merged

    def bounds(self) -> tuple[Decimal, Decimal] | None:
        """Return the lowest and the highest price; None without any."""
        return (self._lows[0][1], self._highs[0][1]) if self._lows else None

    def __len__(self) -> int:
        """Return how many entries are kept."""
        return len(self._highs) + len(self._lows)
