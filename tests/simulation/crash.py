"""A crash as minute candles, for tests that replay one.

The shape is that of KRW-BTC at Upbit on 3 December 2024: from 130 million to 88.3 million KRW
within half an hour, and most of it back in the next. Press reports gave these figures; the candles
between them are ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from service.domain.markets import Market
from service.sandbox.market.candle_file import CandleFile
from service.sandbox.market.candle_rows import FileCandle
from service.sandbox.market.prints import DAY_STEPS, step_at
from service.sandbox.market.replay import Replay
from service.sandbox.market.ticks import UNITS, decimal, rounded

#: What the price is worth at the end of each minute, in parts of what it was before the crash.
CRASH: Final = (
    1.0, 0.994, 0.985, 0.978, 0.966, 0.948, 0.936, 0.925, 0.902, 0.881, 0.864, 0.842, 0.811,
    0.792, 0.765, 0.741, 0.718, 0.702, 0.691, 0.679, 0.712, 0.745, 0.781, 0.768, 0.803, 0.832,
    0.851, 0.874, 0.893, 0.905,
)  # fmt: skip
BEFORE: Final = 130_000_000  #: KRW
OPENED_AT: Final = datetime(2024, 12, 3, 13, 20, tzinfo=UTC)
_BEYOND: Final = 0.0015  #: how far a minute's extremes lie beyond its open and close
_VOLUME: Final = 20 * UNITS


def candles(closes: Sequence[float], *, calm_minutes: int) -> Sequence[FileCandle]:
    """Return a calm time at `BEFORE`, then a minute for each of `closes`."""
    ratios = [*([1.0] * (calm_minutes + 1)), *closes]
    found = []
    for number, (before, after) in enumerate(pairwise(ratios)):
        low, high = min(before, after), max(before, after)
        found.append(
            FileCandle(
                opened_at=OPENED_AT + timedelta(minutes=number),
                open=_price(before),
                high=_price(high * (1 + _BEYOND)),
                low=_price(low * (1 - _BEYOND)),
                close=_price(after),
                volume=_VOLUME,
                funds=None,
            )
        )
    return found


def prints(file: Sequence[FileCandle], market: Market) -> list[int]:
    """Return the prints of the sandbox's replay, one every ten seconds, in units."""
    replay = Replay(CandleFile(market=str(market), unit=1, candles=file), seed=7, market=market)
    first = step_at(file[0].opened_at)
    last = replay.last_step or first
    found: list[int] = []
    for number in range(first // DAY_STEPS, last // DAY_STEPS + 1):
        day = replay.day(number)
        steps = zip(day.steps, day.prices, strict=True)
        found += [price for step, price in steps if first <= number * DAY_STEPS + step <= last]
    return found


def rows(file: Sequence[FileCandle], market: Market) -> Iterator[Mapping[str, Any]]:
    """Yield the candles as Upbit's answer has them, for a file."""
    for candle in file:
        yield {
            "market": str(market),
            "candle_date_time_utc": candle.opened_at.strftime("%Y-%m-%dT%H:%M:%S"),
            "opening_price": float(decimal(candle.open)),
            "high_price": float(decimal(candle.high)),
            "low_price": float(decimal(candle.low)),
            "trade_price": float(decimal(candle.close)),
            "candle_acc_trade_volume": float(decimal(candle.volume)),
            "unit": 1,
        }


def _price(ratio: float) -> int:
    return rounded(int(BEFORE * UNITS * ratio))
