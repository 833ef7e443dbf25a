"""Prices that a test or an operator writes into a market: a pin, a path, a halt of trading.

A script begins with the next print. So nothing that has been shown changes, and tickers, candles,
books, fills and frames follow it alike.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from service.sandbox.market.prints import DAY_STEPS, Day, Prints, Source
from service.sandbox.market.ticks import UNITS

_FUNDS: Final = 1_000_000 * UNITS * UNITS  #: of a print where the market itself has none
_LARGEST_VOLUME: Final = 10**17


@dataclass(frozen=True, slots=True, kw_only=True)
class _Script:
    """Prices from `first` on, one a step; None is a step without a print."""

    first: int
    prices: Sequence[int | None]
    holds: bool  #: the last price stays for ever; else the market's own prints come back

    def covers(self, step: int) -> bool:
        return self.holds or step < self.first + len(self.prices)

    def price(self, step: int) -> int | None:
        return self.prices[min(step - self.first, len(self.prices) - 1)]


class ScriptedSource:
    """A `Source`: another one's prints, but for the steps that a script covers."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._scripts: list[_Script] = []  #: oldest first; each ends where the next begins

    @property
    def last_step(self) -> int | None:
        own = self._source.last_step
        if own is None:
            return None
        for script, end in self._spans():
            if script.holds and end is None:
                return None
            written = script.first + len(script.prices)
            if end is not None:
                written = end if script.holds else min(end, written)
            own = max(own, written - 1)
        return own

    def script(self, prices: Sequence[int | None], *, after: int, holds: bool) -> None:
        """Print `prices` from the step behind `after` on, instead of what was to come."""
        kept = [script for script in self._scripts if script.first <= after]
        holds = holds and bool(prices)
        self._scripts = [*kept, _Script(first=after + 1, prices=tuple(prices), holds=holds)]

    def day(self, number: int) -> Day:
        day, first = self._source.day(number), number * DAY_STEPS
        scripted = dict(self._scripted(first, first + DAY_STEPS))
        return _merged(day, scripted, first) if scripted else day

    def close(self, number: int) -> int:
        first = number * DAY_STEPS
        if any(True for _ in self._scripted(first, first + DAY_STEPS)):
            prices = self.day(number).prices
            if prices:
                return prices[-1]
        return self._source.close(number)

    def _spans(self) -> Iterator[tuple[_Script, int | None]]:
        """Yield each script with the step at which the next one begins."""
        ends: list[int | None] = [after.first for _, after in pairwise(self._scripts)]
        yield from zip(self._scripts, [*ends, None], strict=False)

    def _scripted(self, begin: int, stop: int) -> Iterator[tuple[int, int | None]]:
        for script, end in self._spans():
            for step in range(max(begin, script.first), stop if end is None else min(stop, end)):
                if not script.covers(step):
                    break
                yield step, script.price(step)


class ScriptedPrints(Prints):
    """A market's prints, into which prices can be written."""

    def __init__(self, source: Source) -> None:
        self._scripted = ScriptedSource(source)
        super().__init__(self._scripted)

    def script(self, prices: Sequence[int | None], *, after: int, holds: bool) -> None:
        """Print `prices`, in units, from the step behind `after` on; None is no trade.

        Without prices the market's own prints come back. Args: holds: the last price stays.
        """
        self._scripted.script(prices, after=after, holds=holds)
        self.forget(after=after)


def _merged(day: Day, scripted: dict[int, int | None], first: int) -> Day:
    prints = {
        step: (price, volume)
        for step, price, volume in zip(day.steps, day.prices, day.volumes, strict=True)
    }
    funds = {} if day.funds is None else dict(zip(day.steps, day.funds, strict=True))
    for step, price in scripted.items():
        within = step - first
        _, volume = prints.pop(within, (0, 0))
        funds.pop(within, None)
        if price is not None:
            prints[within] = (price, volume or min(_LARGEST_VOLUME, max(1, _FUNDS // price)))
    steps = sorted(prints)
    return Day(
        steps=array("H", steps),
        prices=array("q", (prints[step][0] for step in steps)),
        volumes=array("q", (prints[step][1] for step in steps)),
        funds=[funds.get(step, prints[step][0] * prints[step][1]) for step in steps],
    )
