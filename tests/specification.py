"""Which tests prove which row of the specification; `python -m tests.specification` writes it down.

A test names its rows in a mark, `@pytest.mark.proves("S1.1", "FR-001")`; a fault of tests/faults
has them in its row of the table. Both are read from the source without importing it, which takes
a second for all tests.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs" / "specification.md"
ROW: Final = re.compile(r"\b(?:S\d\.(?:\d|edge)|FR-\d{3}|SC-\d{3})(?![\w.])")
FAULTS: Final = "tests/faults/table.py"
#: Every fault of the table is a parameter of this test.
OF_A_FAULT: Final = (
    "tests/faults/test_faults.py",
    "test_the_service_tells_of_the_fault_outlives_it_and_loses_nothing",
)
_HEADING: Final = re.compile(r"^(?=##)", re.MULTILINE)
#: Marks of tests that `make test` leaves to other steps of CI.
_APART: Final = ("chaos", "slow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A test function and the rows it names."""

    path: str  #: below the root of the repository
    test: str
    rows: tuple[str, ...]  #: in its mark
    told: frozenset[str]  #: in its docstring
    apart: tuple[str, ...]

    def line(self) -> str:
        apart = f" ({', '.join(self.apart)})" if self.apart else ""
        return f"- `{self.path}::{self.test}`{apart}"


def demands(document: str) -> dict[str, str]:
    """Return each row of `document` and what it demands."""
    return dict(filter(None, map(_row_of, _HEADING.split(document))))


def proofs(root: Path = ROOT) -> list[Proof]:
    """Return the tests that name a row, file by file."""
    found: list[Proof] = []
    for path in sorted(root.glob("tests/**/test_*.py")):
        source = path.read_text(encoding="utf-8")
        if ROW.search(source):
            found += _of_module(ast.parse(source), path.relative_to(root).as_posix())
    table = root / FAULTS
    if table.exists():
        found += _of_faults(ast.parse(table.read_text(encoding="utf-8")))
    return found


def of_a_fault(lane: str, name: str, what: str) -> str:
    """Return the parameter of the test that tries this fault."""
    return f"lane_{lane}-{name}-{what}".replace(" ", "_")


def written(document: str, found: Iterable[Proof]) -> str:
    """Return `document` with command and tests of each row below what the row demands."""
    return "".join(_written(part, found) for part in _HEADING.split(document))


def _written(part: str, found: Iterable[Proof]) -> str:
    if (row := _row_of(part)) is None:
        return part
    name, demand = row
    tests = "\n".join(proof.line() for proof in found if name in proof.rows) or "- none"
    end = part[len(part.rstrip("\n")) :]
    return f"### {name}\n\n{demand}\n\n`make row ROW={name}`\n\n{tests}{end}"


def _row_of(part: str) -> tuple[str, str] | None:
    """Return the name and the demand of the row below one heading; None where it is no row."""
    heading, _, body = part.partition("\n\n")
    name = heading.removeprefix("### ")
    return (name, body.partition("\n\n")[0].rstrip("\n")) if ROW.fullmatch(name) else None


def _of_module(module: ast.Module, path: str) -> Iterator[Proof]:
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        marks = dict(_marks(node.decorator_list))
        told = frozenset(ROW.findall(ast.get_docstring(node) or ""))
        if "proves" in marks or told:
            yield Proof(
                path=path,
                test=node.name,
                rows=tuple(ast.literal_eval(row) for row in marks.get("proves", ())),
                told=told,
                apart=tuple(name for name in _APART if name in marks),
            )


def _of_faults(module: ast.Module) -> Iterator[Proof]:
    path, test = OF_A_FAULT
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "Fault":
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        if "proves" not in given:
            continue
        lane, name, what = (ast.literal_eval(given[key]) for key in ("lane", "name", "what"))
        yield Proof(
            path=path,
            test=f"{test}[{of_a_fault(lane, name, what)}]",
            rows=ast.literal_eval(given["proves"]),
            told=frozenset(),
            apart=() if "quick" in given else ("chaos",),
        )


def _marks(decorators: Iterable[ast.expr]) -> Iterator[tuple[str, list[ast.expr]]]:
    """Yield name and arguments of each `@pytest.mark.name` or `@pytest.mark.name(…)`."""
    for node in decorators:
        mark, given = (node.func, node.args) if isinstance(node, ast.Call) else (node, [])
        if (name := ast.unparse(mark)).startswith("pytest.mark."):
            yield name.removeprefix("pytest.mark."), given


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(written(text, proofs()), encoding="utf-8")
