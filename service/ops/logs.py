"""Sets up logging: one sink, one flat JSON line per event, masked last. See docs/logs.md."""

import os
import socket
import sys
import threading
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, Final, Self

import orjson
from loguru import logger

from service.ops.lines import Lines
from service.ops.masking import Masker
from service.ops.stdlib import Interception
from service.ops.stream import LineStream

if TYPE_CHECKING:
    from loguru import Message, Record

SERVICE: Final = "upbit-ai-trader"


class Log:
    """What `configure` set up. `close` gives stdlib logging back; lines are never buffered."""

    def __init__(self, *, stream: LineStream, lines: Lines, level: str) -> None:
        self._stream = stream
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
        return self._stream.dropped

    def close(self) -> None:
        self._interception.undo()
        try:
            logger.remove(self._handler)
        except ValueError:  # somebody has removed all sinks meanwhile
            return

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
            self._stream.write(line)
        return False


def _nothing_is_left(_: "Message") -> None:
    """Stand where loguru wants a sink."""


def _excuse(exc: Exception) -> bytes:
    fields = {
        "level": "ERROR",
        "event": "app",
        "message": "a log line could not be made",
        "error_type": type(exc).__name__,
    }
    return orjson.dumps(fields) + b"\n"


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
        lines=Lines(masker=Masker(secrets), facts=facts),
        level=level,
    )
