"""Interleaved rounds and medians: a disturbance of the machine hits all candidates alike."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

ROUNDS: Final = 7
#: For short rounds: a disturbance of half a second then covers few of them.
MANY_ROUNDS: Final = 41


@dataclass(frozen=True, slots=True)
class Samples:
    """The values of one candidate, one a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """The smallest value. Of durations it is the least disturbed one, to trust under load."""
        return min(self.values)

    @property
    def noise(self) -> float:
        """The interquartile range, as a part of the median."""
        if len(self.values) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return (high - low) / self.median


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the table: a ratio of two medians, or a single figure."""

    name: str
    ours: float
    theirs: float | None = None  #: None: the figure has no counterpart
    unit: str
    noise: float | None = None  #: of `theirs`, which contains nothing of ours
    at_most: float | None = None  #: bound of the ratio, or of a single figure
    at_least: float | None = None
    within: float = 0.0  #: smallest difference, in `unit`, that the machine can tell apart
    again: bool = False  #: measured a second time, because the first missed its bound

    @classmethod
    def of(
        cls,
        name: str,
        ours: Samples,
        theirs: Samples,
        *,
        unit: str,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> Self:
        return cls(
            name=name, ours=ours.median, theirs=theirs.median, unit=unit, noise=theirs.noise,
            at_most=at_most, at_least=at_least,
        )  # fmt: skip

    @property
    def value(self) -> float:
        return self.ours if self.theirs is None else self.ours / self.theirs

    def is_kept(self, slack: float = 1.0) -> bool:
        """Return whether the bound, made `slack` times as wide, is kept."""
        if self.theirs is not None and self.ours - self.theirs <= self.within * slack > 0:
            return True
        return (self.at_most is None or self.value <= self.at_most * slack) and (
            self.at_least is None or self.value >= self.at_least / slack
        )

    @property
    def bound(self) -> str:
        sign = "x" if self.theirs is not None else f" {self.unit}".rstrip()
        if self.at_most is not None:
            more = f" or +{self.within:g} {self.unit}" if self.within else ""
            return f"<= {self.at_most:g}{sign}{more}"
        return "-" if self.at_least is None else f">= {self.at_least:g}{sign}"

    def verdict(self, slack: float = 1.0) -> str:
        if self.at_most is None and self.at_least is None:
            return ""
        if not self.is_kept(slack):
            return "MISSED"
        return "ok" if self.is_kept() else "ok, within the slack"

    def __str__(self) -> str:
        if self.theirs is None:
            return f"{self.name:<62} {self.ours:9.2f} {self.unit:<28} {self.bound}"
        return (
            f"{self.name:<62} {self.ours:9.2f} {self.theirs:9.2f} {self.unit:<5}"
            f" {self.value:6.2f}x {self.bound:<19}"
        )


def interleaved(
    candidates: Mapping[str, Callable[[], float]], *, rounds: int = ROUNDS
) -> dict[str, Samples]:
    """Measure each candidate once a round; the first round warms up and is left out."""
    seen: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, measure in candidates.items():
            value = measure()
            if turn:
                seen[name].append(value)
    return {name: Samples(tuple(values)) for name, values in seen.items()}
