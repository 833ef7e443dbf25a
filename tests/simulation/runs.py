"""Many histories, in two processes beside each other."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Final

from loguru import logger

from tests.simulation import history, price_history
from tests.simulation.history import Outcome
from tests.simulation.price_switches import PRICE_SWITCHES
from tests.simulation.switches import switched

#: Lives through one seed.
Live = Callable[[int], Outcome]
_CHUNK: Final = 100


@dataclass(slots=True)
class Tally:
    """What some histories came to.

    Attributes:
        met: (fault, state, outcome), counted over all histories.
        unproved: why orders waited for an operator's word, counted.
        declarations: how often such a word has counted.
        acts: what histories about prices have tried and seen, counted.
        broken: the violations by seed.
    """

    histories: int = 0
    orders: int = 0
    met: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unproved: Counter[str] = field(default_factory=Counter)
    declarations: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    broken: dict[int, list[str]] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        self.histories += other.histories
        self.orders += other.orders
        self.met += other.met
        self.unproved += other.unproved
        self.declarations += other.declarations
        self.acts += other.acts
        self.broken |= other.broken


def lived(
    seeds: range, *, switch: str | None = None, first_only: bool = False, live: Live = history.run
) -> Tally:
    """Live through `seeds` in this process; with `first_only` up to the first broken one."""
    logger.remove()
    tally = Tally()
    with switched(switch):
        for seed in seeds:
            outcome = live(seed)
            tally.histories += 1
            tally.orders += outcome.orders
            tally.met += outcome.met
            tally.unproved += outcome.unproved
            tally.declarations += outcome.declarations
            tally.acts += outcome.acts
            if outcome.violations:
                tally.broken[seed] = outcome.violations
                if first_only:
                    break
    return tally


def tallies(
    first: int, histories: int, *, workers: int, live: Live = history.run
) -> Iterator[Tally]:
    """Yield the tally of each chunk, in the order of the seeds."""
    ends = range(first, first + histories, _CHUNK)
    chunks = [range(begin, min(begin + _CHUNK, first + histories)) for begin in ends]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(lived, live=live), chunks)


def searched(names: list[str], most: int, *, workers: int) -> Iterator[tuple[str, Tally]]:
    """Yield, for each switch, the histories up to the first that finds it, `most` at most."""
    search = partial(_search, most=most)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from zip(names, pool.map(search, names), strict=True)


def _search(name: str, *, most: int) -> Tally:
    return lived(range(most), switch=name, first_only=True, live=lives(name))


def lives(switch: str) -> Live:
    """Return what lives through the histories that must notice `switch`."""
    return price_history.run if switch in PRICE_SWITCHES else history.run
