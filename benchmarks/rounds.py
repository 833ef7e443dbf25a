"""Interleaved rounds and medians: the machine's mood hits all candidates alike."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

ROUNDS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One comparison."""

    name: str
    ours: float
    theirs: float
    unit: str
    at_most: float  #: the ratio we hold ourselves to

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def is_kept(self) -> bool:
        return self.ratio <= self.at_most

    def __str__(self) -> str:
        verdict = "ok" if self.is_kept else "MISSED"
        return (
            f"{self.name:<52} {self.ours:9.2f} {self.theirs:9.2f} {self.unit:<5}"
            f" {self.ratio:6.2f}x <= {self.at_most:g}x  {verdict}"
        )


def medians(
    candidates: Mapping[str, Callable[[], float]], *, rounds: int = ROUNDS
) -> dict[str, float]:
    """Return each candidate's median over rounds in which every one had its turn.

    The first round only warms up.
    """
    seen: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, measure in candidates.items():
            value = measure()
            if turn:
                seen[name].append(value)
    return {name: statistics.median(values) for name, values in seen.items()}
