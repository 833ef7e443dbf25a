"""A bounded queue of lines and the thread that writes them: callers never wait (ADR 0013)."""

import os
import select
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import BinaryIO, Final

LINES: Final = 10_000  #: waiting, of DEBUG and INFO; WARNING and above have as many again
BYTES: Final = 8 * 1024 * 1024  #: waiting, the same way; a line has at most 15 KiB
CLOSE_S: Final = 2.0  #: what waiting lines get at the end
_PIECE: Final = 32 * 1024  #: bytes a write; what a stalled reader leaves in doubt is one piece
AGAIN_S: Final = 1.0  #: between two tries of a stream that fails
#: After a write, lines gather for so long. Waking the thread costs the caller more than making the
#: line does, and without the pause each line would wake it.
GATHER_S: Final = 0.01
_FAILING: Final = "the log stream fails ({}): log lines wait for it, then are dropped\n"
_LOST: Final = "{} log lines were lost: the log stream did not take them\n"


class LineStream:
    """Takes bytes, by the file descriptor where there is one.

    Python's own buffer has two faults at exit. The interpreter takes the buffer's lock, and ends
    by a fatal error while a thread that is blocked in a full pipe holds it. It also flushes what a
    closed pipe refused, and turns a clean exit into status 120.
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
        """Report on standard error, once for each outage."""
        if not self._is_told:
            self._is_told = True
            _say(_FAILING.format(type(exc).__name__))

    def tell_lost(self, lines: int) -> None:
        _say(_LOST.format(lines))


class LineWriter:
    """Takes lines from any thread, writes them in their order.

    `has_room`, `put` and `end` are for one caller at a time. The two ends share no lock. The
    caller counts the lines that were put, the thread those that are done; the difference waits.

    Attributes:
        lost: lines that were taken and could not be written.
    """

    def __init__(
        self,
        stream: LineStream,
        *,
        has_room_again: Callable[[], None],
        again_s: float = AGAIN_S,
    ) -> None:
        """Start the thread, which calls `has_room_again` once a full queue is down to its half."""
        self.lost = 0
        self._stream = stream
        self._has_room_again = has_room_again
        self._again_s = again_s
        # Written in C, and so safe from a destructor that logs in the middle of a `put`.
        self._queue: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        self._put, self._put_bytes = 0, 0
        self._done, self._done_bytes = 0, 0
        self._is_full = False
        self._has_failed = False
        self._is_direct = False
        self._closing = threading.Event()
        # A daemon: one that stands in a full pipe must not keep the process from its end.
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._put - self._done

    def has_room(self, *, is_urgent: bool) -> bool:
        """Whether a line may be put now.

        Once full, there is room for lines that are not urgent only below the half of the
        queue: else each line that is written would let one in, and tell of a gap before it.
        """
        if self._is_direct:
            return True
        waiting, size = self._put - self._done, self._put_bytes - self._done_bytes
        if waiting < LINES and size < BYTES and not self._is_full:  # nearly always
            return True
        if is_urgent:
            return waiting < 2 * LINES and size < 2 * BYTES
        if self._is_full:
            self._is_full = not self._has_half()
        else:
            self._is_full = waiting >= LINES or size >= BYTES
        return not self._is_full

    def put(self, line: bytes) -> None:
        """Queue a line; after the end write it at once, or lose it if that would have to wait."""
        if self._is_direct:
            self._put_directly(line)
            return
        self._put += 1
        self._put_bytes += len(line)
        self._queue.put(line)

    def flush(self, *, within_s: float) -> bool:
        """Wait until all that was put is written; return whether it is."""
        if self._is_direct:
            return True
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(within_s)

    def stop(self, *, within_s: float) -> None:
        """Let the thread write what waits, for a bounded time. `end` comes next."""
        if not self._is_direct:
            self._closing.set()
            self._queue.put(threading.Event())  # wakes the thread
            self._thread.join(within_s)

    def end(self) -> None:
        """Write directly from now on. What the thread could not write is lost, and told."""
        if self._is_direct:
            return
        self._is_direct = True
        if self._thread.is_alive() or self._has_failed:
            self.lost += self.waiting
            if self.waiting:
                self._stream.tell_lost(self.waiting)
            return
        while not self._queue.empty():  # came when the thread had just gone
            item = self._queue.get()
            if isinstance(item, bytes):
                self._put_directly(item)

    def abandon(self) -> None:
        """Forget the thread and what waits for it: in a forked child both are the parent's."""
        self._is_direct = True
        self._put = self._done = self.lost = 0

    def _put_directly(self, line: bytes) -> None:
        # The thread may still stand in the stream; then there is no room for this line either.
        if self._thread.is_alive() or not self._stream.is_ready():
            self.lost += 1
            return
        try:
            self._stream.take(line)
        except Exception as exc:  # noqa: BLE001 - whatever a stream raises, the caller goes on
            self.lost += 1
            self._stream.tell_failing(exc)

    def _run(self) -> None:
        while not (self._closing.is_set() and self._queue.empty()):
            piece, reached = self._next_piece()
            if piece and not self._written(b"".join(piece)):
                self._has_failed = True
                return
            self._done_bytes += sum(map(len, piece))
            self._done += len(piece)
            if reached is not None:
                reached.set()
            if self._is_full and self._has_half():
                self._has_room_again()
            if piece and self._queue.empty():
                self._closing.wait(GATHER_S)

    def _next_piece(self) -> tuple[list[bytes], threading.Event | None]:
        """Wait for a line; return it and what waits behind it, up to the next `flush`."""
        piece: list[bytes] = []
        size = 0
        while size < _PIECE:
            item = self._queue.get()
            if not isinstance(item, bytes):
                return piece, item
            piece.append(item)
            size += len(item)
            if self._queue.empty():
                break
        return piece, None

    def _has_half(self) -> bool:
        size = self._put_bytes - self._done_bytes
        return self.waiting <= LINES // 2 and size <= BYTES // 2

    def _written(self, piece: bytes) -> bool:
        """Write all of `piece`, however long it takes; False when it fails and we are closing."""
        rest = memoryview(piece)
        while rest:
            try:
                rest = rest[self._stream.take(rest) :]
            except BlockingIOError:  # another process can set O_NONBLOCK, it is the same open file
                self._stream.is_ready(within_s=self._again_s)
            except Exception as exc:  # noqa: BLE001 - whatever a stream raises, we try again
                self._stream.tell_failing(exc)
                if self._closing.wait(self._again_s):
                    return False
        return True


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
    except Exception:  # noqa: BLE001, S110 - stderr is gone as well
        pass
