"""A pool that runs every statement under EXPLAIN first, and a summary of the plans."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from service.store.database.pool import Cursor, Pool

Plan = Mapping[str, Any]
_HOW = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """The scans of one statement and their cost."""

    scans: tuple[tuple[str, str], ...]  #: node type, and the index or table it reads
    pages: int  #: of 8 KiB, from memory or disk
    rows: int  #: read from tables and indexes, including those that a filter removed
    execution_ms: float

    @classmethod
    def of(cls, explained: Plan) -> Self:
        plan = explained["Plan"]
        return cls(
            scans=tuple(_scans(plan)),
            pages=plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
            rows=round(_rows(plan)),
            execution_ms=explained["Execution Time"],
        )


class ExplainingPool(Pool):
    """Replaces a pool for code that only reads single statements."""

    def __init__(self, through: Pool | Cursor) -> None:
        """Args: through: a pool, or the cursor of an open transaction."""
        self._through = through
        self.plans: list[PlanSummary] = []

    @asynccontextmanager
    async def cursor(self) -> AsyncIterator[Cursor]:
        if isinstance(self._through, Pool):
            async with self._through.cursor() as cursor:
                yield _ExplainingCursor(cursor, self.plans)
        else:
            yield _ExplainingCursor(self._through, self.plans)


class _ExplainingCursor:
    def __init__(self, cursor: Cursor, plans: list[PlanSummary]) -> None:
        self._cursor = cursor
        self._plans = plans

    async def execute(self, sql: str, params: Mapping[str, object] | None = None) -> None:
        await self._cursor.execute(_HOW + sql, params)
        row = await self._cursor.fetchone()
        assert row is not None
        self._plans.append(PlanSummary.of(row[0][0]))
        await self._cursor.execute(sql, params)

    async def fetchone(self) -> tuple[Any, ...] | None:
        return await self._cursor.fetchone()

    async def fetchall(self) -> list[tuple[Any, ...]]:
        return await self._cursor.fetchall()

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount


def _scans(plan: Plan) -> list[tuple[str, str]]:
    name = plan.get("Index Name") or plan.get("Relation Name")
    own = [(plan["Node Type"], name)] if name else []
    return own + [scan for child in plan.get("Plans", ()) for scan in _scans(child)]


def _rows(plan: Plan) -> float:
    below = sum(_rows(child) for child in plan.get("Plans", ()))
    if "Relation Name" not in plan:
        return below
    left_out = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return float((plan["Actual Rows"] + left_out) * plan["Actual Loops"] + below)
