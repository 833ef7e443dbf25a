"""Inspect a database without changing it: whether it is usable, and which migrations it has."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so

from service.domain.errors import StartError
from service.ports.store import JSON
from service.store.database.connect import check_server
from service.store.database.dsn import connect, parameters, refusal
from service.store.migrations.migrate import APPLIED, FILES, HAS_TABLE, files_in
from service.store.migrations.yoyo_backend import migration_id
from service.store.tables.settings import LOAD

CONNECT_S: Final = 3  #: an address
_SESSION: Final = {"timezone": "UTC", "statement_timeout": "2s", "lock_timeout": "1s"}
#: A parameter name that no other program uses: it shows whether the session keeps its options.
_MARK: Final = {"upbit_ai_trader.session": "kept"}
KEPT: Final = "SELECT current_setting('upbit_ai_trader.session', true)"
MAY_CREATE: Final = """
    SELECT current_schema() IS NOT NULL
           AND has_schema_privilege(current_schema(), 'CREATE')
"""
IS_STANDBY: Final = "SELECT pg_is_in_recovery()"
OWNER: Final = "SELECT mode FROM trading_state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrations:
    """Names, oldest first."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]
    newer: tuple[str, ...]  #: applied by a version that is newer than this program
    edited: tuple[str, ...]  #: files that were changed after they had been applied
    missing: tuple[str, ...]  #: files that were applied and do not exist any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    version: str  #: of the server, e.g. 18.1
    may_create: bool  #: whether tables may be created in the default schema
    is_standby: bool  #: it is read-only
    owner: str | None  #: the mode that the database is bound to, None before its first use
    migrations: Migrations
    settings: Mapping[str, JSON]  #: those asked for that are stored


def inspect(dsn: str, folder: Path, *, settings: tuple[str, ...] = ()) -> Inspection:
    """Inspect the database; nothing is written. Blocks: call it in a thread.

    Raises: StartError, with the remedy, when it is not usable.
    """
    given = parameters(dsn)
    with closing(connect(given, _SESSION | _MARK, timeout_s=CONNECT_S)) as connection:
        try:
            check_server(connection, given)
            if _one(connection, KEPT) not in _MARK.values():
                raise StartError(
                    "A pooler stands before the database and forgets what a session asked for:"
                    " DATABASE_URL must name the server itself"
                )
            return _seen(connection, folder, settings)
        except psycopg2.Error as exc:
            raise refusal(exc, given) from None


def _seen(connection: Connection, folder: Path, settings: tuple[str, ...]) -> Inspection:
    migrations = _migrations(connection, folder)
    has_settings = bool(_one(connection, HAS_TABLE, {"name": "system_configs"}))
    has_state = bool(_one(connection, HAS_TABLE, {"name": "trading_state"}))
    stored = {
        key: _one(connection, LOAD, {"key": key}) for key in (settings if has_settings else ())
    }
    return Inspection(
        version=str(connection.get_parameter_status("server_version")).partition(" ")[0],
        may_create=bool(_one(connection, MAY_CREATE)),
        is_standby=bool(_one(connection, IS_STANDBY)),
        owner=_text(_one(connection, OWNER)) if has_state else None,
        migrations=migrations,
        settings={key: orjson.loads(str(value)) for key, value in stored.items() if value},
    )


def _migrations(connection: Connection, folder: Path) -> Migrations:
    files = files_in(folder)
    present = {migration_id(file) for file in files}
    applied: set[str] = set()
    recorded: dict[str, str] = {}
    with connection.cursor() as cursor:
        if _one(connection, HAS_TABLE, {"name": "_yoyo_migration"}):
            cursor.execute(APPLIED)
            applied = {row[0] for row in cursor.fetchall()}
        if _one(connection, HAS_TABLE, {"name": "migration_files"}):
            cursor.execute(FILES)
            recorded = dict(cursor.fetchall())
    return Migrations(
        applied=tuple(sorted(applied)),
        pending=tuple(sorted(present - applied)),
        newer=tuple(sorted(name for name in applied - present if name > max(present))),
        edited=tuple(sorted(f for f, sha in recorded.items() if files.get(f, sha) != sha)),
        missing=tuple(sorted(file for file in recorded if file not in files)),
    )


def _one(connection: Connection, sql: str, params: Mapping[str, object] | None = None) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
    return row[0] if row else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
