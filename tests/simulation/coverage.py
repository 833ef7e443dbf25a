"""The table of faults, states and outcomes that the histories went through."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from service.domain.orders import ExitRule, OrderStatus
from tests.simulation.cells import CELLS
from tests.simulation.paths import MOVES
from tests.simulation.priced import LIES, Quotation
from tests.simulation.world import NO_ROW

Cell = tuple[str, str, str]  #: fault, state of the order it met, status of the order at the end
_S: Final = OrderStatus
STATES: Final = (
    NO_ROW, _S.PENDING, _S.SUBMITTED, _S.PARTIALLY_FILLED, _S.UNKNOWN, _S.EXECUTED, _S.CANCELLED,
    _S.FAILED,
)  # fmt: skip
#: What every whole run of the histories about prices tries, and what must come of it.
ACTS: Final = frozenset(
    {
        *(f"price: {move}" for move in MOVES),
        *(f"{way}: {said}" for way in Quotation for said in (*LIES, "silence")),
        *(
            f"refused: {rule}"
            for rule in ("daily_loss_limit", "max_exposure", "price", "volatility")
        ),
        *(f"halted: {limit}" for limit in ("daily_loss_limit", "volatility")),
        *(f"{rule}: {OrderStatus.EXECUTED}" for rule in ExitRule),
        *(f"alert: {told}" for told in ("exit", "unprotected", "unwatched")),
        "sold from the file",
        "bought",
    }
)
#: A cell that met fewer of this many histories is not asked of every run.
OFTEN: Final = 4


def table(met: Mapping[Cell, int]) -> str:
    """Return the table as text: a row a fault, a column a state, in it how the orders ended."""
    rows: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (fault, state, end), times in sorted(met.items()):
        rows[fault][state].append(f"{_short(end)}{times}")
    return "\n".join(
        [
            f"{'fault':<38}" + "".join(f"{state:<20}" for state in STATES),
            *(
                f"{fault:<38}" + "".join(f"{' '.join(cells[state]):<20}" for state in STATES)
                for fault, cells in sorted(rows.items())
            ),
            "E executed, C cancelled, F failed, - no order; others by their name",
        ]
    )


def missing(met: Mapping[Cell, int]) -> list[str]:
    """Return the cells that no history reached, as one sentence each."""
    return [" · ".join(cell) for cell in sorted(expected() - met.keys())]


def expected() -> set[Cell]:
    return {
        (fault, state, end)
        for fault, cells in CELLS.items()
        for state, ends in cells.items()
        for end in ends.split()
    }


def without(acts: Mapping[str, int]) -> list[str]:
    """Return what every whole run of the histories about prices must have had, and had not."""
    return sorted(ACTS - {act for act, times in acts.items() if times})


def as_module(met: Mapping[Cell, int]) -> str:
    """Return the source of `cells.py` for what was met often enough."""
    rows: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (fault, state, end), times in sorted(met.items()):
        if times >= OFTEN and end != NO_ROW:
            rows[fault][state].append(end)
    lines = [
        '"""The cells that every run must reach: `python -m tests.simulation --cells` writes them.',
        "",
        "A cell says that a fault met an order in a state, and how that order ended. What is not",
        "here is impossible, or too rare to be asked of each run.",
        '"""',
        "",
        "from collections.abc import Mapping",
        "from typing import Final",
        "",
        "CELLS: Final[Mapping[str, Mapping[str, str]]] = {",
        *_lines(rows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _lines(rows: Mapping[str, Mapping[str, list[str]]]) -> Iterable[str]:
    for fault, cells in sorted(rows.items()):
        yield f'    "{fault}": {{'
        for state in STATES:
            if cells.get(state):
                yield f'        "{state}": "{" ".join(cells[state])}",'
        yield "    },"


def _short(end: str) -> str:
    if end == NO_ROW:
        return "-"
    return end[0] if end in {"EXECUTED", "CANCELLED", "FAILED"} else f"{end} "
