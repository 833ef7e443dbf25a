"""What a command opens: configuration, log, settings."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from service import __version__

if TYPE_CHECKING:
    from service.config import Config
    from service.ops.logs.setup import Log
    from service.settings.settings import Settings


def load_config(**overrides: object) -> "Config":
    """Raises: ConfigError."""
    from service.config import load

    return load(**overrides)


@contextmanager
def logging_to(config: "Config", *, aside: bool = False) -> Iterator["Log"]:
    """Log masked lines; `aside` of what the command prints, and only what is worth a look.

    Without this, loguru's own sink prints to stderr, unmasked and with local variables.
    """
    from service.ops.logs.setup import configure

    log = configure(
        level="WARNING" if aside and config.log_level == "INFO" else config.log_level,
        mode=config.mode,
        version=__version__,
        secrets=config.secrets(),
        stream=sys.stderr.buffer if aside else None,
        form=config.log_format,
    )
    try:
        yield log
    finally:
        log.close()


@asynccontextmanager
async def open_settings() -> AsyncIterator["Settings"]:
    """Yield the settings of the configured database, or of the embedded one, started for this."""
    import asyncio

    config = load_config()
    from service.adapters.clock import RealTimeMarketClock, SystemClock
    from service.app.resources import open_server
    from service.flows.alerts.rules import setting_notices
    from service.settings.settings import Settings
    from service.store.database.pool import open_pool
    from service.store.migrations.migrate import migrate, migrations_folder
    from service.store.tables.settings import PgSettingRows

    with logging_to(config, aside=True):
        async with open_server(config) as dsn:
            await asyncio.to_thread(migrate, dsn, migrations_folder())
            async with open_pool(dsn, minsize=1, maxsize=1) as pool:
                yield Settings(
                    PgSettingRows(pool, notices=setting_notices),
                    RealTimeMarketClock(SystemClock()),
                )
