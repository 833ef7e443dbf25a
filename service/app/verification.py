"""The books of a database, derived from its fills again: the command, and the daily job."""

import asyncio
from collections.abc import Mapping, Sequence

from service.app.resources import open_server
from service.config import Config
from service.domain.errors import StartError, StoreDown
from service.domain.verification import BookDifference
from service.store.database.interruption import Interruption
from service.store.migrations.migrate import migrate, migrations_folder
from service.store.queries.verify import count_differences, verify


async def verified(config: Config) -> Sequence[BookDifference]:
    """Return what differs in the configured database. Raises: StartError, StoreDown."""
    async with open_server(config) as dsn:
        await asyncio.to_thread(migrate, dsn, migrations_folder())
        return await asyncio.to_thread(verify, dsn)


async def differences_at(dsn: str) -> Mapping[str, int]:
    """Return how many values of each table differ, beside a running service. Raises: StoreDown.

    Over a connection of its own in a thread: years of fills take a minute, which would keep one of
    the pool's connections and the event loop. The thread ends with this call, also where the server
    has stopped answering: the process could not end before it.
    """
    interruption = Interruption()
    try:
        return await asyncio.to_thread(count_differences, dsn, interruption)
    except StartError as exc:
        raise StoreDown(str(exc)) from exc
    finally:
        interruption.cut()
