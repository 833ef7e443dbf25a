"""Sets up logging: a masking patcher, one sink, a flat JSON line per event. See docs/logs.md."""

import atexit
import os
import socket
import sys
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, Self

from loguru import logger

from service.ops.logs.formatter import DROPPED, LineFormatter, json_line
from service.ops.logs.masking import Masker
from service.ops.logs.patcher import MaskingPatcher
from service.ops.logs.stdlib import Interception
from service.ops.logs.text import TextFormat
from service.ops.logs.writer import CLOSE_S, LineStream, LineWriter

if TYPE_CHECKING:
    from loguru import Message, Record

LogFormat = Literal["auto", "json", "text"]

SERVICE: Final = "upbit-ai-trader"
_URGENT: Final = 30  #: loguru's number of WARNING; lines below it are dropped first


class Log:
    """What `configure` set up: loguru's only handler, whose lines a thread writes (ADR 0022)."""

    def __init__(
        self, *, stream: LineStream, patcher: MaskingPatcher, lines: LineFormatter, level: str
    ) -> None:
        self._lines = lines
        self._level = level
        self._dropped = 0
        self._in_handler = threading.local()  #: loguru's own from the next statement on
        self._nested: deque[Record] = deque()
        self._untold = self._untold_urgent = 0
        self._writer = LineWriter(stream, has_room_again=self._ask_to_tell)
        (self._handler,) = logger.configure(
            handlers=[
                {
                    "sink": self._sink,
                    "filter": self._may_enter,
                    "level": level,
                    "format": "",  # the sink formats the record; loguru's text is not used
                    "diagnose": False,  # would print the values of local variables: keys, balances
                    "backtrace": False,
                    "catch": True,
                }
            ],
            patcher=patcher,
        )
        # loguru has no public name for it (setup.cfg bounds its version).
        handlers = logger._core.handlers  # type: ignore[attr-defined]  # noqa: SLF001
        self._in_handler = handlers[self._handler]._lock_acquired  # noqa: SLF001
        self._interception = Interception(level)
        # An uncaught exception ends the process without `close`.
        atexit.register(self.close)
        # A hook, because asking for the process id would be a system call in every line.
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
        try:
            logger.remove(self._handler)
        except ValueError:
            pass  # removed meanwhile, perhaps by another `configure`: its patcher has to stay
        else:
            logger.configure(patcher=_as_it_is)
        # No line comes any more, so the sink's state is ours without loguru's lock.
        self._write_nested()
        self._tell_dropped()
        self._writer.stop(within_s=CLOSE_S)
        self._writer.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sink(self, message: "Message") -> None:
        """Format and queue a masked record; loguru lets one thread in at a time."""
        self._write(message.record)
        if self._nested:
            self._write_nested()

    def _may_enter(self, record: "Record") -> bool:
        """Whether this thread is outside of the handler; if not, a later call writes the record.

        A destructor may log in the middle of a line. loguru's lock is not reentrant: it would
        print the record to stderr, with the exception that is being handled, unmasked. So the
        flag is the one that loguru itself reads: it holds before and after our sink as well.
        """
        if not getattr(self._in_handler, "acquired", False):
            return True
        self._nested.append(record)
        return False

    def _write_nested(self) -> None:
        while self._nested:
            self._write(self._nested.popleft())

    def _write(self, record: "Record") -> None:
        if record["message"] == DROPPED:
            self._tell_dropped()
            return
        is_urgent = record["level"].no >= _URGENT
        if not self._writer.has_room(is_urgent=is_urgent):
            self._drop(is_urgent=is_urgent)
            return
        if self._untold:
            self._tell_dropped()
        self._writer.put(self._lines.render(record))

    def _drop(self, *, is_urgent: bool) -> None:
        self._lines.skip()
        self._dropped += 1
        self._untold += 1
        self._untold_urgent += is_urgent

    def _ask_to_tell(self) -> None:
        """Have the sink tell of dropped lines; called by the writer's thread.

        A log call takes loguru's lock. With a lock of our own beside it, a destructor that logs in
        the writer's thread could stop both threads for ever.
        """
        logger.log(self._level, DROPPED)

    def _tell_dropped(self) -> None:
        """Say how many lines are missing, in the very place where they are."""
        if self._untold:
            self._writer.put(
                self._lines.dropped(self._untold, at_least_warning=self._untold_urgent)
            )
            self._untold = self._untold_urgent = 0

    def _begin_as_child(self) -> None:
        """Write directly: a fork copies no thread."""
        self._writer.abandon()


def _as_it_is(_: "Record") -> None:
    """Patch nothing: loguru cannot be told to have no patcher again."""


def configure(
    *,
    level: str,
    mode: str,
    version: str,
    secrets: Iterable[str] = (),
    instance: str | None = None,
    stream: BinaryIO | None = None,
    form: LogFormat = "json",
) -> Log:
    """Make one masked JSON sink the only place where anything is logged.

    Args:
        level: least level that is written, e.g. INFO.
        secrets: masked wherever they show, encoded too; those shorter than four characters
            only under telling names. Of a URL with a password the password alone as well.
        instance: tells processes apart; host name and process id by default.
        stream: takes bytes; standard output by default.
        form: flat JSON, text for people, or `auto`: text where `stream` is a terminal.
    """
    facts = {
        "service": SERVICE,
        "version": version,
        "mode": mode,
        "instance": instance or f"{socket.gethostname()}-{os.getpid()}",
        "boot_id": uuid.uuid4().hex,
    }
    stream = stream or sys.stdout.buffer
    is_terminal = stream.isatty()
    is_text = form == "text" or (form == "auto" and is_terminal)
    text = TextFormat(is_coloured=is_terminal and not os.environ.get("NO_COLOR"))
    return Log(
        stream=LineStream(stream),
        patcher=MaskingPatcher(Masker(secrets)),
        lines=LineFormatter(facts=facts, encode=text if is_text else json_line),
        level=level,
    )
