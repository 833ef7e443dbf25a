"""The embedded PostgreSQL: made on the first start, shared, stopped by the last process using it.

`directory` holds `cluster/` (the data), `socket/` (0700, the only way in) and `server.log`. It has
three lock files. `lock` allows one start or stop at a time. `users` is held by the processes that
use the server, `alive` by the server's own processes. Nothing listens on the network.
"""

import errno
import fcntl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

import psycopg2
from loguru import logger
from psycopg2 import sql

from service.domain.errors import StartError
from service.store.database.dsn import connect, parameters, url
from service.store.embedded.binaries import ServerAccount, copied, programs
from service.store.embedded.cluster import (
    ELSEWHERE,
    PORT,
    USER,
    ensure_cluster,
    home_of,
    last_words,
    size,
    socket_directory,
)
from service.store.embedded.process import Postmaster, locked

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_ADMIN: Final = "postgres"  #: the database that every cluster has
_POLL_S: Final = 0.01
_LOCK_S: Final = 120.0
_READY_S: Final = 300.0  #: recovery after a crash reads the whole write-ahead log
_ORPHANS_S: Final = 20.0
_FAST_S: Final = 5.0
_IMMEDIATE_S: Final = 3.0

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_permissions": "0700",
        # Enough for two services with full pools and listeners, and for commands.
        "max_connections": "100",
        "shared_buffers": "128MB",
        "huge_pages": "off",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "client_connection_check_interval": "2s",
        "idle_in_transaction_session_timeout": "30s",
        # psycopg2 puts values into the statement's text: a logged statement would show balances.
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }
)

HAS_DATABASE: Final = "SELECT 1 FROM pg_database WHERE datname = %(name)s"


