"""What the specification asks of the code itself."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from service.ops.logs.patcher import EVENTS

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "service"

LONGEST: Final = 75  #: lines; what wires everything together, a line a part, is the longest
USUAL: Final = 40  #: lines; of a hundred functions ninety-nine are no longer

#: Functions that hand on JSON or keywords which another program has shaped.
FOREIGN: Final = {
    "adapters/gemini_errors.py _details",
    "app/remote.py _order",
    "app/remote.py _page",
    "app/remote.py acknowledge",
    "app/remote.py cancel_order",
    "app/remote.py change_risk",
    "app/remote.py declare_not_placed",
    "app/remote.py external_orders",
    "app/remote.py jobs",
    "app/remote.py order",
    "app/remote.py orders",
    "app/remote.py place_order",
    "app/remote.py run_job",
    "ops/log_report/parse.py _object",
    "ops/log_report/parse.py _ours",
    "store/embedded/binaries.py as_process",
    "store/migrations/yoyo_backend.py get_log_data",
}
UNTYPED: Final = re.compile(r"\b(dict|Mapping)\[str, Any\]")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    """Yield each function of the service and where it stands, e.g. "app/jobs.py jobs"."""
    for path in SERVICE.rglob("*.py"):
        place = path.relative_to(SERVICE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield f"{place} {node.name}", node


def length(function: Function) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


@pytest.mark.proves("S7.1")
def test_no_function_is_a_giant_and_hardly_one_is_long() -> None:
    lengths = {place: length(function) for place, function in functions()}
    long = [place for place, lines in lengths.items() if lines > USUAL]

    assert max(lengths.values()) <= LONGEST, max(lengths, key=lambda place: lengths[place])
    assert len(long) * 100 <= len(lengths), long


@pytest.mark.proves("S7.2")
def test_no_function_returns_a_dictionary_of_anything_but_of_what_others_have_shaped() -> None:
    untyped = {
        place
        for place, function in functions()
        if function.returns is not None and UNTYPED.search(ast.unparse(function.returns))
    }

    # The sandbox reads and writes the JSON of Upbit and Gemini.
    assert {place for place in untyped if not place.startswith("sandbox/")} == FOREIGN


@pytest.mark.proves("S7.1", "SC-007")
def test_a_change_that_leaves_too_much_untested_fails_the_test_command() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = makefile.partition("\ntest:")[2].partition("\n\n")[0]

    assert options["coverage"]["report"]["fail_under"] >= 80
    assert options["coverage"]["run"]["source"] == ["service"]
    assert options["coverage"]["run"]["branch"] is True
    assert "omit" not in options["coverage"]["run"]
    assert " --cov " in command
    assert "--cov-fail-under" not in command


def test_migrations_are_numbered_without_a_gap_each_with_its_way_back() -> None:
    names = sorted(path.name for path in (ROOT / "migrations").glob("*.sql"))
    numbers = [int(name[:4]) for name in names if not name.endswith(".rollback.sql")]
    rollbacks = [int(name[:4]) for name in names if name.endswith(".rollback.sql")]

    assert numbers == rollbacks == list(range(1, len(numbers) + 1))


def test_every_line_of_the_log_has_an_event_of_the_closed_list() -> None:
    """Another one would be written without the reason for its name, and be lost to filters."""
    found = {
        keyword.value.value
        for path in SERVICE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "event" and isinstance(keyword.value, ast.Constant)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "bind"
    }

    assert found == EVENTS
