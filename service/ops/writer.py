"""Writes log lines in a thread of its own: a reader of stdout that stalls never stops the service.

Lines wait in a bounded queue. When that is full, what is less than a warning is dropped and counted
(`seq` has a gap there); once the reader reads again, a warning says how many.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_LINES: Final = 10_000
MOST_BYTES: Final = 16 * 1024 * 1024  #: a line has 15 KiB at most, most have a few hundred bytes
BATCH: Final = 256  #: lines in one write
CLOSE_S: Final = 2.0  #: for what is left at the end, when nobody reads


class LineWriter:
    """Takes lines from any thread and never waits for the stream.

    Args:
        write: takes bytes, may block; raises nothing.
        tell: says how many were dropped; called in the writer's thread, and may log.

    Attributes:
        dropped: lines that found no room so far.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        *,
        tell: Callable[[int], None],
        most_lines: int = MOST_LINES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.dropped = 0
        self._write = write
        self._tell = tell
        self._most_lines, self._most_bytes = most_lines, most_bytes
        self._lines: deque[tuple[bytes, bool]] = deque()
        self._bytes = 0
        self._untold = 0
        self._closing = False
        # Re-entrant: a destructor may log in the middle of a put.
        self._turn = threading.Condition(threading.RLock())
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, line: bytes, *, spare: bool) -> None:
        """Queue `line`; without room a `spare` one is dropped, another one displaces a spare."""
        with self._turn:
            if self._is_full(len(line)) and (spare or not self._make_room(len(line))):
                self._drop()
                return
            self._lines.append((line, spare))
            self._bytes += len(line)
            self._turn.notify()

    def close(self, *, within_s: float = CLOSE_S) -> bool:
        """Write what is left, for a while; return whether everything was written."""
        until = time.monotonic() + within_s
        with self._turn:
            self._closing = True
            self._turn.notify()
        self._thread.join(max(until - time.monotonic(), 0.0))
        return not self._thread.is_alive()

    def _is_full(self, more: int) -> bool:
        return len(self._lines) >= self._most_lines or self._bytes + more > self._most_bytes

    def _make_room(self, more: int) -> bool:
        """Drop the oldest spare lines until there is room; all at once, since that takes a walk."""
        if not any(spare for _, spare in self._lines):
            return False
        kept = deque(item for item in self._lines if not item[1])
        for _ in range(len(self._lines) - len(kept)):
            self._drop()
        self._lines, self._bytes = kept, sum(len(line) for line, _ in kept)
        return not self._is_full(more)

    def _drop(self) -> None:
        self.dropped += 1
        self._untold += 1

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            if batch:
                self._write(b"".join(batch))
            if dropped := self._news():
                self._tell(dropped)

    def _next(self) -> list[bytes] | None:
        """Return what waits, a handful of lines at most; None at the end."""
        with self._turn:
            while not self._lines and not self._untold and not self._closing:
                self._turn.wait()
            if self._closing and not self._lines and not self._untold:
                return None
            count = min(len(self._lines), BATCH)
            batch = [self._lines.popleft()[0] for _ in range(count)]
            self._bytes -= sum(map(len, batch))
            return batch

    def _news(self) -> int:
        """Return how many were dropped, once there is room to say it without dropping more."""
        with self._turn:
            if self._lines:
                return 0
            dropped, self._untold = self._untold, 0
            return dropped
