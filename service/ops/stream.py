"""Where the lines go: a stream that may be closed or broken, which must not stop the service."""

import os
import sys
from typing import BinaryIO, Final

_GONE: Final = "the log stream is gone ({}): log lines are dropped from here on\n"


class LineStream:
    """Writes whole lines, one or many; what cannot be written is counted and dropped.

    Attributes:
        dropped: lines lost so far.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.dropped = 0
        self._stream = stream
        self._told = False

    def write(self, line: bytes) -> None:
        try:
            # An unbuffered stream (python -u) may take a part only.
            while (written := self._stream.write(line)) < len(line):
                line = line[written:]
            self._stream.flush()
        except Exception as exc:  # noqa: BLE001 - whatever a stream raises, the caller goes on
            self.dropped += max(line.count(b"\n"), 1)
            self._tell(exc)

    def _tell(self, exc: Exception) -> None:
        """Say it once, where somebody may still see it."""
        if self._told:
            return
        self._told = True
        if isinstance(exc, BrokenPipeError):
            self._stop_flushing()
        try:
            sys.stderr.write(_GONE.format(type(exc).__name__))
            sys.stderr.flush()
        except Exception:  # noqa: BLE001, S110 - stderr is gone as well: there is nobody to tell
            pass

    def _stop_flushing(self) -> None:
        # The interpreter flushes stdout once more as it exits, and would turn a clean exit into
        # status 120. Source: Python docs, "Note on SIGPIPE".
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        except (OSError, ValueError):  # not a file, or closed already
            return
