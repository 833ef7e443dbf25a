"""The queue before the log's stream: bounded, in order, and never in anybody's way."""

import os
import subprocess
import sys
import threading

import pytest

from service.ops.writer import LineWriter

#: Logs more than a pipe holds to a stdout that nobody reads, and ends.
PROGRAM = """
import sys
from loguru import logger
from service.ops.logs import configure
log = configure(level="INFO", mode="sandbox", version="0", in_thread=True)
for _ in range(14_000):
    logger.info("x" * 100)
logger.error("kept")
log.close()
assert log.dropped > 0
sys.stderr.write("ended")
"""


class Pipe:
    """A stream that stalls until it is let go."""

    def __init__(self, *, stalled: bool = False) -> None:
        self.written = b""
        self.told: list[int] = []
        self.reached = threading.Event()
        self.go = threading.Event()
        if not stalled:
            self.go.set()

    def write(self, batch: bytes) -> None:
        self.reached.set()
        assert self.go.wait(20)
        self.written += batch

    def writer(self, **limits: int) -> LineWriter:
        return LineWriter(self.write, tell=self.told.append, **limits)


def stalled(**limits: int) -> tuple[Pipe, LineWriter]:
    """Return a writer that hangs in its first line, its queue empty."""
    pipe = Pipe(stalled=True)
    writer = pipe.writer(**limits)
    writer.put(b"first\n", spare=True)
    assert pipe.reached.wait(20)
    return pipe, writer


def test_lines_are_written_in_order_and_all_of_them_by_the_end() -> None:
    pipe = Pipe()
    writer = pipe.writer()

    for number in range(5000):
        writer.put(b"%d\n" % number, spare=True)
    whole = writer.close(within_s=20)

    assert whole
    assert pipe.written.split() == [b"%d" % number for number in range(5000)]
    assert writer.dropped == 0


def test_a_stalled_reader_stops_nobody_and_costs_only_what_finds_no_room() -> None:
    pipe, writer = stalled(most_lines=10)

    for number in range(30):
        writer.put(b"%d\n" % number, spare=True)
    pipe.go.set()
    writer.close(within_s=20)

    assert writer.dropped == 20
    assert pipe.written.split() == [b"first", *(b"%d" % number for number in range(10))]
    assert sum(pipe.told) == 20


def test_a_warning_displaces_what_matters_less() -> None:
    pipe, writer = stalled(most_lines=3)

    for number in range(3):
        writer.put(b"info %d\n" % number, spare=True)
    for number in range(3):
        writer.put(b"warning %d\n" % number, spare=False)
    pipe.go.set()
    writer.close(within_s=20)

    assert pipe.written == b"first\nwarning 0\nwarning 1\nwarning 2\n"
    assert writer.dropped == 3


def test_bytes_are_bounded_too() -> None:
    pipe, writer = stalled(most_bytes=100)

    for _ in range(10):
        writer.put(b"x" * 29 + b"\n", spare=True)
    pipe.go.set()
    writer.close(within_s=20)

    assert writer.dropped == 7


def test_the_end_does_not_wait_for_ever() -> None:
    pipe, writer = stalled()

    assert not writer.close(within_s=0.05)
    pipe.go.set()


def test_what_is_said_of_dropped_lines_may_itself_be_logged() -> None:
    pipe = Pipe(stalled=True)
    writer = LineWriter(
        pipe.write, tell=lambda n: writer.put(b"dropped %d\n" % n, spare=False), most_lines=1
    )
    writer.put(b"first\n", spare=True)
    assert pipe.reached.wait(20)

    writer.put(b"kept\n", spare=True)
    writer.put(b"lost\n", spare=True)
    pipe.go.set()
    writer.close(within_s=20)

    assert pipe.written == b"first\nkept\ndropped 1\n"


@pytest.mark.parametrize("limits", [{"most_lines": 1}, {}])
def test_many_threads_lose_nothing_unsaid(limits: dict[str, int]) -> None:
    pipe = Pipe()
    writer = pipe.writer(**limits)

    def put() -> None:
        for _ in range(2000):
            writer.put(b"x\n", spare=True)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close(within_s=20)

    assert pipe.written.count(b"\n") + writer.dropped == 8000
    assert sum(pipe.told) == writer.dropped


def test_a_process_whose_stdout_nobody_reads_ends_by_itself() -> None:
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
        os.close(reading)

    assert (done.returncode, done.stderr) == (0, b"ended")
