import io
import os
import subprocess
import sys

import pytest

from service.ops.stream import LineStream

PROGRAM = """
from loguru import logger
from service.ops.logs import configure
log = configure(level="INFO", mode="sandbox", version="0")
for _ in range(3):
    logger.info("x" * 1000)
assert log.dropped == 1, log.dropped
"""


class Full(io.BytesIO):
    def __init__(self, error: Exception, times: int) -> None:
        super().__init__()
        self.left = times
        self.error = error

    def flush(self) -> None:
        if self.left:
            self.left -= 1
            raise self.error


class Narrow(io.BytesIO):
    """Takes ten bytes at a time, as an unbuffered pipe may."""

    def write(self, data: bytes) -> int:  # type: ignore[override]  # bytes are all it gets
        return super().write(data[:10])


@pytest.mark.parametrize(
    "error", [OSError(28, "disk full"), BrokenPipeError(), ValueError("closed"), RuntimeError("?")]
)
def test_a_broken_stream_is_told_once_and_raises_nothing(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = LineStream(Full(error, times=2))

    stream.write(b"1\n")
    stream.write(b"2\n")
    stream.write(b"3\n")

    assert stream.dropped == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert type(error).__name__ in said


def test_a_closed_stream_raises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    raw = io.BytesIO()
    raw.close()
    stream = LineStream(raw)

    stream.write(b"1\n")

    assert stream.dropped == 1
    assert "ValueError" in capsys.readouterr().err


def test_with_stderr_gone_too_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    stream = LineStream(Full(BrokenPipeError(), times=1))

    stream.write(b"1\n")

    assert stream.dropped == 1


def test_a_stream_that_takes_a_part_gets_the_rest() -> None:
    raw = Narrow()

    LineStream(raw).write(b"x" * 95 + b"\n")

    assert raw.getvalue() == b"x" * 95 + b"\n"


def test_a_reader_that_has_gone_neither_kills_the_process_nor_spoils_its_exit_code() -> None:
    reading, writing = os.pipe()
    os.close(reading)
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

    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"\n") == 1
    assert b"BrokenPipeError" in done.stderr
