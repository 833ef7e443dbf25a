"""Notifications of other processes (LISTEN), received on a dedicated connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiopg
import psycopg2
from loguru import logger
from psycopg2.extensions import quote_ident

from service.domain.errors import BoundaryError, StartError, StoreDown
from service.store.database.connect import connected_route
from service.store.database.cursor import PooledCursor
from service.store.database.dsn import CONNECT_S

PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  #: the last one repeats
#: Real seconds without a notification before the connection is tested, and for its answer. A
#: connection that broke without a word, e.g. in a firewall, counts as lost after both.
SILENCE_S: Final = 2.0
BEAT_S: Final = 2.0
# It also finds a pooler that answers from another session, where LISTEN has no effect.
STILL_LISTENING = """
    SELECT 1
      FROM pg_listening_channels() AS listening(channel)
     WHERE channel = %(channel)s
"""
Pause = Callable[[float, asyncio.Event], Awaitable[None]]


async def wait(seconds: float, wake: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()


class Listener:
    """Receives the notifications of one channel, and reconnects when the connection is lost.

    Args:
        heard: called with each payload, in order.
        reconnected: called each time LISTEN has taken effect, the first time too. Data read
            before may be stale: PostgreSQL keeps no notifications for a closed connection.
        lost: called when the connection is lost, when an attempt failed, and at the end: from then
            on until `reconnected` no notification arrives.
        silence_s: after so many real seconds without a notification the connection is tested.
        beat_s: real seconds for the answer to that test.
        pause: waits so many real seconds, or until the event is set.
    """

    def __init__(
        self,
        dsn: str,
        channel: str,
        *,
        heard: Callable[[str], Awaitable[None]],
        reconnected: Callable[[], Awaitable[None]],
        lost: Callable[[], None],
        silence_s: float = SILENCE_S,
        beat_s: float = BEAT_S,
        pause: Pause = wait,
    ) -> None:
        self._dsn = dsn
        self._channel = channel
        self._heard = heard
        self._reconnected = reconnected
        self._lost = lost
        self._silence_s = silence_s
        self._beat_s = beat_s
        self._pause = pause
        self._failures = 0
        self._log = logger.bind(event="app", channel=channel)

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen until `stopping` is set, then close the connection."""
        while not stopping.is_set():
            try:
                await self._listen(stopping)
            except (BoundaryError, StartError, psycopg2.Error, OSError) as exc:
                # An outage spans many attempts: it is logged once when it begins and once when it
                # ends.
                if self._failures == 0:
                    self._log.bind(error=type(exc).__name__).warning(
                        "notifications lost, reconnecting"
                    )
                seconds = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
                self._failures += 1
                await self._pause(seconds, stopping)

    async def _listen(self, stopping: asyncio.Event) -> None:
        try:
            async with self._connection() as connection:
                await self._reconnected()
                if self._failures:
                    self._failures = 0
                    self._log.info("notifications are back")
                await self._receive(connection, stopping)
        finally:
            self._lost()

    async def _receive(self, connection: aiopg.Connection, stopping: asyncio.Event) -> None:
        stop = asyncio.ensure_future(stopping.wait())
        note = asyncio.ensure_future(connection.notifies.get())
        try:
            while not stop.done():
                # `note` outlives the silence: cancelled while a payload is on its way through
                # aiopg's queue, it would take the payload along.
                await asyncio.wait(
                    {note, stop}, timeout=self._silence_s, return_when=asyncio.FIRST_COMPLETED
                )
                if stop.done():
                    return
                if note.done():
                    payload = str(note.result().payload)
                    note = asyncio.ensure_future(connection.notifies.get())
                    await self._heard(payload)
                else:
                    await self._test(connection)
        finally:
            for waiter in (note, stop):
                waiter.cancel()
            await asyncio.gather(note, stop, return_exceptions=True)

    async def _test(self, connection: aiopg.Connection) -> None:
        """Raises: StoreDown, when the server does not answer in time or LISTEN has no effect."""
        async with connection.cursor(timeout=self._beat_s) as cursor:
            gated = PooledCursor(connection, cursor)
            await gated.execute(STILL_LISTENING, {"channel": self._channel})
            if await gated.fetchone() is None:
                raise StoreDown("PostgreSQL no longer listens for this connection")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiopg.Connection]:
        # Resolved anew each time: after a failover the name may have another address.
        route = await connected_route(self._dsn)
        async with aiopg.connect(route.dsn, timeout=CONNECT_S, enable_hstore=False) as connection:
            async with connection.cursor() as cursor:
                # aiopg's bare cursor raises CancelledError when the server cancels LISTEN.
                gated = PooledCursor(connection, cursor)
                await gated.execute(f"LISTEN {quote_ident(self._channel, connection.raw)}")
            yield connection
