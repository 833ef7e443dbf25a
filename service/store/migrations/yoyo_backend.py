"""yoyo's PostgreSQL backend, with a migration and the record of it in one transaction."""

import os
import socket
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import Migration, default_migration_table

from service.crashpoints import crashpoint
from service.store.database.dsn import session_options

#: A long index build is allowed. A long wait for a lock is not: all statements queue behind it.
SESSION: Final = {"timezone": "UTC", "statement_timeout": "0", "lock_timeout": "30s"}

ADD_FILE: Final = """
    INSERT INTO migration_files (file, migration_id, sha256)
    VALUES (%(file)s, %(migration_id)s, %(sha256)s)
"""
FORGET_FILES: Final = "DELETE FROM migration_files WHERE migration_id = %(migration_id)s"


def migration_id(file: str) -> str:
    return file.rpartition(".")[0].removesuffix(".rollback")


class Backend(PostgresqlBackend):  # type: ignore[misc]  # yoyo has no types
    """yoyo's backend, except that a migration and the record of it are one transaction.

    yoyo commits the migration on one connection and the record on another. After a kill in
    between, every later start would try the migration again and fail.
    """

    _files: Mapping[str, str]

    @classmethod
    def connected(cls, given: Mapping[str, str], files: Mapping[str, str]) -> "Backend":
        # Built from parameters, not from a URL: so nothing is escaped, and any parameter works.
        args = {**given, "options": session_options(given, SESSION)}
        uri = DatabaseURI("postgresql", None, None, None, None, args.pop("dbname", None), args)
        backend = cls(uri, default_migration_table)
        backend._files = files
        backend.init_database()
        backend.ensure_internal_schema_updated()
        return backend

    def close(self) -> None:
        self.connection.close()

    def get_log_data(
        self, migration: Migration | None = None, operation: str = "apply"
    ) -> dict[str, Any]:
        # yoyo itself asks the resolver for the host's full name, which is slow where it has none.
        # It also looks the user up, which fails in a container with an arbitrary uid.
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": str(os.geteuid()),
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }

    def apply_one(self, migration: Migration, *_: object, **__: object) -> None:
        self._one_transaction(migration, up=True)

    def rollback_one(self, migration: Migration, *_: object, **__: object) -> None:
        self._one_transaction(migration, up=False)

    def _one_transaction(self, migration: Migration, *, up: bool) -> None:
        migration.load()
        if not migration.use_transactions:
            migration.process_steps(self, "apply" if up else "rollback")
            with self.transaction():
                self._record(migration, up=up)
            return
        with self.transaction():
            migration.process_steps(self, "apply" if up else "rollback")
            crashpoint("migrate.mid")
            self._record(migration, up=up)

    def _record(self, migration: Migration, *, up: bool) -> None:
        mark = self.mark_one if up else self.unmark_one
        mark(migration, log=False)
        self.log_migration(migration, "apply" if up else "rollback")
        with self.cursor() as cursor:
            cursor.execute(FORGET_FILES, {"migration_id": migration.id})
            for file, digest in self._files.items() if up else ():
                if migration_id(file) == migration.id:
                    row = {"file": file, "migration_id": migration.id, "sha256": digest}
                    cursor.execute(ADD_FILE, row)
