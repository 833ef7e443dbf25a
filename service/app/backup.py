"""`trader backup` and `trader restore`: the database as one file, and back."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Final

from service.app.resources import open_server
from service.app.serve import bound
from service.config import Config
from service.domain.errors import InvalidRequest
from service.store.archive.contents import contents
from service.store.archive.dump import dump
from service.store.archive.restore import restore_into, restore_over
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.migrate import migrations_folder

FORCE: Final = "REPLACE"  #: what an operator writes to replace a database that has orders


def backed_up(config: Config, file: Path, *, overwrite: bool) -> int:
    """Write the database to `file`, also beside a running service; return its bytes.

    Raises: InvalidRequest, StartError.
    """
    own = config.data_dir / "postgres"
    if config.database_url is None and not own.exists():
        raise InvalidRequest(f"There is no database in {own}: check TRADER_DATA_DIR")
    return asyncio.run(_dumped(config, file.absolute(), overwrite=overwrite))


async def _dumped(config: Config, file: Path, *, overwrite: bool) -> int:
    async with open_server(config) as dsn:
        return await asyncio.to_thread(dump, dsn, file, overwrite=overwrite)


def restored(config: Config, file: Path, *, force: str | None) -> str | None:
    """Put the backup in the place of the database; return the name that the old one has now.

    Raises: InvalidRequest, StartError; the database is as it was before.
    """
    if force not in {None, FORCE}:
        raise InvalidRequest(f"--force: write {FORCE} to replace a database that has orders")
    file = file.absolute()
    # The service's port is held: no service runs here, and none starts meanwhile.
    with closing(bound(config)):
        mode = contents(file, migrations_folder()).mode
        if mode not in {None, config.mode.value}:
            raise InvalidRequest(
                f"{file} holds the {mode} mode's orders and cannot serve {config.mode}: check"
                " TRADER_MODE. Nothing was changed"
            )
        if config.database_url is not None:
            restore_into(config.database_url.get_secret_value(), file)
            return None
        return _over_own(config, file, forced=force == FORCE)


def _over_own(config: Config, file: Path, *, forced: bool) -> str | None:
    server = EmbeddedPostgres(config.data_dir / "postgres")
    try:
        server.start()
        return restore_over(server, f"trader_{config.mode}", file, forced=forced)
    finally:
        server.stop()
