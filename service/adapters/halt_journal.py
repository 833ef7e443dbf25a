"""A file of halts, one checked line each, for the time that the database is away.

Every write is on the disk before it returns. Two processes may share the file: they take turns by
a lock on it.
"""

import asyncio
import errno
import fcntl
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from service.domain.errors import JournalDown, UnknownMarket
from service.domain.instants import rfc3339
from service.domain.markets import Market
from service.domain.trading_states import HALT_KINDS, TradingStatus
from service.ports.halt_journal import JournalContent, JournalEntry
from service.ports.store import Halt

OWNER_ONLY: Final = 0o600
ASIDE: Final = ".unreadable"
#: A process that was stopped inside the lock must not hold up a halt.
LOCK_WITHIN_S: Final = 0.2
_TRY_EVERY_S: Final = 0.01
_LONGEST: Final = 4 * 1024 * 1024  #: bytes; a halt takes some hundred


class FileHaltJournal:
    """Satisfies ports.HaltJournal. Files are read and written in threads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> JournalContent:
        return await asyncio.to_thread(self._read)

    async def append(self, entry: JournalEntry) -> None:
        await asyncio.to_thread(self._write, _halt_fields(entry))

    async def settle(self, entry_id: str) -> None:
        await asyncio.to_thread(self._write, {"id": entry_id, "settled": True}, tidy=True)

    async def set_aside(self) -> None:
        await asyncio.to_thread(self._set_aside)

    def _read(self) -> JournalContent:
        try:
            if not os.path.lexists(self._path):
                return JournalContent(unsettled=())
            with self._opened(os.O_RDONLY) as file:
                raw = os.read(file, _LONGEST + 1)
        except (OSError, JournalDown) as exc:
            return JournalContent(unsettled=(), fault=type(exc.__cause__ or exc).__name__)
        return _content(raw)

    def _write(self, fields: Mapping[str, object], *, tidy: bool = False) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        is_new = not self._path.exists()
        with self._opened(flags) as file:
            line = _line(fields)
            if os.write(file, line) != len(line):
                raise OSError(errno.ENOSPC, "cut off")
            os.fsync(file)
            if tidy and _is_settled(os.pread(file, _LONGEST + 1, 0)):
                os.ftruncate(file, 0)
                os.fsync(file)
        if is_new:
            self._sync_folder()

    def _set_aside(self) -> None:
        try:
            self._path.rename(self._path.with_name(self._path.name + ASIDE))
        except OSError as exc:
            raise JournalDown("the damaged halt journal cannot be renamed") from exc

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, OWNER_ONLY)
            try:
                _lock(file)
                yield file
            finally:
                os.close(file)
        except OSError as exc:
            raise JournalDown("the halt journal cannot be read or written") from exc

    def _sync_folder(self) -> None:
        # Without it a power cut may lose the file's name, and the halt with it.
        with suppress(OSError):
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _lock(file: int) -> None:
    """Take turns with another process; go on without it after LOCK_WITHIN_S."""
    give_up_at = time.monotonic() + LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                return
            time.sleep(_TRY_EVERY_S)
        else:
            return


def _line(fields: Mapping[str, object]) -> bytes:
    text = orjson.dumps(fields)
    # A line break first: what follows a torn line must not be glued to it.
    return b"\n%08x %s\n" % (zlib.crc32(text), text)


def _text(line: bytes) -> bytes:
    """Return the JSON of a line. Raises: ValueError, when the line is not whole."""
    checksum, _, text = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(text):
        raise ValueError("the checksum differs")
    return text


def _content(raw: bytes) -> JournalContent:
    entries: dict[str, JournalEntry] = {}
    fault = "TooLong" if len(raw) > _LONGEST else None
    for line in raw.split(b"\n"):
        if not line:
            continue
        try:
            fields = orjson.loads(_text(line))
            if "settled" in fields:
                entries.pop(fields["id"], None)
            else:
                entries[fields["id"]] = _entry(fields)
        except (ValueError, LookupError, TypeError, UnknownMarket) as exc:
            fault = type(exc).__name__
    return JournalContent(unsettled=tuple(entries.values()), fault=fault)


def _is_settled(raw: bytes) -> bool:
    content = _content(raw)
    return not content.unsettled and content.fault is None


def _halt_fields(entry: JournalEntry) -> dict[str, object]:
    halt = entry.halt
    return {
        "id": entry.id,
        "kind": halt.kind.value,
        "market": None if halt.market is None else str(halt.market),
        "reason": halt.reason,
        "actor": halt.actor,
        "since": rfc3339(halt.since),
        "ends": halt.ends,
        "detail": dict(halt.detail),
        "request_id": entry.request_id,
    }


def _entry(fields: Mapping[str, Any]) -> JournalEntry:
    market: str | None = fields["market"]
    kind = HALT_KINDS[fields["kind"]]
    since = datetime.fromisoformat(fields["since"])
    texts: Sequence[object] = (fields["id"], fields["reason"], fields["actor"])
    if since.tzinfo is None or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("no halt")
    # Lines of earlier versions are of operators' halts alone. A full halt ends by no condition.
    is_condition = fields.get("ends", "operator") == "condition" and kind is TradingStatus.REDUCING
    return JournalEntry(
        id=fields["id"],
        halt=Halt(
            kind=kind,
            market=None if market is None else Market.parse(market),
            reason=fields["reason"],
            actor=fields["actor"],
            since=since,
            ends="condition" if is_condition else "operator",
            detail=dict(fields["detail"]),
        ),
        request_id=fields["request_id"],
    )
