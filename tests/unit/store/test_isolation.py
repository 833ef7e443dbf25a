"""docs/database.md, "Written together": one isolation level, and why it suffices."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
STORE = ROOT / "service" / "store"
#: Its cursors could; the export and the verification have sessions of their own that only read.
MAY_NAME_THEM = {
    STORE / "database" / "cursor.py",
    STORE / "queries" / "export.py",
    STORE / "queries" / "verify.py",
}
STRICTER = re.compile(r"serializable|repeatable.?read|isolation=(?!isolation)", re.IGNORECASE)


def test_nothing_asks_for_an_isolation_level_that_has_to_be_tried_again() -> None:
    """Who needs REPEATABLE READ or SERIALIZABLE also needs a loop around the whole transaction."""
    sources = [*(ROOT / "service").rglob("*.py"), *(ROOT / "migrations").glob("*.sql")]

    asking = [path for path in sources if STRICTER.search(path.read_text())]

    assert set(asking) == MAY_NAME_THEM
