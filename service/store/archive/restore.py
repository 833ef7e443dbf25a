"""A backup becomes the database: in one transaction, and never beneath a running service."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so

from service.domain.errors import InvalidRequest, StartError
from service.store.archive.programs import ProgramFailed, access, run
from service.store.database.dsn import connect, named, parameters
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.migrate import GUARD, HAS_TABLE, TRY_GUARD

_ADMIN: Final = "postgres"  #: the database that every cluster has
_SESSIONS_S: Final = 1.0
_POLL_S: Final = 0.02
_OPTIONS: Final = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")

SESSIONS: Final = """
    SELECT count(*) > 0
      FROM pg_stat_activity
     WHERE datname = %(name)s
       AND usename IS NOT NULL
       AND pid <> pg_backend_pid()
"""
HAS_TABLES: Final = """
    SELECT count(*) > 0
      FROM pg_class
      JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
       AND nspname NOT LIKE 'pg\\_%%'
       AND nspname <> 'information_schema'
"""
IS_LEASED: Final = """
    SELECT count(*) > 0
      FROM leader
     WHERE expires_at > clock_timestamp()
"""
HAS_ORDERS: Final = "SELECT EXISTS (SELECT FROM orders)"


def restore_into(dsn: str, file: Path) -> None:
    """Fill the empty database at `dsn` from `file`. Blocks.

    Raises: InvalidRequest, StartError; the database is as it was before.
    """
    given = parameters(dsn)
    # A service that starts now waits for the same lock before it makes its tables.
    with closing(connect(given)) as guard, _alone(guard):
        if _is_used(guard):
            raise _in_use(named(given))
        if _is(guard, HAS_TABLES, guard.info.dbname):
            raise InvalidRequest(
                f"{named(given)} is not empty: create an empty database, and name it in"
                " DATABASE_URL. Nothing was changed"
            )
        _fill(dsn, file)


def restore_over(server: EmbeddedPostgres, name: str, file: Path, *, forced: bool) -> str | None:
    """Make database `name` of our own server anew from `file`. Blocks.

    It is filled under another name, and takes its place in one transaction. The database that was
    there stays.

    Args: forced: also in the place of a database that has orders.

    Returns: the new name of the database that was there.

    Raises: InvalidRequest, StartError; database `name` is as it was before.
    """
    filled = f"{name}_restored"
    with closing(connect(parameters(server.dsn(_ADMIN)))) as admin, _alone(admin):
        exists = server.has_database(name)
        if exists:
            _require_replaceable(server.dsn(name), forced=forced)
        _drop(admin, filled)  # of a restore that was killed
        _execute(admin, "CREATE DATABASE {} TEMPLATE template0", filled)
        try:
            _fill(server.dsn(filled), file)
            return _swap(admin, server, name, filled, exists=exists)
        except BaseException:
            _drop(admin, filled)
            raise


def _fill(dsn: str, file: Path) -> None:
    with access(dsn) as variables:
        try:
            run("pg_restore", *_OPTIONS, "--dbname=service=backup", str(file), variables=variables)
        except ProgramFailed as exc:
            raise InvalidRequest(
                f"{file} could not be restored ({exc}): nothing was changed"
            ) from exc


def _swap(
    admin: Connection, server: EmbeddedPostgres, name: str, filled: str, *, exists: bool
) -> str | None:
    before = _free_name(server, name) if exists else None
    try:
        admin.autocommit = False
        with admin:  # one transaction; with a session left in either it fails after 5 s
            if before is not None:
                _execute(admin, "ALTER DATABASE {} RENAME TO {}", name, before)
            _execute(admin, "ALTER DATABASE {} RENAME TO {}", filled, name)
    except (psycopg2.errors.ObjectInUse, psycopg2.errors.DuplicateDatabase) as exc:
        raise _in_use(f"The database {name}") from exc
    except psycopg2.Error as exc:
        raise StartError(
            f"The database {name} could not be replaced ({type(exc).__name__}): nothing was changed"
        ) from exc
    finally:
        admin.autocommit = True
    return before


def _require_replaceable(dsn: str, *, forced: bool) -> None:
    with closing(connect(parameters(dsn))) as connection:
        name = connection.info.dbname
        if _is_used(connection) or _holds(connection, "leader", IS_LEASED):
            raise _in_use(f"The database {name}")
        if not forced and _holds(connection, "orders", HAS_ORDERS):
            raise InvalidRequest(
                f"The database {name} has orders: add --force REPLACE to put the backup in its"
                " place. Nothing was changed"
            )


def _is_used(connection: Connection) -> bool:
    """Return whether another session stays in the database; one that was just closed ends soon."""
    until = time.monotonic() + _SESSIONS_S
    while _is(connection, SESSIONS, connection.info.dbname):
        if time.monotonic() >= until:
            return True
        time.sleep(_POLL_S)
    return False


def _holds(connection: Connection, table: str, asked: str) -> bool:
    return _is(connection, HAS_TABLE, table) and _is(connection, asked, table)


def _is(connection: Connection, asked: str, name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(asked, {"name": name})
        row = cursor.fetchone()
    return bool(row and row[0])


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Hold the migrations' lock; it ends with the connection."""
    with connection.cursor() as cursor:
        cursor.execute(TRY_GUARD, {"key": GUARD})
        row = cursor.fetchone()
    if not (row and row[0]):
        raise InvalidRequest(
            "Another process migrates or restores this database: wait until it has ended"
        )
    yield


def _free_name(server: EmbeddedPostgres, name: str) -> str:
    number = 1
    while server.has_database(f"{name}_before_{number}"):
        number += 1
    return f"{name}_before_{number}"


def _drop(admin: Connection, name: str) -> None:
    _execute(admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _execute(admin: Connection, statement: str, *names: str) -> None:
    with admin.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _in_use(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"{what} is in use: stop the service and every other program that uses it, wait half a"
        " minute, then restore again. Nothing was changed"
    )
