"""Which room and which wing may import which is data; README.md shows the same table."""

import ast
import re
from pathlib import Path

import pytest

SERVICE = Path(__file__).parents[2] / "service"

ROOT = Path(__file__).parents[2]

MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "ports": {"domain"},
    "bus": {"domain"},
    "bounded_queue": set(),
    "crashpoints": set(),
    "config": {"domain", "crashpoints"},
    "settings": {"domain", "ports"},
    "store": {"domain", "ports", "bounded_queue", "crashpoints"},
    "adapters": {"domain", "ports", "crashpoints"},
    "flows": {"domain", "ports", "settings", "bus", "crashpoints"},
    "loops": {"domain", "ports"},
    "web": {"domain", "ports", "settings", "flows", "config", "bounded_queue"},
    "ops": {"domain", "ports", "config"},
    "sandbox": {"domain"},
}

#: What a wing may import of its own room: sister wings by name, and "root" for the modules that
#: stand beside the wings. The root's own row says which wings it may import.
WINGS: dict[str, dict[str, set[str]]] = {
    # Answers, holds and the clock stand beside the one wing.
    "adapters": {"root": set(), "upbit": {"root"}},
    # The rules that halt by themselves stand apart from those of a single order.
    "domain": {"root": set(), "limits": {"root"}, "risk": {"root"}},
    "flows": {"root": set(), "alerts": set()},
    "store": {
        "database": set(),
        "embedded": {"database"},
        "tables": {"database"},
        "queries": {"database"},
        # Applying a migration writes the lists of the months that retention keeps.
        "migrations": {"database", "tables"},
        # A backup is refused by what its migrations say.
        "archive": {"database", "embedded", "migrations"},
    },
    "ops": {"logs": set(), "health": set(), "metrics": set(), "log_report": {"logs"}},
    "sandbox": {
        "root": {"market", "exchange", "upbit_api", "gemini_api", "stream"},
        "market": set(),
        "exchange": {"market", "root"},
        # Upbit's answers show prices and orders.
        "upbit_api": {"market", "exchange", "root"},
        "gemini_api": {"root"},
        # Frames show what the answers of the Quotation API are built from.
        "stream": {"market", "exchange", "upbit_api", "root"},
    },
    "web": {
        "root": {"contract", "protocol", "overload", "api", "table"},
        # The document of the API names the problems, which protocol answers.
        "contract": {"protocol"},
        "protocol": {"contract", "root"},
        "api": {"contract", "protocol", "root"},
        # The rows: which handler answers where, for which role, with what.
        "table": {"api", "contract"},
        "overload": {"contract", "protocol"},
    },
}


def rooms_used(source: str) -> set[str]:
    """Return the rooms of `service` that `source` imports, wherever the import stands."""
    used: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        used |= {name.split(".")[1] for name in names if name.startswith("service.")}
    return used - {"__version__"}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_the_table_allows(room: str) -> None:
    files = [SERVICE / f"{room}.py", *(SERVICE / room).rglob("*.py")]
    used: set[str] = set()
    for file in files:
        if file.exists():
            used |= rooms_used(file.read_text(encoding="utf-8"))

    assert used - {room} <= MAY_IMPORT[room]


def test_every_room_stands_in_the_table() -> None:
    rooms = {path.stem for path in SERVICE.iterdir() if path.suffix == ".py" or path.is_dir()}

    assert rooms - {"__init__", "__main__", "__pycache__", "app", "cli"} == set(MAY_IMPORT)


def test_the_reader_sees_every_form_of_import() -> None:
    source = "import service.store.pool\nfrom service import bus\nfrom service.web.app import x\n"

    assert rooms_used(source) == {"store", "bus", "web"}


# --- wings ----------------------------------------------------------------------------------------


def wing_of(path: Path, room: str) -> str:
    """Return the wing of a module of `room`: a folder's name, or "root"."""
    inside = path.relative_to(SERVICE / room).parts
    return inside[0] if len(inside) > 1 else "root"


def wings_used(source: str, room: str) -> set[str]:
    """Return the wings of `room` that `source` imports, and "root" for its other modules."""
    used: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                _, _, inside = f"{node.module}.{alias.name}".partition(f"service.{room}.")
                first = inside.partition(".")[0]
                if first:
                    used.add(first if first in WINGS[room] else "root")
    return used


@pytest.mark.parametrize(
    ("room", "wing"), [(room, wing) for room, wings in WINGS.items() for wing in wings]
)
def test_a_wing_imports_only_the_sister_wings_that_the_table_allows(room: str, wing: str) -> None:
    used: set[str] = set()
    for file in (SERVICE / room).rglob("*.py"):
        if wing_of(file, room) == wing:
            used |= wings_used(file.read_text(encoding="utf-8"), room)

    assert used - {wing} <= WINGS[room][wing]


@pytest.mark.parametrize("room", WINGS)
def test_every_wing_stands_in_the_table(room: str) -> None:
    modules = [path for path in (SERVICE / room).rglob("*.py") if path.name != "__init__.py"]

    assert {wing_of(path, room) for path in modules} == set(WINGS[room])


def test_a_room_of_more_than_two_dozen_modules_has_wings() -> None:
    for room in MAY_IMPORT:
        if room not in WINGS and (SERVICE / room).is_dir():
            assert len(list((SERVICE / room).rglob("*.py"))) <= 24, room


def test_the_reader_of_wings_tells_a_wing_from_a_module_of_the_root() -> None:
    source = "from service.web.keys import X\nfrom service.web.api import admin\n"

    assert wings_used(source, "web") == {"root", "api"}


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_readme_shows_what_a_room_may_import(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    shown = text.partition("<!-- rooms -->")[2].partition("<!-- /rooms -->")[0]

    for room, allowed in MAY_IMPORT.items():
        (line,) = re.findall(rf"^  {room}(?:/|\.py) +([a-z_ ]+?|없음)  ", shown, re.MULTILINE)
        words = set() if line in {"nothing", "없음"} else set(line.split())
        assert words == allowed, room
