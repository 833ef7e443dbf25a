"""docs/database.md, "Written together": one isolation level, and why it suffices."""

from pathlib import Path

SERVICE = Path(__file__).parents[3] / "service"
THE_GATE = {SERVICE / "store" / "gate.py", SERVICE / "store" / "cursor.py"}


def test_nothing_asks_for_an_isolation_level_that_has_to_be_tried_again() -> None:
    """Who needs REPEATABLE READ or SERIALIZABLE also needs a loop around the whole transaction."""
    asking = [
        path
        for path in SERVICE.rglob("*.py")
        if path not in THE_GATE
        and ("Isolation." in path.read_text() or "isolation=" in path.read_text())
    ]

    assert asking == []
