"""Where the lines go: a stream that may be slow, closed or broken, said once on standard error."""

import os
import select
import sys
from typing import BinaryIO, Final

_FAILING: Final = "the log stream fails ({}): log lines wait for it, then are dropped\n"
_LOST: Final = "{} log lines were lost: the log stream did not take them\n"


class LineStream:
    """Takes bytes, by the file descriptor where there is one.

    Not by Python's buffer: at exit the interpreter would wait for that buffer's lock, which a
    thread that stands in a full pipe still holds, and would end by a fatal error; and it would
    flush what a closed pipe refused, and turn a clean exit into status 120.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._number = _number_of(stream)
        self._is_told = False

    def take(self, data: bytes | memoryview) -> int:
        """Write `data` or its beginning; return how many bytes. Raises what the stream raises."""
        if self._number is None:
            taken = self._stream.write(data)
            self._stream.flush()
        elif self._stream.closed:  # its number may be another file's by now
            raise ValueError("the log stream is closed")
        else:
            taken = os.write(self._number, data)
        self._is_told = False
        return taken

    def is_ready(self, *, within_s: float = 0) -> bool:
        """Whether a short write would not wait. Not known of what has no descriptor: True."""
        if self._number is None or self._stream.closed:
            return True
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        return bool(poll.poll(within_s * 1000))

    def tell_failing(self, exc: Exception) -> None:
        """Say it once an outage, where somebody may still see it."""
        if not self._is_told:
            self._is_told = True
            _say(_FAILING.format(type(exc).__name__))

    def tell_lost(self, lines: int) -> None:
        _say(_LOST.format(lines))


def _number_of(stream: BinaryIO) -> int | None:
    try:
        stream.flush()  # what was printed before stays before
        return stream.fileno()
    except (OSError, ValueError, AttributeError):  # not a file, or closed already
        return None


def _say(sentence: str) -> None:
    try:
        sys.stderr.write(sentence)
        sys.stderr.flush()
    except Exception:  # noqa: BLE001, S110 - stderr is gone as well: there is nobody to tell
        pass
