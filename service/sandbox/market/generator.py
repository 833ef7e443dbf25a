"""The seeded market: a geometric random walk with volatility regimes, computable at any instant.

The walk is two nested bridges. The outer one spans an era of 512 days, between levels drawn around
the market's base price: so prices stay plausible for ever. Inside an era each day is a step whose
size follows the day's regime. The inner bridge spans a day: 8,640 prints from one midnight's level
to the next. A bridge depends on its own block only, so there is no state and any order of calls
gives the same prices.
"""

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, compress, repeat
from operator import mul
from typing import Final

from service.domain.markets import Market
from service.sandbox.market.noise import integers, normal, uniform
from service.sandbox.market.prints import DAY_STEPS, MINUTE_STEPS, Day
from service.sandbox.market.ticks import UNITS, rounded, tick_units

_ERA_DAYS: Final = 512
_ERA_SPREAD: Final = 0.15  #: standard deviation of an era's level around the base, log price
_DAILY: Final = 0.025  #: standard deviation of a day's log return in a regime of 1
_CALMEST, _WILDEST = 0.4, 2.5
_INT16_SPREAD: Final = 65_536 / math.sqrt(12)
_HOUR_STEPS: Final = DAY_STEPS // 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """The parameters of one market."""

    price: float  #: KRW, the level that the walk returns to
    turnover: float  #: KRW traded on an ordinary day
    quiet_ratio: float = 0.0  #: share of the minutes in which nothing trades


_KNOWN: Final = {
    "BTC": Character(price=140_000_000, turnover=150e9),
    "ETH": Character(price=5_200_000, turnover=90e9, quiet_ratio=0.004),
    "XRP": Character(price=3_500, turnover=120e9, quiet_ratio=0.004),
    "SOL": Character(price=250_000, turnover=40e9, quiet_ratio=0.02),
    "DOGE": Character(price=350, turnover=30e9, quiet_ratio=0.02),
    "ADA": Character(price=1_100, turnover=10e9, quiet_ratio=0.05),
}


def character_of(market: Market) -> Character:
    """Return the market's parameters; for unknown coins they are drawn from the name."""
    known = _KNOWN.get(market.base)
    return known or Character(
        price=10 ** (1 + 4 * uniform("price", market)),
        turnover=10 ** (8.5 + 1.5 * uniform("turnover", market)),
        quiet_ratio=0.1 + 0.2 * uniform("quiet", market),
    )


class PriceGenerator:
    """A `Source`: the same seed gives the same market, here and in every other process."""

    last_step: int | None = None

    def __init__(self, seed: int, market: Market, *, shift: float = 0.0) -> None:
        """Args: shift: added to every log price, for a history that must meet a known price."""
        self._name = (seed, market)
        self._character = character_of(market)
        self._shift = shift
        # One cache for each generator: a shared one would keep other generators' eras alive.
        self._era = lru_cache(maxsize=8)(self._levels_of_era)

    def level(self, day: int) -> float:
        """Return the log price at 00:00 UTC of `day`, in KRW."""
        era, within = divmod(day, _ERA_DAYS)
        return self._era(era)[within] + self._shift

    def regime(self, day: int) -> float:
        """Return the day's volatility factor: 0.4 is calm, 1 ordinary, 2.5 a crash."""
        week, within = divmod(day, 7)
        # The slow part changes from week to week without a jump; the fast part is drawn for the
        # day.
        slow = (7 - within) * normal(*self._name, "week", week)
        slow += within * normal(*self._name, "week", week + 1)
        size = math.exp(0.4 * slow / 7 + 0.25 * normal(*self._name, "mood", day))
        return min(_WILDEST, max(_CALMEST, size))

    def log_prices(self, day: int) -> list[float]:
        """Return the log price at each step of the day, before rounding to the tick."""
        start, end = self.level(day), self.level(day + 1)
        hours = integers(24, *self._name, "hours", day, kind="B")
        scales = [128 + size for size in hours]  # volatility: 1 to 3 times the calmest hour's
        raw = integers(DAY_STEPS, *self._name, "steps", day, kind="h")
        sizes = chain.from_iterable(repeat(scale, _HOUR_STEPS) for scale in scales)
        walked = list(accumulate(map(mul, raw, sizes), initial=0))
        spread = _INT16_SPREAD * math.sqrt(_HOUR_STEPS * sum(scale * scale for scale in scales))
        width = _DAILY * self.regime(day) / spread
        slope = (end - start - width * walked[-1]) / DAY_STEPS
        return [start + width * x + slope * step for step, x in enumerate(walked[:-1])]

    def day(self, number: int) -> Day:
        logs = self.log_prices(number)
        prices = on_ticks(logs)
        volumes = self._volumes(number, price=math.exp(logs[0]))
        if not self._character.quiet_ratio:
            return Day(steps=range(DAY_STEPS), prices=prices, volumes=volumes)
        traded = self._traded(number)
        return Day(
            steps=array("H", compress(range(DAY_STEPS), traded)),
            prices=array("q", compress(prices, traded)),
            volumes=array("q", compress(volumes, traded)),
        )

    def close(self, number: int) -> int:
        """Return the level at the midnight that ends the day: the last print is close to it."""
        return rounded(int(math.exp(self.level(number + 1)) * UNITS))

    def _levels_of_era(self, era: int) -> Sequence[float]:
        name, base = self._name, math.log(self._character.price)
        first = base + _ERA_SPREAD * normal(*name, "era", era)
        last = base + _ERA_SPREAD * normal(*name, "era", era + 1)
        days = range(era * _ERA_DAYS, (era + 1) * _ERA_DAYS)
        returns = (_DAILY * self.regime(day) * normal(*name, "day", day) for day in days)
        walked = list(accumulate(returns, initial=0.0))
        slope = (last - first - walked[-1]) / _ERA_DAYS
        return [first + x + slope * step for step, x in enumerate(walked[:-1])]

    def _volumes(self, day: int, *, price: float) -> "array[int]":
        # Squares give many small trades and a few large ones; the mean of u*u is a third.
        mean = self._character.turnover * self.regime(day) / price / DAY_STEPS
        scale = 3 * mean * UNITS / 65_536**2
        drawn = integers(DAY_STEPS, *self._name, "volumes", day, kind="H")
        return array("q", [1 + int(scale * u * u) for u in drawn])

    def _traded(self, day: int) -> list[bool]:
        limit = self._character.quiet_ratio * 65_536
        minutes = integers(DAY_STEPS // MINUTE_STEPS, *self._name, "quiet", day, kind="H")
        return [u >= limit for u in minutes for _ in range(MINUTE_STEPS)]


def on_ticks(logs: Sequence[float]) -> "array[int]":
    """Return the prices in units, each on its tick, for log prices in KRW."""
    low, high = (math.exp(f(logs)) * UNITS for f in (min, max))
    tick = tick_units(int(low))
    if tick == tick_units(int(high) + tick):
        # Nearly always the day has one tick size: this takes a third of the general case's time.
        exp, scale = math.exp, UNITS / tick
        return array("q", [(int(exp(x) * scale + 0.5) or 1) * tick for x in logs])
    return array("q", [rounded(int(math.exp(x) * UNITS)) for x in logs])


def steps_before(day: Day, step: int) -> Day:
    """Return the part of the day before `step`."""
    end = bisect_right(day.steps, step - 1)
    return Day(steps=day.steps[:end], prices=day.prices[:end], volumes=day.volumes[:end])
