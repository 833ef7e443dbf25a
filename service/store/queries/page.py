"""One way to read a page, a row or a whole list that PostgreSQL has made JSON of.

Lists are cut by key, never by OFFSET. The statement asks for one row more than the page holds, and
its last column says whether that row came. The driver writes parameters into the statement. So a
parameter that is None makes its condition constant, and the planner drops the condition. One
statement serves every filter and still uses the filter's index.
"""

from collections.abc import Mapping
from typing import Any, Final

from service.ports.queries import Page, PageKey
from service.store.database.pool import Pool

#: How `to_char` writes an instant (given in UTC): RFC 3339, to the microsecond.
INSTANT: Final = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'

_PAGE: Final = """
    SELECT coalesce(json_agg(item ORDER BY n) FILTER (WHERE n <= %(limit)s), '[]')::text,
           max(at) FILTER (WHERE n = %(limit)s),
           max(row_id) FILTER (WHERE n = %(limit)s),
           count(*) > %(limit)s
"""

_ITEMS: Final = """
    SELECT coalesce(json_agg(item ORDER BY n), '[]')::text
"""

_ITEM: Final = """
    SELECT row_to_json(item)::text
"""


def page_of(source: str) -> str:
    """Return a statement that answers a page: items, key of the last one, whether more follow.

    Args: source: FROM and what follows it, with two relations. One has a row more than the page
        holds, numbered `n`, its key in `at` and `row_id`. The other, `item`, is what is shown.
    """
    return _PAGE + source


def items_of(source: str) -> str:
    """Return a statement that answers a whole list.

    Args: source: FROM and what follows it: `item` is what is shown, in the order of `n`.
    """
    return _ITEMS + source


def item_of(source: str) -> str:
    """Return a statement that answers one `item` of `source`, or no row."""
    return _ITEM + source


class JsonReader:
    """Runs statements whose first column is JSON text; lists build on it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def _row(self, sql: str, args: Mapping[str, object]) -> tuple[Any, ...] | None:
        async with self._pool.cursor() as cur:
            await cur.execute(sql, {**args, "instant": INSTANT})
            return await cur.fetchone()

    async def _one(self, sql: str, args: Mapping[str, object]) -> bytes | None:
        row = await self._row(sql, args)
        return None if row is None else row[0].encode()

    async def _all(self, sql: str, args: Mapping[str, object]) -> bytes:
        body = await self._one(sql, args)
        assert body is not None  # noqa: S101 - an aggregate always answers
        return body

    async def _page(
        self, sql: str, *, limit: int, before: PageKey | None, **filters: object
    ) -> Page:
        """Read a page; `sql` answers its items, the last one's key, and whether more follow."""
        args = {
            **filters,
            "limit": limit,
            "before_at": before and before.at,
            "before_id": before and before.id,
        }
        row = await self._row(sql, args)
        assert row is not None  # noqa: S101 - an aggregate always answers
        items, at, row_id, more = row
        return Page(items=items.encode(), last=PageKey(at, row_id) if more else None)


def code(value: object) -> str | None:
    """Return a filter as its column holds it."""
    return None if value is None else str(value)
