"""Market time and real time cannot be mixed up: mypy refuses the clock without the method."""

import ast
from collections.abc import Iterator
from pathlib import Path

from service.ports.clock import MarketClock, RealClock

SERVICE = Path(__file__).parents[2] / "service"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def methods(of: type) -> set[str]:
    return {name for name in vars(of) if not name.startswith("_")}


def trees(*rooms: str) -> Iterator[tuple[Path, ast.Module]]:
    for room in rooms:
        for path in sorted((SERVICE / room).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def test_the_two_clocks_share_no_method() -> None:
    assert methods(MarketClock) == {"now", "sleep_market"}
    assert methods(RealClock) == {"utc_now", "monotonic", "sleep_real"}


def test_no_class_of_the_service_has_methods_of_both() -> None:
    both = [
        f"{path.name}: {node.name}"
        for path, tree in trees("")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and (defined := {part.name for part in node.body if isinstance(part, FUNCTIONS)})
        and defined & methods(MarketClock)
        and defined & methods(RealClock)
    ]

    assert both == []


def test_loops_and_flows_know_no_kind_of_clock_and_the_wiring_asks_for_none() -> None:
    asked = [
        f"{path.name}:{node.lineno}"
        for path, tree in trees("loops", "flows", "ops", "app")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ("isinstance" in ast.unparse(node.func) and "clock" in ast.unparse(node).lower())
    ]
    held = [
        f"{path.name}:{node.lineno}"
        for path, tree in trees("loops", "flows", "ops")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "participant"
    ]

    assert asked == held == []
