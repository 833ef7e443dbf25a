"""Migrations: run by yoyo, one process at a time, from files that must not change."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import psycopg2
from loguru import logger
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so
from yoyo.migrations import Migration, read_migrations

import service
from service.domain.errors import StartError
from service.store.database.dsn import connect, parameters
from service.store.migrations.yoyo_backend import SESSION, Backend, migration_id

#: An arbitrary key that never changes: every version of this program must take the same lock.
GUARD: Final = 7_265_146_820_301
_POLL_S: Final = 0.1
TRY_GUARD: Final = "SELECT pg_try_advisory_lock(%(key)s)"
HAS_TABLE: Final = "SELECT to_regclass(%(name)s) IS NOT NULL"
APPLIED: Final = "SELECT migration_id FROM _yoyo_migration ORDER BY migration_id"
BREAK_LOCK: Final = "DELETE FROM yoyo_lock"
CREATE_FILES: Final = """
    CREATE TABLE IF NOT EXISTS migration_files (
        file         text PRIMARY KEY,
        migration_id text NOT NULL,
        sha256       text NOT NULL
    )
"""
FILES: Final = "SELECT file, sha256 FROM migration_files"


def migrations_folder() -> Path:
    """Return the migrations' folder: in the installed package, or beside it in a checkout."""
    package = Path(service.__file__).parent
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parent / "migrations"


def migrate(dsn: str, folder: Path, *, wait_s: float = 30) -> int:
    """Apply what is missing; return how many. Blocks: call it in a thread.

    Several processes may call it at once; one migrates, the others wait up to `wait_s`.

    Raises: StartError. The database cannot be used, or is newer than `folder`. Or a file was
        changed or lost after it had been applied. Or a migration fails, and is undone.
    """
    return _run(dsn, folder, wait_s=wait_s, up=True)


def rollback_all(dsn: str, folder: Path) -> int:
    """Undo every migration, newest first; return how many. For tests: all data is lost."""
    return _run(dsn, folder, wait_s=30, up=False)


def _run(dsn: str, folder: Path, *, wait_s: float, up: bool) -> int:
    files = files_in(folder)
    given = parameters(dsn)
    with _guarded(given, wait_s) as guard:
        _check(guard, files)
        with closing(Backend.connected(given, files)) as backend:
            migrations = read_migrations(str(folder))
            todo = backend.to_apply(migrations) if up else backend.to_rollback(migrations)
            for migration in todo:
                _step(backend, migration, up=up)
    return len(todo)


def _step(backend: Backend, migration: Migration, *, up: bool) -> None:
    try:
        if up:
            backend.apply_one(migration)
        else:
            backend.rollback_one(migration)
    except psycopg2.Error as exc:
        said = str(exc).strip().partition("\n")[0]
        doing = "applied" if up else "rolled back"
        raise StartError(
            f"Migration {migration.id} could not be {doing} ({said}): the database stays at the"
            " migration before it; mend the cause and start again"
        ) from exc
    logger.bind(event="app", migration=migration.id, up=up).info("migration done")


@contextmanager
def _guarded(given: Mapping[str, str], wait_s: float) -> Iterator[Connection]:
    """Hold the advisory lock on its own connection: PostgreSQL frees it when this process ends."""
    with closing(connect(given, SESSION)) as guard:
        until = time.monotonic() + wait_s
        # Polled: a blocking wait for the lock and a CREATE INDEX CONCURRENTLY would deadlock.
        while not _one(guard, TRY_GUARD, {"key": GUARD}):
            if time.monotonic() >= until:
                raise StartError(
                    "Another process has been migrating the database for more than"
                    f" {wait_s:g} s: wait until it has finished, then start again"
                )
            time.sleep(_POLL_S)
        yield guard


def _one(connection: Connection, sql: str, params: Mapping[str, object]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
    return bool(row and row[0])


def files_in(folder: Path) -> dict[str, str]:
    """Return the sha256 of every migration file by its name."""
    names = [p for p in folder.glob("*") if p.suffix in {".sql", ".py"} and p.name[0] not in "_."]
    if not names:
        raise StartError(f"There are no migrations in {folder}: reinstall the program")
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(names)}


def _check(guard: Connection, files: Mapping[str, str]) -> None:
    """Compare the applied migrations with `files`, and delete the lock row of a killed migrator."""
    with guard.cursor() as cursor:
        cursor.execute(CREATE_FILES)
        if _one(guard, HAS_TABLE, {"name": "yoyo_lock"}):
            cursor.execute(
                BREAK_LOCK
            )  # we hold the advisory lock, so the process that wrote the row is dead
        applied: set[str] = set()
        if _one(guard, HAS_TABLE, {"name": "_yoyo_migration"}):
            cursor.execute(APPLIED)
            applied = {row[0] for row in cursor.fetchall()}
        cursor.execute(FILES)
        recorded = dict(cursor.fetchall())
    present = {migration_id(file) for file in files}
    if newer := sorted(name for name in applied - present if name > max(present)):
        raise StartError(
            f"The database is newer than this program: it has the migration {newer[-1]};"
            " install the version that brought it, or restore a backup"
        )
    for file, digest in sorted(recorded.items()):
        if file not in files:
            raise StartError(f"{file} is missing, but was applied to the database: restore it")
        if files[file] != digest:
            raise StartError(
                f"{file} was changed after it had been applied to the database: restore it,"
                " and put the change into a new migration"
            )
