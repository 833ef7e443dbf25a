"""Ends what another thread waits for: a server that has stopped never answers it."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import connection as Connection  # noqa: N812 - a class

from service.domain.errors import StoreDown


class Interruption:
    """`cut` ends the blocking connection of another thread, and any that it opens later.

    A thread cannot be cancelled, and the process waits for its threads before it ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._is_cut = False

    @contextmanager
    def of(self, connection: Connection) -> Iterator[None]:
        """Let `cut` end this connection while the block lasts. Raises: StoreDown, when it has."""
        with self._lock:
            if self._is_cut:
                raise StoreDown("what was asked of the database is not needed any more")
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            if self._connection is None:
                return
            # The thread that reads finds the end of the stream; closing would only free the number.
            with socket.socket(fileno=os.dup(self._connection.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)
