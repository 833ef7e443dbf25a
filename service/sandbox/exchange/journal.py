"""The exchange's journal: one JSON line a command, written to the file before the answer is sent.

So a killed process loses nothing that a client has seen. A line is one transaction. It holds the
new values of the changed objects, so that replaying a line overwrites them.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Final, Protocol

from loguru import logger

from service.domain.errors import ConfigError
from service.sandbox.exchange.records import Record

VERSION: Final = 1
_NAME: Final = "exchange.jsonl"
_REMEDY: Final = "move it away to start with a new account"


class OrderJournal(Protocol):
    def append(self, record: Record) -> None:
        """Make the record durable; when this returns a SIGKILL cannot lose it."""


class NullJournal:
    """A journal that keeps nothing, for tests and exchanges without a state directory."""

    def append(self, record: Record) -> None:
        """Keep nothing."""


class OrderLog:
    """Append-only lines in `directory`, which one process at a time may use."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self.path = path
        self._file = file
        self._is_broken = False

    def append(self, record: Record) -> None:
        if self._is_broken:
            raise OSError(f"{self.path} could not be written earlier; free space and restart")
        try:
            self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
            self._file.flush()
        except OSError:
            # Half a line may be in the file: another one after it would make it unreadable.
            self._is_broken = True
            raise

    def compact(self, records: list[Record]) -> None:
        """Replace all lines by `records`, in one step."""
        fresh = self.path.with_suffix(".new")
        file = _private(fresh, os.O_TRUNC)
        for record in records:
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
        file.flush()
        fresh.replace(self.path)
        self._file.close()
        self._file = file

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


@contextlib.contextmanager
def open_journal(directory: Path) -> Iterator[tuple[OrderLog, list[Record]]]:
    """Yield the journal in `directory` and the records it holds.

    Raises: ConfigError, when the directory cannot be used or the file is damaged.
    """
    path = directory / _NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = _private(directory / "exchange.lock")
    except OSError as exc:
        raise ConfigError(
            f"the sandbox cannot keep its state in {directory}: {exc.strerror};"
            " name a directory that can be written"
        ) from exc
    with lock:
        _lock(lock, directory)
        try:
            records = _read(path)
            file = _private(path, os.O_APPEND)
        except OSError as exc:
            raise ConfigError(f"{path} cannot be opened: {exc.strerror}; {_REMEDY}") from exc
        journal = OrderLog(path, file)
        try:
            yield journal, records
        finally:
            journal.close()


def _private(path: Path, flags: int = 0) -> IO[str]:
    # The file holds the account's keys: so no other account may read it.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8")


def _lock(lock: IO[str], directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise ConfigError(
            f"another sandbox uses {directory}; stop it or name another directory"
        ) from exc


def _read(path: Path) -> list[Record]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    *whole, torn = text.split(b"\n")
    if torn:
        # The process died while it wrote the line, so no client has seen this change.
        logger.bind(event="app", file=str(path)).warning("dropped a torn last line of the journal")
    records = [_parsed(path, number, line) for number, line in enumerate(whole, 1) if line]
    if records and records[0].get("sandbox") != VERSION:
        raise ConfigError(f"{path} is no sandbox journal of version {VERSION}; {_REMEDY}")
    return records


def _parsed(path: Path, number: int, line: bytes) -> Record:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ConfigError(f"{path}, line {number} is damaged; {_REMEDY}")
    return record


class Horizon:
    """Keeps the market's time from going back at a restart.

    A write for each reading of the clock would cost too much. So the journal holds an instant that
    lies ahead, and a new one before the clock passes it. A restart after a kill begins there.
    """

    def __init__(self, journal: OrderJournal, *, lead: timedelta) -> None:
        self._journal = journal
        self._lead = lead
        self._until: datetime | None = None

    def seen(self, instant: datetime) -> None:
        if self._until is None or instant >= self._until:
            self._until = instant + self._lead
            self._journal.append({"until": self._until.isoformat()})

    def stop(self, instant: datetime) -> None:
        """Write that no later instant than `instant` has been shown."""
        self._until = instant
        self._journal.append({"stopped": instant.isoformat()})
