"""The queue and its thread. F56: a reader that stalls or goes must not stop trading."""

import asyncio
import fcntl
import io
import json
import os
import threading
import time
from itertools import pairwise
from typing import Any, BinaryIO

import pytest
from loguru import logger

from service.ops.logs import writer
from service.ops.logs.setup import Log, configure
from service.ops.logs.writer import BYTES, LINES, LineStream, LineWriter

SAFETY_S = 30


class Pipe:
    """A pipe as standard output; nobody reads it until `read` is called."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        self.stream: BinaryIO = os.fdopen(writing, "wb", buffering=0)
        self.log: Log = configure(level="DEBUG", mode="sandbox", version="0", stream=self.stream)
        self._thread = threading.Thread(target=self._read)
        self._raw = bytearray()

    def start_reading(self) -> None:
        self._thread.start()

    def finish(self) -> list[dict[str, Any]]:
        """Close the log and return every line that came.

        Read up first: `close` waits for two seconds only, which a busy machine may need.
        """
        if not self._thread.is_alive():
            self.start_reading()
        end = time.monotonic() + SAFETY_S
        while not self.log.flush() and time.monotonic() < end:
            pass
        self.log.close()
        self.stream.close()
        self._thread.join(SAFETY_S)
        os.close(self._reading)
        assert self._raw.endswith(b"\n")
        return [json.loads(line) for line in self._raw.splitlines()]

    def _read(self) -> None:
        while data := os.read(self._reading, 65536):
            self._raw += data


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


class Gated(io.BytesIO):
    """Takes nothing until it is opened, and may fail a few times first."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.opened = threading.Event()
        self.reached = threading.Event()
        self._failures = list(failures)

    def write(self, data: Any) -> int:
        self.reached.set()
        if self._failures:
            raise self._failures.pop(0)
        assert self.opened.wait(SAFETY_S)
        super().write(data)
        return len(data)


def explained(lines: list[dict[str, Any]]) -> int:
    """Return how many numbers are missing, each gap told by the line that follows it."""
    missing: int = lines[0]["seq"] - 1
    for before, after in pairwise(lines):
        gap = after["seq"] - before["seq"] - 1
        told = after["dropped"] if after["message"] == "log.dropped" else 0
        assert gap == told
        missing += gap
    return missing


async def test_a_pipe_nobody_reads_blocks_neither_the_loop_nor_a_warning(pipe: Pipe) -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        while turns < 100:
            turns += 1
            await asyncio.sleep(0)

    # That these lines are reached, with not a byte read, is the proof.
    task = asyncio.get_running_loop().create_task(work())
    for number in range(15_000):
        logger.bind(event="job", number=number).info("pass")
        if number % 100 == 0:
            logger.bind(number=number).warning("kept")
            await asyncio.sleep(0)
    await task
    dropped = pipe.log.dropped
    lines = await asyncio.to_thread(pipe.finish)

    assert turns == 100
    assert [line["number"] for line in lines if line["message"] == "kept"] == [
        *range(0, 15_000, 100)
    ]
    assert dropped > 0
    assert explained(lines) == dropped
    assert sum(line.get("dropped", 0) for line in lines) == dropped
    assert sum(line.get("dropped_warnings", 0) for line in lines) == 0


async def test_when_room_is_back_the_count_is_told_without_another_line(pipe: Pipe) -> None:
    for _ in range(LINES * 2):
        logger.info("pass")
    dropped = pipe.log.dropped

    pipe.start_reading()
    async with asyncio.timeout(SAFETY_S):
        while not await asyncio.to_thread(pipe.log.flush):
            pass
    logger.info("afterwards")
    lines = await asyncio.to_thread(pipe.finish)

    assert [line["message"] for line in lines[-2:]] == ["log.dropped", "afterwards"]
    assert lines[-2]["level"] == "WARNING"
    assert lines[-2]["dropped"] == dropped == explained(lines)
    assert len(lines) + dropped == lines[-1]["seq"]


