"""The embedded PostgreSQL of a run, and its databases, each made at its first use."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from benchmarks.seeding import seed_history
from service.store.database.dsn import connect, parameters
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.migrate import migrate, migrations_folder


class Databases:
    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._made: dict[str, str] = {}

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Self]:
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            folder.chmod(0o755)
            server = EmbeddedPostgres(folder)
            server.start()
            try:
                yield cls(server)
            finally:
                server.stop()

    def empty(self, name: str) -> str:
        """Return the address of a migrated database called `name`."""
        if name not in self._made:
            self._server.ensure_database(name)
            dsn = self._server.dsn(name)
            migrate(dsn, migrations_folder())
            self._made[name] = dsn
        return self._made[name]

    def seeded(self, rows: int) -> str:
        """Return the address of a database with `rows` rows a table, shared and never changed."""
        name = f"history_{rows}"
        if name not in self._made:
            began, dsn = time.monotonic(), self.empty(name)
            with closing(connect(parameters(dsn))) as connection:
                seed_history(connection, rows)
            print(f"({rows:,} rows a table, made in {time.monotonic() - began:.0f} s)", flush=True)
        return self._made[name]
