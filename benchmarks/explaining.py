"""A gate that has every statement explained, and what the plans say."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from service.store.database.pool import Cursor, Pool

Plan = Mapping[str, Any]
_HOW = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How one statement found its rows."""

    scans: tuple[tuple[str, str], ...]  #: node type, and the index or table it reads
    pages: int  #: of 8 KiB, from memory or disk
    rows: int  #: read from tables and indexes, those that were then left out too
    execution_ms: float
    planning_ms: float

    @classmethod
    def of(cls, explained: Plan) -> Self:
        plan = explained["Plan"]
        return cls(
            scans=tuple(_scans(plan)),
            pages=plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
            rows=round(_rows(plan)),
            execution_ms=explained["Execution Time"],
            planning_ms=explained["Planning Time"],
        )


class ExplainingGate(Pool):
    """Stands in for a gate where only single statements are read."""

    def __init__(self, through: Pool | Cursor) -> None:
        """Args: through: a gate, or the cursor of a transaction that is open."""
        self._through = through
        self.readings: list[Reading] = []

    @asynccontextmanager
    async def cursor(self) -> AsyncIterator[Cursor]:
        if isinstance(self._through, Pool):
            async with self._through.cursor() as cursor:
                yield _ExplainingCursor(cursor, self.readings)
        else:
            yield _ExplainingCursor(self._through, self.readings)


class _ExplainingCursor:
    def __init__(self, cursor: Cursor, readings: list[Reading]) -> None:
        self._cursor = cursor
        self._readings = readings

    async def execute(self, sql: str, params: Mapping[str, object] | None = None) -> None:
        await self._cursor.execute(_HOW + sql, params)
        row = await self._cursor.fetchone()
        assert row is not None
        self._readings.append(Reading.of(row[0][0]))
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