def test_what_waits_is_bounded_even_when_all_of_it_is_urgent(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LINES", 200)

    for _ in range(1000):
        logger.error("outage")
    waiting = pipe.log.waiting
    lines = pipe.finish()

    told = [line for line in lines if line["message"] == "log.dropped"]
    assert waiting <= 2 * 200 + 1, "and the line that tells of the gap"
    assert explained(lines) > 0
    assert sum(line["dropped_warnings"] for line in told) == explained(lines)


def test_long_lines_are_bounded_by_their_bytes(pipe: Pipe) -> None:
    for _ in range(1500):
        logger.info("x" * 10_000)
    waiting = pipe.log.waiting
    lines = pipe.finish()

    assert waiting * 10_000 <= BYTES
    assert explained(lines) > 0


def test_a_non_blocking_pipe_gets_every_line(pipe: Pipe) -> None:
    number = pipe.stream.fileno()
    fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) | os.O_NONBLOCK)

    for _ in range(2000):
        logger.info("pass")
    lines = pipe.finish()

    assert [line["seq"] for line in lines] == list(range(1, 2001))


def test_a_stream_that_fails_for_a_while_gets_every_line_afterwards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw = Gated(OSError(28, "disk full"), BrokenPipeError(), RuntimeError("?"))
    raw.opened.set()
    lines = LineWriter(LineStream(raw), has_room_again=lambda: None, again_s=0)

    for number in range(3):
        lines.put(b"%d\n" % number)
    flushed = lines.flush(within_s=SAFETY_S)
    lines.stop(within_s=SAFETY_S)
    lines.end()

    assert flushed
    assert raw.getvalue() == b"0\n1\n2\n"
    assert lines.lost == 0
    assert capsys.readouterr().err.count("\n") == 1


def test_a_stream_that_takes_a_part_gets_the_rest() -> None:
    class Narrow(io.BytesIO):
        def write(self, data: Any) -> int:
            super().write(data[:10])
            return len(data[:10])

    raw = Narrow()
    lines = LineWriter(LineStream(raw), has_room_again=lambda: None)

    lines.put(b"x" * 95 + b"\n")
    lines.stop(within_s=SAFETY_S)

    assert raw.getvalue() == b"x" * 95 + b"\n"


def test_lines_that_wait_together_are_written_together() -> None:
    pieces: list[int] = []

    class Counting(Gated):
        def write(self, data: Any) -> int:
            pieces.append(bytes(data).count(b"\n"))
            return super().write(data)

    raw = Counting()
    lines = LineWriter(LineStream(raw), has_room_again=lambda: None)

    lines.put(b"first\n")
    assert raw.reached.wait(SAFETY_S)
    for _ in range(1000):
        lines.put(b"more\n")
    raw.opened.set()
    lines.stop(within_s=SAFETY_S)

    assert pieces == [1, 1000]


def test_closing_gives_up_on_a_stalled_stream_and_says_how_many_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw = Gated()
    lines = LineWriter(LineStream(raw), has_room_again=lambda: None)
    lines.put(b"1\n")
    assert raw.reached.wait(SAFETY_S)
    lines.put(b"2\n")

    lines.stop(within_s=0)
    lines.end()
    lines.put(b"after\n")

    assert lines.lost == 3
    assert capsys.readouterr().err.startswith("2 log lines were lost")
    raw.opened.set()


def test_after_its_end_a_line_is_written_at_once() -> None:
    raw = io.BytesIO()
    lines = LineWriter(LineStream(raw), has_room_again=lambda: None)
    lines.stop(within_s=SAFETY_S)
    lines.end()

    assert lines.has_room(is_urgent=False)
    lines.put(b"late\n")

    assert raw.getvalue() == b"late\n"


def test_closing_twice_is_harmless_and_drains_once() -> None:
    raw = io.BytesIO()
    log = configure(level="INFO", mode="sandbox", version="0", stream=raw)
    logger.info("x")

    log.close()
    log.close()

    assert raw.getvalue().count(b"\n") == 1
    assert log.dropped == 0
