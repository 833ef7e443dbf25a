"""Deposits, and what nothing explains."""

from typing import Final

from service.ports.queries import Page, PageKey
from service.store.queries.page import JsonReader, item_of, items_of, page_of

_DEPOSIT: Final = """
     CROSS JOIN LATERAL (
            SELECT found.row_id AS id,
                   found.currency,
                   trim_scale(found.amount)::text AS amount,
                   to_char(found.at AT TIME ZONE 'UTC', %(instant)s) AS occurred_at,
                   found.source,
                   found.note,
                   found.actor,
                   to_char(found.seen_at AT TIME ZONE 'UTC', %(instant)s) AS seen_at,
                   found.corrects) AS item
"""

DEPOSITS: Final = page_of(
    """
      FROM (SELECT id AS row_id, currency, amount, at, source, note, actor, seen_at, corrects,
                   row_number() OVER (ORDER BY at DESC, id DESC) AS n
              FROM deposits
             WHERE (%(before_at)s::timestamptz IS NULL
                    OR (at, id) < (%(before_at)s, %(before_id)s))
             ORDER BY at DESC, id DESC
             LIMIT %(limit)s + 1) AS found
"""
    + _DEPOSIT
)

DEPOSIT: Final = item_of(
    """
      FROM (SELECT id AS row_id, currency, amount, at, source, note, actor, seen_at,
                   corrects
              FROM deposits
             WHERE id = %(deposit_id)s) AS found
"""
    + _DEPOSIT
)

DIFFERENCES: Final = items_of("""
      FROM (SELECT currency, expected, actual, since, row_number() OVER (ORDER BY currency) AS n
              FROM account_differences) AS found
     CROSS JOIN LATERAL (
            SELECT found.currency,
                   trim_scale(found.expected)::text AS expected,
                   trim_scale(found.actual)::text AS actual,
                   trim_scale(found.actual - found.expected)::text AS difference,
                   to_char(found.since AT TIME ZONE 'UTC', %(instant)s) AS since) AS item
""")


class PgAccountLists(JsonReader):
    """Satisfies ports.AccountLists."""

    async def deposits(self, *, limit: int, before: PageKey | None = None) -> Page:
        return await self._page(DEPOSITS, limit=limit, before=before)

    async def deposit(self, deposit_id: int) -> bytes | None:
        return await self._one(DEPOSIT, {"deposit_id": deposit_id})

    async def differences(self) -> bytes:
        return await self._all(DIFFERENCES, {})
