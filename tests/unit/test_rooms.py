"""Who may import whom is data; this reads it."""

import ast
from pathlib import Path

import pytest

SERVICE = Path(__file__).parents[2] / "service"

MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "ports": {"domain"},
    "bus": {"domain"},
    "bounded_queue": set(),
    "config": {"domain"},
    "settings": {"domain", "ports"},
    "store": {"domain", "ports", "bounded_queue"},
    "adapters": {"domain", "ports"},
    "flows": {"domain", "ports", "settings", "bus"},
    "loops": {"domain", "ports"},
    "web": {"domain", "ports", "settings", "flows", "config", "bounded_queue"},
    "ops": {"domain", "ports", "config"},
    "sandbox": {"domain"},
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
