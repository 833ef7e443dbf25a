"""Databases to measure on: histories of any length, each made when it is first asked for."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from benchmarks.growth import grow
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

    def grown(self, rows: int) -> str:
        """Return the address of one with `rows` rows a table. Read only: others measure on it."""
        name = f"history_{rows}"
        if name not in self._made:
            began, dsn = time.monotonic(), self.empty(name)
            with closing(connect(parameters(dsn))) as connection:
                grow(connection, rows)
            print(f"({rows:,} rows a table, made in {time.monotonic() - began:.0f} s)", flush=True)
        return self._made[name]
