"""Sets up logging: one sink, one flat JSON line per event, masked last. See docs/logs.md."""

import os
import socket
import sys
import threading
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, Self

import orjson
from loguru import logger

from service.ops.lines import Lines
from service.ops.masking import Masker
from service.ops.stdlib import Interception
from service.ops.stream import LineStream
from service.ops.writer import LineWriter

if TYPE_CHECKING:
    from loguru import Message, Record

SERVICE: Final = "upbit-ai-trader"
_KEPT: Final = 30  #: loguru's WARNING: never dropped for want of room while lesser lines are there


class Log:
    """What `configure` set up. `close` gives stdlib logging back and writes what still waits."""

    def __init__(
        self, *, stream: LineStream, lines: Lines, level: str, in_thread: bool = False
    ) -> None:
        self._stream = stream
        self._writer = LineWriter(stream.write, tell=_tell_dropped) if in_thread else None
        self._lines = lines
        self._writing = threading.RLock()  # not Lock: a destructor may warn in mid-line
        # The line is written by the filter, not by the sink. Before it calls a sink, loguru
        # formats message and exception for itself, a third of a line's cost; and when that
        # fails it prints the record to stderr, unmasked. A filter comes before all that.
        self._handler = logger.add(
            _nothing_is_left,
            filter=self._write,
            level=level,
            format="",
            diagnose=False,  # would print the values of local variables: keys, balances
            backtrace=False,
            catch=True,
        )
        self._interception = Interception(level)

    @property
    def dropped(self) -> int:
        """Lines that could not be written."""
        return self._stream.dropped + (self._writer.dropped if self._writer else 0)

    def close(self) -> None:
        self._interception.undo()
        with suppress(ValueError):  # somebody has removed all sinks meanwhile
            logger.remove(self._handler)
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, record: "Record") -> bool:
        with self._writing:
            try:
                line = self._lines.render(record)
            except Exception as exc:  # noqa: BLE001 - loguru would print the record to stderr
                line = _excuse(exc)
            if self._writer is None:
                self._stream.write(line)
            else:
                self._writer.put(line, spare=record["level"].no < _KEPT)
        return False


def _nothing_is_left(_: "Message") -> None:
    """Stand where loguru wants a sink."""


def _tell_dropped(count: int) -> None:
    logger.bind(event="app", dropped=count).warning(
        "log lines were dropped: whoever reads the log was too slow"
    )


def _excuse(exc: Exception) -> bytes:
    fields = {
        "level": "ERROR",
        "event": "app",
        "message": "a log line could not be made",
        "error_type": type(exc).__name__,
    }
    return orjson.dumps(fields) + b"\n"


def _stdout() -> BinaryIO:
    """Return standard output without Python's buffer.

    Of the buffer a thread that is stuck in a write holds the lock, and the interpreter, which
    flushes it once more at its end, would abort.
    """
    buffer = sys.stdout.buffer
    return getattr(buffer, "raw", buffer)


def configure(
    *,
    level: str,
    mode: str,
    version: str,
    secrets: Iterable[str] = (),
    instance: str | None = None,
    stream: BinaryIO | None = None,
    in_thread: bool = False,
) -> Log:
    """Make one masked JSON sink the only place where anything is logged.

    Args:
        level: least level that is written, e.g. INFO.
        secrets: masked wherever they show, encoded too; those shorter than four characters
            only under telling names. Of a URL with a password the password alone as well.
        instance: tells processes apart; host name and process id by default.
        stream: takes bytes; standard output by default.
        in_thread: write in a thread, so that a stream that blocks stops nobody; for a service.
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
        stream=LineStream(stream or _stdout()),
        in_thread=in_thread,
        lines=Lines(masker=Masker(secrets), facts=facts),
        level=level,
    )
