"""Replay of a candle file: prints that add up exactly to the file's candles."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from service.domain.markets import Market
from service.sandbox.market.candle_file import CandleFile
from service.sandbox.market.candle_rows import FileCandle
from service.sandbox.market.generator import PriceGenerator, steps_before
from service.sandbox.market.noise import uniform
from service.sandbox.market.prints import DAY_STEPS, MINUTE_STEPS, Day, step_at
from service.sandbox.market.ticks import UNITS, tick_units


class Replay:
    """A `Source`: a generated past that meets the first candle, the file, then no more prints."""

    def __init__(self, file: CandleFile, *, seed: int, market: Market) -> None:
        self._candles = file.candles
        self._starts = [step_at(candle.opened_at) for candle in file.candles]
        self._width = file.unit * MINUTE_STEPS
        self._seed = seed
        self._past = _meeting(file.candles[0].open, self._starts[0], seed=seed, market=market)
        self.last_step: int | None = self._starts[-1] + self._width - 1

    def day(self, number: int) -> Day:
        first = number * DAY_STEPS
        begin, end = (bisect_left(self._starts, step) for step in (first, first + DAY_STEPS))
        if first + DAY_STEPS <= self._starts[0]:
            return self._past.day(number)
        days = [
            self._prints(start - first, candle)
            for start, candle in zip(self._starts[begin:end], self._candles[begin:end], strict=True)
        ]
        if first < self._starts[0]:
            days.insert(0, steps_before(self._past.day(number), self._starts[0] - first))
        return _joined(days)

    def close(self, number: int) -> int:
        ended = bisect_left(self._starts, (number + 1) * DAY_STEPS)
        return self._candles[ended - 1].close if ended else self._past.close(number)

    def _prints(self, first: int, candle: FileCandle) -> Day:
        prices = _path(candle, self._width, chance=uniform(self._seed, candle.opened_at))
        share, rest = divmod(candle.volume, self._width)
        volumes = [share] * self._width
        volumes[-1] += rest
        funds = [price * volume for price, volume in zip(prices, volumes, strict=True)]
        return Day(
            steps=range(first, first + self._width),
            prices=array("q", prices),
            volumes=array("q", volumes),
            funds=funds if candle.funds is None else _scaled(funds, candle.funds),
        )


def _meeting(price: int, step: int, *, seed: int, market: Market) -> PriceGenerator:
    """Return the generator of this seed, shifted so that its price at `step` is `price`."""
    number, within = divmod(step, DAY_STEPS)
    free = PriceGenerator(seed, market).log_prices(number)[within]
    return PriceGenerator(seed, market, shift=math.log(price / UNITS) - free)


def _path(candle: FileCandle, width: int, *, chance: float) -> list[int]:
    """Return `width` (6 or more) prices: from open through both extremes to close."""
    first, second = candle.low, candle.high
    if candle.close < candle.open:
        first, second = second, first
    # Each extreme is anywhere in its half; the first and the last price are open and close.
    third = width // 3
    at = (0, 1 + int(chance * third), width // 2 + int(chance * third), width - 1)
    corners = list(zip(at, (candle.open, first, second, candle.close), strict=True))
    prices = [candle.open]
    for (begin, start), (end, goal) in pairwise(corners):
        between = (start + (goal - start) * k // (end - begin) for k in range(1, end - begin))
        prices += [_on_tick(price, candle) for price in between]
        prices.append(goal)
    return prices


def _on_tick(price: int, candle: FileCandle) -> int:
    # A file from before 2025-07-31 has other ticks; prices of the file itself are kept.
    return max(candle.low, min(candle.high, price // (tick := tick_units(price)) * tick))


def _scaled(funds: Sequence[int], total: int) -> list[int]:
    """Return `funds` scaled to add up to `total`."""
    whole = sum(funds) or 1
    parts = [part * total // whole for part in funds]
    parts[-1] += total - sum(parts)
    return parts


def _joined(days: Sequence[Day]) -> Day:
    steps, prices, volumes = array("H"), array("q"), array("q")
    funds: list[int] = []
    for day in days:
        steps.extend(day.steps)
        prices.extend(day.prices)
        volumes.extend(day.volumes)
        products = (p * v for p, v in zip(day.prices, day.volumes, strict=True))
        funds.extend(products if day.funds is None else day.funds)
    return Day(steps=steps, prices=prices, volumes=volumes, funds=funds)
