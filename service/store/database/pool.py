"""The connection pool: aiopg's, with its known faults closed (ADR 0005).

A caller gets rows, an IntegrityError, or one of StoreBusy, StoreDown and StoreTimeout.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from typing import Any, Final

import aiopg
import psycopg2
from loguru import logger
from psycopg2.extensions import QueryCanceledError

from service.domain.errors import BoundaryError, StartError, StoreBusy, StoreDown
from service.ports.health import PoolState
from service.store.database.connect import Route, connected_route
from service.store.database.cursor import (
    ANSWER_S,
    RETRY_AFTER_S,
    Cursor,
    Isolation,
    PooledCursor,
    is_idle,
)
from service.store.database.dsn import CONNECT_S, refusal
from service.store.database.pool_queue import PoolQueue

__all__ = ["Cursor", "Isolation", "Pool", "SubPool", "open_pool"]

CLOSE_S: Final = 1.0  #: for running statements at shutdown; those of jobs have ended by then


class Pool:
    """Lends connections, at most `maxsize` at once; satisfies ports.Database by shape."""

    def __init__(
        self, pool: aiopg.Pool, *, maxsize: int, max_waiting: int, wait_s: float, close_s: float
    ) -> None:
        self._pool = pool
        self._maxsize = maxsize
        # aiopg's own queue forgets a waiter whenever a connection comes back closed. Ours has as
        # many places as there are connections, so that aiopg's stays empty.
        self._queue = PoolQueue(maxsize, max_waiting=max_waiting, wait_s=wait_s)
        self._close_s = close_s
        self._closing = False
        self._sub_pools: list[SubPool] = []

    def state(self) -> PoolState:
        pool = self._pool
        queues = [self._queue, *(part.queue for part in self._sub_pools)]
        return PoolState(
            size=pool.size,
            free=pool.freesize,
            max=self._maxsize,
            waiting=sum(queue.waiting for queue in queues),
            waits=sum(queue.waits.waited for queue in queues),
            waited_s=sum(queue.waits.waited_s for queue in queues),
            refused=sum(queue.refused for queue in queues),
        )

    def wait_p95_ms(self) -> float | None:
        """Return the p95 wait for a connection of the last half minute.

        Waits in a sub-pool's own queue do not count.
        """
        return self._queue.waits.p95_ms()

    def sub_pool(self, number: int, *, max_waiting: int = 64, wait_s: float = 1.0) -> "SubPool":
        """Return a pool of at most `number` of these connections, with a queue of its own.

        Its users leave the other connections free, however many statements they start.
        """
        part = SubPool(self, number, max_waiting=max_waiting, wait_s=wait_s)
        self._sub_pools.append(part)
        return part

    async def ping(self) -> None:
        async with self.cursor() as cursor:
            await cursor.execute("SELECT 1")

    def cursor(self) -> AbstractAsyncContextManager[Cursor]:
        """Lend a cursor in autocommit: each statement is its own transaction.

        Raises: StoreBusy, when no connection came free in time; StoreDown.
        """
        return self.lent()

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation = Isolation.READ_COMMITTED
    ) -> AsyncIterator[Cursor]:
        """Lend a cursor inside a transaction: committed at the end, rolled back on any exception.

        StoreDown or a cancellation out of the COMMIT itself leaves the outcome unknown: look for
        the rows by key before writing them again.
        """
        async with self.lent() as cursor:
            # aiopg's own `begin()` complains from its destructor when BEGIN or COMMIT is cut off.
            await cursor.execute(isolation)
            try:
                yield cursor
            except Exception:
                await cursor.roll_back()
                raise
            # A cancellation costs no further round trip: the connection is closed on its way
            # back, and the server rolls back.
            await cursor.commit()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[PooledCursor]:
        """Lend a cursor. Callers outside use `cursor` and `transaction`."""
        if self._closing:
            raise StoreDown("The database is being closed")
        async with self._queue:
            connection = await self._live_connection()
            try:
                inner = await connection.cursor(timeout=ANSWER_S)
                yield PooledCursor(connection, inner)
                inner.close()  # a kept cursor must not reach a connection that was lent again
            finally:
                if not is_idle(connection):
                    connection.close()  # it is in the middle of a transaction or statement
                self._pool.release(connection)

    async def _live_connection(self) -> aiopg.Connection:
        # Each turn drops at most one dead connection, and there are no more than maxsize.
        for _ in range(self._maxsize + 2):
            try:
                connection = await self._pool.acquire()
            except AssertionError:
                continue  # aiopg took one that had died since it looked
            except RuntimeError as exc:
                raise StoreDown("The database is being closed") from exc
            except TimeoutError as exc:
                raise StoreDown(f"PostgreSQL did not answer within {CONNECT_S} s") from exc
            except (psycopg2.Error, OSError) as exc:
                raise _unreachable(exc) from exc
            if not (self._closing or connection.closed or _is_readable(connection)):
                return connection
            connection.close()
            self._pool.release(connection)
        raise StoreDown("PostgreSQL drops every connection")

    async def close(self) -> None:
        """Lend nothing more, give running statements `close_s` to end, then cut them off."""
        self._closing = True
        try:
            async with asyncio.timeout(self._close_s):
                await self._queue.take_all()  # aiopg's own wait misses releases
        except TimeoutError:
            logger.bind(event="pool").warning("statements still run, their connections are cut")
        finally:
            self._pool.terminate()
            await self._pool.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._close_s):
                await self._pool.wait_closed()


class SubPool(Pool):
    """A part of a pool: it lends that pool's connections, and closes none of them."""

    def __init__(self, whole: Pool, number: int, *, max_waiting: int, wait_s: float) -> None:
        super().__init__(
            whole._pool,  # noqa: SLF001 - the same connections, counted twice
            maxsize=number,
            max_waiting=max_waiting,
            wait_s=wait_s,
            close_s=0,
        )
        self._whole = whole

    @property
    def queue(self) -> PoolQueue:
        return self._queue

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[PooledCursor]:
        async with self._queue, self._whole.lent() as cursor:
            yield cursor

    async def close(self) -> None:
        """Do nothing: the whole pool closes the connections."""


