"""A file of exits, one checked line each, for the time that the database is away.

Every write is on the disk before it returns. One process writes: it holds a lock on a file beside
this one until it lets go or ends.
"""

import asyncio
import errno
import fcntl
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import orjson

from service.domain.decimals import decimal_text
from service.domain.errors import JournalDown, UnknownMarket
from service.domain.markets import Market
from service.domain.orders import (
    IDENTIFIER_PREFIX,
    Breach,
    ExitRule,
    Intent,
    OrderType,
    SendOutcome,
    Sent,
    Side,
)
from service.ports.exit_journal import ExitJournalContent, JournaledExit

OWNER_ONLY: Final = 0o600
ASIDE: Final = ".unreadable"
LOCK: Final = ".lock"
_LONGEST: Final = 4 * 1024 * 1024  #: bytes; an order takes some hundred
#: Bytes after which no order is added: the rest is for outcomes and for settling all of them.
_MOST_ORDERS: Final = 3 * 1024 * 1024
_SOON_FULL: Final = 2 * 1024 * 1024  #: bytes from which `check` fails, long before `append` does
_DIGITS: Final = 8  #: of a checksum
_FAULTS: Final = (ValueError, LookupError, TypeError, AttributeError, InvalidOperation)


class FileExitJournal:
    """Satisfies ports.ExitJournal. Files are read and written in threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._turn = asyncio.Lock()  #: one call at a time, so that a failed write can be undone

    async def take(self) -> None:
        async with self._turn:
            await asyncio.to_thread(self._take)

    async def let_go(self) -> None:
        async with self._turn:
            lock, self._lock = self._lock, None
            if lock is not None:
                os.close(lock)

    async def check(self) -> None:
        async with self._turn:
            await asyncio.to_thread(self._check)

    async def read(self) -> ExitJournalContent:
        async with self._turn:
            return await asyncio.to_thread(self._read)

    async def append(self, order: JournaledExit) -> None:
        async with self._turn:
            await asyncio.to_thread(self._write, _order_fields(order), most=_MOST_ORDERS)

    async def note(self, identifier: str, sent: Sent) -> None:
        fields = {
            "id": identifier,
            "outcome": sent.outcome.value,
            "reason": sent.reason,
            "exchange_uuid": sent.exchange_uuid,
        }
        async with self._turn:
            await asyncio.to_thread(self._write, fields)

    async def settle(self, identifier: str) -> None:
        async with self._turn:
            await asyncio.to_thread(self._write, {"id": identifier, "settled": True}, tidy=True)

    async def set_aside(self) -> None:
        async with self._turn:
            await asyncio.to_thread(self._set_aside)

    def _take(self) -> None:
        if self._lock is not None:
            return
        lock_path = self._path.with_name(self._path.name + LOCK)
        with _explained("another process writes the exit journal, or its folder is no place"):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = os.open(lock_path, flags, OWNER_ONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                raise
        self._lock = lock

    def _check(self) -> None:
        with self._opened(os.O_RDWR | os.O_APPEND | os.O_CREAT) as file:
            left = os.fstatvfs(file)
            if not left.f_bavail:
                raise OSError(errno.ENOSPC, "the disk is full")
            if os.fstat(file).st_size > _SOON_FULL:
                raise OSError(errno.EFBIG, "the exit journal is soon full")

    def _read(self) -> ExitJournalContent:
        try:
            if not os.path.lexists(self._path):
                return ExitJournalContent()
            with self._opened(os.O_RDONLY, writes=False) as file:
                raw = os.read(file, _LONGEST + 1)
        except JournalDown as exc:
            return ExitJournalContent(fault=type(exc.__cause__ or exc).__name__)
        return _content(raw)

    def _write(
        self, fields: Mapping[str, object], *, tidy: bool = False, most: int = _LONGEST
    ) -> None:
        is_new = not self._path.exists()
        with self._opened(os.O_RDWR | os.O_APPEND | os.O_CREAT) as file:
            begin = _cut_torn(file)
            if begin > most:
                raise OSError(errno.EFBIG, "the exit journal is full")
            try:
                _put(file, _line(fields))
            except OSError:
                # What was not written whole is no order: the next reader must not meet a part.
                with suppress(OSError):
                    os.ftruncate(file, begin)
                raise
            if is_new:
                # Without it a power cut may lose the file's name, and the order with it.
                self._sync_folder()
            if tidy and _is_settled(os.pread(file, _LONGEST + 1, 0)):
                os.ftruncate(file, 0)
                os.fsync(file)

    def _set_aside(self) -> None:
        with _explained("the damaged exit journal cannot be renamed"):
            self._path.rename(self._path.with_name(self._path.name + ASIDE))
            self._sync_folder()

    @contextmanager
    def _opened(self, flags: int, *, writes: bool = True) -> Iterator[int]:
        if writes and self._lock is None:
            raise JournalDown("this process has not taken the exit journal")
        with _explained("the exit journal cannot be read or written"):
            # Without O_NONBLOCK a pipe of this name would be waited for.
            more = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            file = os.open(self._path, flags | more, OWNER_ONLY)
            try:
                _check_ours(file)
                yield file
            finally:
                os.close(file)

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _explained(sentence: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise JournalDown(sentence) from exc


def _check_ours(file: int) -> None:
    """Raises: PermissionError, for what no process of this account has made as a journal."""
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "no journal of ours")
    if stat.S_IMODE(found.st_mode) & ~OWNER_ONLY:
        os.fchmod(file, OWNER_ONLY)


def _cut_torn(file: int) -> int:
    """Cut off what a crash or a full disk left of a last line; return the file's size."""
    raw = os.pread(file, _LONGEST + 1, 0)
    if len(raw) > _LONGEST:
        raise OSError(errno.EFBIG, "the exit journal is too long")
    last = raw.rpartition(b"\n")[2]
    if last and not _is_whole(last):
        raw = raw[: -len(last)]
        os.ftruncate(file, len(raw))
    return len(raw)


