"""One connection's cursor, which translates aiopg's errors."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final, Protocol

import aiopg
import psycopg2
from psycopg2.errors import InFailedSqlTransaction
from psycopg2.extensions import (
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INERROR,
    QueryCanceledError,
)

from service.domain.errors import BoundaryError, StoreBusy, StoreDown, StoreTimeout

#: Longer than statement_timeout: normally the server cancels first, and the connection stays.
ANSWER_S: Final = 15.0
RETRY_AFTER_S: Final = 1.0


class Isolation(StrEnum):
    READ_COMMITTED = "BEGIN ISOLATION LEVEL READ COMMITTED"
    REPEATABLE_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ"
    SERIALIZABLE = "BEGIN ISOLATION LEVEL SERIALIZABLE"


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...

    async def execute(self, sql: str, params: Mapping[str, object] | None = None) -> None:
        """Run one statement. Without `params`, a `%` in `sql` is literal.

        Raises: StoreDown, StoreTimeout, StoreBusy (our transaction was rolled back because of a
        concurrent one), psycopg2.IntegrityError; any other psycopg2 error is a bug.
        """

    async def fetchone(self) -> tuple[Any, ...] | None:
        """Raises: StoreDown, when the connection broke after the statement's answer."""

    async def fetchall(self) -> list[tuple[Any, ...]]:
        """Raises: as `fetchone`."""


class PooledCursor:
    """aiopg's cursor, its errors translated where they happen."""

    def __init__(self, connection: aiopg.Connection, inner: aiopg.Cursor) -> None:
        self._connection = connection
        self._inner = inner

    @property
    def rowcount(self) -> int:
        return int(self._inner.rowcount)

    async def execute(self, sql: str, params: Mapping[str, object] | None = None) -> None:
        try:
            await self._inner.execute(sql, params)
        except asyncio.CancelledError as exc:
            # aiopg turns SQLSTATE 57014 into CancelledError: `except Exception` would miss it, and
            # a TaskGroup would end without an error. A real cancellation passes unchanged.
            if not isinstance(exc.__context__, QueryCanceledError) or _cancelled():
                raise
            raise StoreTimeout(
                "PostgreSQL cancelled the statement: it ran for too long", code="57014"
            ) from exc.__context__
        except TimeoutError as exc:
            raise StoreDown(f"PostgreSQL did not answer within {ANSWER_S:g} s") from exc
        except psycopg2.Error as exc:
            if (ours := self._translated(exc)) is None:
                raise
            raise ours from exc

    async def roll_back(self) -> None:
        if self._connection.closed:
            return  # the connection is closed, so the server has rolled back
        try:
            await self.execute("ROLLBACK")
        except BoundaryError:
            self._connection.close()

    async def commit(self) -> None:
        if self._connection.raw.get_transaction_status() == TRANSACTION_STATUS_INERROR:
            # PostgreSQL answers such a COMMIT with a silent ROLLBACK.
            await self.roll_back()
            raise InFailedSqlTransaction(
                "a statement of the transaction failed and its error was swallowed:"
                " nothing is stored"
            )
        await self.execute("COMMIT")

    def _translated(self, exc: psycopg2.Error) -> BoundaryError | None:
        code = exc.pgcode
        if self._connection.closed:
            return StoreDown("PostgreSQL dropped the connection", code=code)
        if code == "55P03":
            return StoreTimeout("PostgreSQL gave up waiting for a lock", code=code)
        if code in {"40001", "40P01"}:
            return StoreBusy(
                "Another transaction was in the way, ours was rolled back",
                retry_after_s=RETRY_AFTER_S,
                code=code,
            )
        if code == "25006":
            return StoreDown("PostgreSQL is read-only: it may have become a standby", code=code)
        if isinstance(exc, psycopg2.OperationalError):
            return StoreDown("PostgreSQL cannot work at the moment", code=code)
        return None

    async def fetchone(self) -> tuple[Any, ...] | None:
        with self._fetching():
            row: tuple[Any, ...] | None = await self._inner.fetchone()
        return row

    async def fetchall(self) -> list[tuple[Any, ...]]:
        with self._fetching():
            rows: list[tuple[Any, ...]] = await self._inner.fetchall()
        return rows

    @contextmanager
    def _fetching(self) -> Iterator[None]:
        # When the connection breaks before the fetch, aiopg closes the cursor although the rows
        # have arrived. The effect of the statement is then unknown, as without an answer.
        try:
            yield
        except psycopg2.InterfaceError as exc:
            if not self._connection.closed:
                raise
            raise StoreDown("PostgreSQL dropped the connection") from exc


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_idle(connection: aiopg.Connection) -> bool:
    """Whether the connection is closed, or open with neither statement nor transaction."""
    if connection.closed:
        return True
    return bool(connection.raw.get_transaction_status() == TRANSACTION_STATUS_IDLE)
