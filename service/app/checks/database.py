"""The database: whether it answers, whether we can work with it, and how far its tables are."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.app.checks.finding import LOOK_S, CheckResult, fail, ok, warn
from service.config import Config
from service.domain.errors import InvalidSetting, StartError
from service.settings.table import AI_MODEL
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.inspect import Inspection, Migrations, inspect
from service.store.migrations.migrate import migrations_folder

_DATABASE: Final = "database"
_MIGRATIONS: Final = "migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseCheck:
    findings: tuple[CheckResult, ...]
    ai_model: str = AI_MODEL.default  #: as stored; the default when nothing is stored or readable


async def database(config: Config) -> DatabaseCheck:
    """Look at the database that the service would use; nothing in it is changed."""
    if config.database_url is None:
        # Not cut off: a server that recovers from a crash must be left to it.
        return await asyncio.to_thread(_embedded, config)
    look = asyncio.to_thread(_looked_at, config.database_url.get_secret_value(), config, where="")
    try:
        return await asyncio.wait_for(look, LOOK_S)
    except TimeoutError:
        text, remedy = f"no answer within {LOOK_S:g} s", "check the address in DATABASE_URL"
        return DatabaseCheck(findings=(fail(_DATABASE, text, remedy), _unknown()))


def _embedded(config: Config) -> DatabaseCheck:
    directory = config.data_dir / "postgres"
    if not any((directory / name).exists() for name in ("cluster", "moved")):
        text = f"embedded, in {directory}; made at the first start"
        return DatabaseCheck(
            findings=(ok(_DATABASE, text), ok(_MIGRATIONS, "made at the first start"))
        )
    name = f"trader_{config.mode}"
    try:
        with _running(directory) as server:
            if server.has_database(name):
                return _looked_at(server.dsn(name), config, where=f"embedded, in {directory}, ")
    except StartError as exc:
        return DatabaseCheck(findings=(fail(_DATABASE, str(exc)), _unknown()))
    text = f"embedded, in {directory}, answers; {config.mode} mode has not used it yet"
    return DatabaseCheck(findings=(ok(_DATABASE, text), ok(_MIGRATIONS, "made at the first start")))


@contextmanager
def _running(directory: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _looked_at(dsn: str, config: Config, *, where: str) -> DatabaseCheck:
    try:
        seen = inspect(dsn, migrations_folder(), settings=(AI_MODEL.name,))
    except StartError as exc:
        return DatabaseCheck(findings=(fail(_DATABASE, str(exc)), _unknown()))
    return DatabaseCheck(
        findings=(_usable(seen, config, where=where), _up_to_date(seen.migrations)),
        ai_model=_model(seen),
    )


def _usable(seen: Inspection, config: Config, *, where: str) -> CheckResult:
    answer = f"{where}PostgreSQL {seen.version} answers"
    if seen.is_standby:
        return fail(_DATABASE, f"{answer}, but as a standby", "name the primary in DATABASE_URL")
    if seen.owner not in (None, config.mode.value):
        # The sentence of the start itself.
        text = f"{answer}, but holds the {seen.owner} mode's orders"
        return fail(_DATABASE, text, "name another one in DATABASE_URL, or another TRADER_DATA_DIR")
    if not seen.may_create:
        text = f"{answer}, but this user may not make tables in it"
        level = fail if seen.migrations.pending else warn
        return level(_DATABASE, text, "GRANT CREATE ON its schema, or name the owner")
    return ok(_DATABASE, answer)


def _up_to_date(found: Migrations) -> CheckResult:
    if found.newer:
        text = f"the database is newer than this program: it has {found.newer[-1]}"
        return fail(_MIGRATIONS, text, "install the version that brought it, or restore a backup")
    if found.edited:
        text = f"{', '.join(found.edited)} changed after being applied"
        return fail(_MIGRATIONS, text, "restore it, and put the change into a new migration")
    if found.missing:
        text = f"{', '.join(found.missing)} was applied and is not there any more"
        return fail(_MIGRATIONS, text, "restore it, or reinstall the program")
    if found.pending:
        count = f"{len(found.applied)} applied, {len(found.pending)} to come"
        return ok(_MIGRATIONS, f"{count}: applied at the start, or by `trader migrate`")
    return ok(_MIGRATIONS, f"{len(found.applied)} applied, none to come")


def _model(seen: Inspection) -> str:
    try:
        return AI_MODEL.parse(seen.settings.get(AI_MODEL.name, AI_MODEL.default))
    except InvalidSetting:
        return AI_MODEL.default


def _unknown() -> CheckResult:
    return warn(_MIGRATIONS, "unknown while the database cannot be used", "see the line before")
