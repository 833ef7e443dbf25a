"""Sets up logging: one sink, one flat JSON line per event, masked last. See docs/logs.md."""

import atexit
import os
import socket
import sys
import threading
import uuid
import weakref
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from loguru import logger

from service.ops.logs.formatter import LineFormatter
from service.ops.logs.masking import Masker
from service.ops.logs.stdlib import Interception
from service.ops.logs.writer import CLOSE_S, LineWriter
from service.ops.stream import LineStream
from service.ports.requests import AnsweredRequest

if TYPE_CHECKING:
    from loguru import Message, Record

SERVICE: Final = "upbit-ai-trader"
#: loguru's numbers. Lines below the urgent ones are dropped first.
_INFO: Final = 20
_URGENT: Final = 30
_ERROR: Final = 40


class Log:
    """What `configure` set up. Lines are made where they are logged, written by a thread."""

    def __init__(self, *, stream: LineStream, lines: LineFormatter, level: str) -> None:
        self._lines = lines
        self._least = logger.level(level).no
        self._making = threading.RLock()  # not Lock: a destructor may warn in mid-line
        self._dropped = 0
        self._untold = self._untold_urgent = 0
        self._writer = LineWriter(stream, has_room_again=self._tell_dropped)
        # The line is made by the filter, not by the sink. Before it calls a sink, loguru
        # formats message and exception for itself, a third of a line's cost; and when that
        # fails it prints the record to stderr, unmasked. A filter comes before all that.
        self._handler = logger.add(
            _nothing_is_left,
            filter=self._take,
            level=level,
            format="",
            diagnose=False,  # would print the values of local variables: keys, balances
            backtrace=False,
            catch=True,
        )
        self._interception = Interception(level)
        # After an uncaught exception nobody calls `close`.
        atexit.register(self.close)
        # Not by comparing process ids: asking for one is a system call in every line.
        child = weakref.WeakMethod(self._begin_as_child)
        os.register_at_fork(after_in_child=lambda: (begin := child()) and begin())

    @property
    def dropped(self) -> int:
        """Lines that found no room, or could not be written."""
        return self._dropped + self._writer.lost

    @property
    def waiting(self) -> int:
        """Lines that are not written yet."""
        return self._writer.waiting

    def flush(self, *, within_s: float = CLOSE_S) -> bool:
        """Wait until every line logged so far is written; return whether it is."""
        return self._writer.flush(within_s=within_s)

    def close(self) -> None:
        """Give stdlib logging back and write what waits, for CLOSE_S at most."""
        atexit.unregister(self.close)
        self._interception.undo()
        with suppress(ValueError):  # somebody has removed all sinks meanwhile
            logger.remove(self._handler)
        self._tell_dropped()
        self._writer.stop(within_s=CLOSE_S)
        with self._making:
            self._writer.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, answered: AnsweredRequest) -> None:
        """Satisfies ports.RequestLog: in the same stream, past loguru (ADR 0017)."""
        failed = answered.status == HTTPStatus.INTERNAL_SERVER_ERROR
        if (_ERROR if failed else _INFO) < self._least:
            return
        with self._making:
            if self._has_room(is_urgent=failed):
                level = "ERROR" if failed else "INFO"
                self._writer.put(self._lines.request(answered, level=level))

    def _take(self, record: "Record") -> bool:
        with self._making:
            if self._has_room(is_urgent=record["level"].no >= _URGENT):
                self._writer.put(self._lines.render(record))
        return False

    def _has_room(self, *, is_urgent: bool) -> bool:
        """Whether a line may be made now, with all before it told; if not, it is dropped."""
        if not self._writer.has_room(is_urgent=is_urgent):
            self._drop(is_urgent=is_urgent)
            return False
        if self._untold:
            self._tell_dropped()
        return True

    def _drop(self, *, is_urgent: bool) -> None:
        self._lines.skip()
        self._dropped += 1
        self._untold += 1
        self._untold_urgent += is_urgent

    def _tell_dropped(self) -> None:
        """Say how many lines are missing, in the very place where they are."""
        with self._making:
            if self._untold:
                self._writer.put(
                    self._lines.dropped(self._untold, at_least_warning=self._untold_urgent)
                )
                self._untold = self._untold_urgent = 0

    def _begin_as_child(self) -> None:
        """Write directly: a fork copies no thread, and perhaps a lock that nobody holds."""
        self._making = threading.RLock()
        self._writer.abandon()


def _nothing_is_left(_: "Message") -> None:
    """Stand where loguru wants a sink."""


def configure(
    *,
    level: str,
    mode: str,
    version: str,
    secrets: Iterable[str] = (),
    instance: str | None = None,
    stream: BinaryIO | None = None,
) -> Log:
    """Make one masked JSON sink the only place where anything is logged.

    Args:
        level: least level that is written, e.g. INFO.
        secrets: masked wherever they show, encoded too; those shorter than four characters
            only under telling names. Of a URL with a password the password alone as well.
        instance: tells processes apart; host name and process id by default.
        stream: takes bytes; standard output by default.
    """
    facts = {
        "service": SERVICE,
        "version": version,
        "mode": mode,
        "instance": instance or f"{socket.gethostname()}-{os.getpid()}",
        "boot_id": uuid.uuid4().hex,
    }
    logger.remove()
    return Log(
        stream=LineStream(stream or sys.stdout.buffer),
        lines=LineFormatter(masker=Masker(secrets), facts=facts),
        level=level,
    )