def _put(file: int, line: bytes) -> None:
    if os.write(file, line) != len(line):
        raise OSError(errno.ENOSPC, "cut off")
    os.fsync(file)


def _line(fields: Mapping[str, object]) -> bytes:
    text = orjson.dumps(fields)
    # A line break first: what follows a torn line must not be glued to it.
    return b"\n%08x %s\n" % (zlib.crc32(text), text)


def _text(line: bytes) -> bytes:
    """Return the JSON of a line. Raises: ValueError, when the line is not whole."""
    checksum, _, text = line.partition(b" ")
    if len(checksum) != _DIGITS or int(checksum, 16) != zlib.crc32(text):
        raise ValueError("the checksum differs")
    return text


def _is_whole(line: bytes) -> bool:
    try:
        _text(line)
    except ValueError:
        return False
    return True


def _content(raw: bytes) -> ExitJournalContent:
    orders: dict[str, JournaledExit] = {}
    fault = "TooLong" if len(raw) > _LONGEST else None
    is_torn = False
    lines = [line for line in raw.split(b"\n") if line]
    for number, line in enumerate(lines, 1):
        is_last = number == len(lines) and not raw.endswith(b"\n")
        if is_last and not _is_whole(line):
            # A crash cuts off the last line only. Its write never returned, so it sent nothing.
            is_torn = True
            continue
        try:
            _apply(orders, orjson.loads(_text(line)))
        except (*_FAULTS, UnknownMarket) as exc:
            fault = type(exc).__name__
    return ExitJournalContent(unsettled=tuple(orders.values()), is_torn=is_torn, fault=fault)


def _apply(orders: dict[str, JournaledExit], fields: Mapping[str, Any]) -> None:
    identifier: str = fields["id"]
    if "settled" in fields:
        orders.pop(identifier, None)
    elif "outcome" in fields:
        # A line of an order that was settled meanwhile says nothing new.
        if identifier in orders:
            orders[identifier] = replace(
                orders[identifier],
                sent=Sent(
                    outcome=SendOutcome(fields["outcome"]),
                    reason=fields["reason"],
                    exchange_uuid=fields["exchange_uuid"],
                ),
            )
    else:
        orders[identifier] = _order(fields)


def _is_settled(raw: bytes) -> bool:
    content = _content(raw)
    return not content.unsettled and content.fault is None


def _order_fields(order: JournaledExit) -> dict[str, object]:
    intent, breach = order.intent, order.breach
    return {
        "id": order.identifier,
        "market": str(intent.market),
        "type": intent.type.value,
        "price": None if intent.price is None else decimal_text(intent.price),
        "volume": None if intent.volume is None else decimal_text(intent.volume),
        "rule": breach.rule.value,
        "breach_price": decimal_text(breach.price),
        "breach_limit": decimal_text(breach.limit),
        "epoch": order.epoch,
        "at": order.at.isoformat(),
    }


def _order(fields: Mapping[str, Any]) -> JournaledExit:
    at = datetime.fromisoformat(fields["at"])
    epoch = fields["epoch"]
    if at.tzinfo is None or not isinstance(epoch, int):
        raise ValueError("no order")
    if not fields["id"].startswith(IDENTIFIER_PREFIX):
        raise ValueError("no order of ours")
    return JournaledExit(
        identifier=fields["id"],
        intent=Intent(
            market=Market.parse(fields["market"]),
            side=Side.SELL,
            type=OrderType(fields["type"]),
            price=None if fields["price"] is None else Decimal(fields["price"]),
            volume=None if fields["volume"] is None else Decimal(fields["volume"]),
        ),
        breach=Breach(
            rule=ExitRule(fields["rule"]),
            price=Decimal(fields["breach_price"]),
            limit=Decimal(fields["breach_limit"]),
        ),
        epoch=epoch,
        at=at,
    )