def _unreachable(exc: Exception) -> BoundaryError:
    # No SQLSTATE comes with a refused connection, only words.
    if any(words in str(exc) for words in ("too many", "connection slots")):
        return StoreBusy(
            "PostgreSQL has no connection left for us", retry_after_s=RETRY_AFTER_S, code="53300"
        )
    return StoreDown("PostgreSQL cannot be reached")


def _is_readable(connection: aiopg.Connection) -> bool:
    """Return whether unread bytes wait: on an idle connection they mean that the server ended it.

    Costs no round trip. The bytes may also be a notice; then a good connection is closed in vain.
    """
    poll = select.poll()
    poll.register(connection.raw.fileno(), select.POLLIN)
    return bool(poll.poll(0))


@asynccontextmanager
async def open_pool(
    dsn: str,
    *,
    minsize: int = 10,
    maxsize: int = 20,
    max_waiting: int = 64,
    wait_s: float = 1.0,
    close_s: float = CLOSE_S,
) -> AsyncIterator[Pool]:
    """Connect `minsize` times, lend up to `maxsize`, and close everything at the end.

    Raises: StartError, when the database cannot be used; one sentence without the password.
    """
    route = await connected_route(dsn)
    pool = aiopg.Pool(
        route.dsn,
        minsize=minsize,
        maxsize=maxsize,
        timeout=CONNECT_S,
        enable_json=True,
        enable_hstore=False,  # else each new connection asks the catalogue
        enable_uuid=True,
        echo=False,  # it would log parameters
        on_connect=None,
        pool_recycle=-1,
    )
    ours = Pool(pool, maxsize=maxsize, max_waiting=max_waiting, wait_s=wait_s, close_s=close_s)
    with _timeouts_expected():
        try:
            await _fill(pool, route)
            yield ours
        finally:
            await ours.close()


@contextmanager
def _timeouts_expected() -> Iterator[None]:
    """Keep cancelled statements out of the event loop's error reports while the block lasts.

    For each of them aiopg 1.4 calls the loop's exception handler, which logs an error with a
    traceback, and raises as well. The caller gets StoreTimeout, so the report is a repetition.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), QueryCanceledError):
            return
        if before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(report)
    try:
        yield
    finally:
        # A handler that was set meanwhile stays.
        if loop.get_exception_handler() is report:
            loop.set_exception_handler(before)


async def _fill(pool: aiopg.Pool, route: Route) -> None:
    """Open `minsize` connections, with CONNECT_S for each rather than for all."""
    size = -1
    while pool.size < pool.minsize:
        if pool.size == size:
            raise StartError(f"PostgreSQL did not answer within {CONNECT_S} s: is it overloaded?")
        size = pool.size
        try:
            pool.release(await pool.acquire())
        except TimeoutError:
            continue
        except (psycopg2.Error, OSError) as exc:
            raise refusal(exc, route.given) from None
