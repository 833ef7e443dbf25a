"""Counts looks at an order that found the same, so that one odd answer is not believed."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bound:
    """So many looks in a row, over at least so many real seconds."""

    looks: int
    seconds: float


@dataclass(slots=True)
class _LookRun:
    found: object
    since: float
    looks: int


class Looks:
    """In memory: after a restart each run begins again, which only delays what follows from it."""

    def __init__(self) -> None:
        self._runs: dict[str, _LookRun] = {}

    def count(self, identifier: str, found: object, *, at: float) -> int:
        """Count a look that found `found`; return how many in a row did. Another find restarts.

        Args: at: `RealClock.monotonic()`.
        """
        run = self._runs.get(identifier)
        if run is None or run.found != found:
            run = self._runs[identifier] = _LookRun(found, since=at, looks=0)
        run.looks += 1
        return run.looks

    def reached(self, identifier: str, bound: Bound, *, at: float) -> bool:
        run = self._runs.get(identifier)
        return run is not None and run.looks >= bound.looks and at - run.since >= bound.seconds

    def forget(self, identifier: str) -> None:
        self._runs.pop(identifier, None)


#: `cancel` with nothing executed is believed after a second look: market buys end so with fills.
NOTHING_LEFT: Final = Bound(2, 2.0)
#: A fee that trails its trades is awaited so long; then there was less of it than usual.
FEE: Final = Bound(5, 30.0)
#: What stays odd for so long is the operator's to see.
PERSISTS: Final = Bound(5, 60.0)
#: A row that says "about to be sent" is in doubt when the exchange does not know the order.
DOUBT: Final = Bound(3, 30.0)
#: A request may be held on its way for nearly a minute, and execute after that.
ABSENT: Final = Bound(3, 120.0)
#: After so long no list and no look-up lags: then one currency that has not moved is a proof.
LONG_ABSENT: Final = Bound(10, 600.0)