class EmbeddedPostgres:
    """One server in one directory, shared by all processes that name the same directory.

    Every method blocks; call them in a thread.
    """

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] = MappingProxyType({}),
        elsewhere: Path = ELSEWHERE,
    ) -> None:
        self._asked = (
            directory.resolve()
        )  # one name for all processes, whatever path they were given
        self._settings = {**SETTINGS, **settings}
        self._elsewhere = elsewhere
        self._home = self._asked
        self._server: Postmaster | None = None
        self._where: str | None = None
        self._users: IO[bytes] | None = None
        # A stop waits for a start that runs in another thread. Else a caller that is cancelled
        # during the start would stop nothing, and the server would come up afterwards.
        self._turn = threading.Lock()

    @property
    def log(self) -> Path:
        return self._home / "server.log"

    @property
    def _cluster(self) -> Path:
        return self._home / "cluster"

    def start(self) -> None:
        """Make the server run: adopt a running one, or create, repair and start it.

        Raises: StartError; nothing is left running and no data was touched.
        """
        with self._turn, self._explained():
            if self._server is not None:
                return
            self._home = home_of(self._asked, self._elsewhere)
            with locked(self._home / "lock", within_s=_LOCK_S):
                self._users = (self._home / "users").open("ab")
                fcntl.flock(self._users, fcntl.LOCK_SH)
                try:
                    self._server = self._started()
                    self._where = self._server.socket_directory()
                except BaseException:
                    self._release()
                    raise

    def stop(self) -> None:
        """Release the server, and end it when no other process uses it."""
        with self._turn, self._explained():
            server, self._server, self._where = self._server, None, None
            if server is None:
                return
            with locked(self._home / "lock", within_s=_LOCK_S):
                self._release()
                if self._is_used():
                    server.let_go()
                elif not server.stop(fast_s=_FAST_S, immediate_s=_IMMEDIATE_S):
                    logger.bind(event="app", log=str(self.log)).warning(
                        "the embedded PostgreSQL has not ended; see its log"
                    )

    def revive(self) -> bool:
        """Start the server again if it has died; return whether it had.

        PostgreSQL itself recovers from a killed backend; this recovers from a killed postmaster.
        Raises: StartError, also when the data is gone.
        """
        with self._turn, self._explained():
            before = self._server
            if before is None or before.pid() is not None:
                return False
            with locked(self._home / "lock", within_s=_LOCK_S):
                before.let_go()
                # An unmounted disk must not be replaced by an empty database.
                if not self._cluster.exists():
                    raise StartError(
                        f"The data in {self._cluster} is gone: bring it back, or start the"
                        " service anew to begin with an empty database"
                    )
                self._server = self._started()  # adopted, if another process has started it
                self._where = self._server.socket_directory()
            return True

    def dsn(self, database: str) -> str:
        """Return the address of `database` on the running server."""
        if self._where is None:
            raise StartError("The embedded PostgreSQL is not running: start it first")
        return url(host=self._where, port=PORT, user=USER, database=database)

    def has_database(self, name: str) -> bool:
        admin = parameters(self.dsn(_ADMIN))
        with closing(connect(admin)) as connection, connection.cursor() as cursor:
            cursor.execute(HAS_DATABASE, {"name": name})
            return cursor.fetchone() is not None

    def ensure_database(self, name: str) -> None:
        admin = parameters(self.dsn(_ADMIN))
        with closing(connect(admin)) as connection, connection.cursor() as cursor:
            cursor.execute(HAS_DATABASE, {"name": name})
            if cursor.fetchone() is not None:
                return
            # Another process may create it first.
            with suppress(psycopg2.errors.DuplicateDatabase, psycopg2.errors.UniqueViolation):
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _started(self) -> Postmaster:
        server = Postmaster(self._cluster, self._home / "alive", self.log)
        while server.pid() is not None and server.wait_until_ready(within_s=_READY_S):
            if self._answers(server):
                return server  # left running by another process, or shared with it
        # The backends of a dead postmaster live until they notice its death.
        if not server.wait_until_gone(within_s=_ORPHANS_S):
            raise StartError(
                f"Processes of a PostgreSQL that died still use {self._cluster}: end the postgres"
                " processes that work there, then start again"
            )
        account = ServerAccount.of(self._cluster)
        installed = programs()
        if account is not None and not account.reaches(installed / "bin" / "postgres"):
            installed = copied(installed, self._home)
        ensure_cluster(self._cluster, self.log, installed, account)
        since = size(self.log)
        server.start(installed, self._settings, socket_directory(self._home, account), account)
        try:
            if server.wait_until_ready(within_s=_READY_S):
                return server
        except BaseException:  # Ctrl-C in a command: no process would be left to stop the server
            server.stop(fast_s=_FAST_S, immediate_s=_IMMEDIATE_S)
            raise
        server.stop(fast_s=_FAST_S, immediate_s=_IMMEDIATE_S)
        said = last_words(self.log, since=since)
        raise StartError(
            f"PostgreSQL could not start from {self._cluster}{said}: see {self.log}, or move the"
            " directory away to begin with an empty database"
        )

    def _answers(self, server: Postmaster) -> bool:
        """Return whether a connection succeeds; a killed server may look ready for a while."""
        where = server.socket_directory()
        if where is None:
            return False
        try:
            connect(parameters(url(host=where, port=PORT, user=USER, database=_ADMIN))).close()
        except StartError:
            time.sleep(_POLL_S)
            return False
        return True

    def _is_used(self) -> bool:
        """Return whether another process uses the server. Hold the lock and `_release` first."""
        with (self._home / "users").open("ab") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _release(self) -> None:
        if self._users is not None:
            self._users.close()
            self._users = None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise StartError(
                f"Another process has been starting or stopping the database in {self._home} for"
                f" {_LOCK_S:g} s: wait for it or end it"
            ) from None
        except (OSError, subprocess.SubprocessError) as exc:
            why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            if isinstance(exc, OSError) and exc.errno in _FULL:
                raise StartError(
                    f"The disk that holds {self._home} is full ({why}): make room, or set"
                    " TRADER_DATA_DIR to a directory on another disk"
                ) from exc
            raise StartError(
                f"The directory {self._asked} cannot hold the database ({why}): make it a"
                " directory that this account may write to, or set TRADER_DATA_DIR"
            ) from exc
