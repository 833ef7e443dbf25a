"""docs/database.md lists every table with its columns and indexes; the real schema is asked."""

import re
from pathlib import Path

import psycopg2
import pytest

PAGE = Path(__file__).parents[4] / "docs" / "database.md"
ROW = re.compile(r"^\| `(\w+)` \| (.*) \| (.*) \|$", re.MULTILINE)

# A partition has the columns and indexes of its table. yoyo's tables are its own.
TABLES = """
    SELECT c.relname,
           (SELECT array_agg(a.attname::text ORDER BY a.attnum)
              FROM pg_attribute AS a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
           (SELECT array_agg(i.relname::text ORDER BY i.relname)
              FROM pg_index AS x
              JOIN pg_class AS i ON i.oid = x.indexrelid
             WHERE x.indrelid = c.oid AND NOT x.indisprimary)
      FROM pg_class AS c
     WHERE c.relnamespace = 'public'::regnamespace
       AND c.relkind IN ('r', 'p', 'v')
       AND NOT c.relispartition
       AND c.relname !~ '^_?yoyo'
     ORDER BY c.relname
"""


def line(name: str, columns: list[str] | None, indexes: list[str] | None) -> str:
    """Return the line that the page must have."""
    told = [", ".join(f"`{one}`" for one in names or ()) or "-" for names in (columns, indexes)]
    return f"| `{name}` | {told[0]} | {told[1]} |"


@pytest.fixture
def schema(dsn: str) -> list[str]:
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
            return [line(*row) for row in cursor.fetchall()]
    finally:
        connection.close()


def test_every_table_column_and_index_stands_on_the_page_as_it_is(schema: list[str]) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## The schema\n")[2]
    written = [match[0] for match in ROW.finditer(section.partition("\n## ")[0])]

    assert written == schema
