import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.ops.logs.writer import LineStream

BEGIN = """
import os, sys
from loguru import logger
from service.ops.logs.setup import configure
log = configure(level="INFO", mode="sandbox", version="0")
"""


class Ended:
    """A program that logs, once it has ended."""

    def __init__(self, program: str, *, stdout: int) -> None:
        done = subprocess.run(
            [sys.executable, "-c", BEGIN + program],
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        self.code = done.returncode
        self.said = done.stderr.decode().splitlines()


def test_of_a_pipe_whose_reader_has_gone_the_code_is_told_and_then_again_after_it_worked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = LineStream(io.BytesIO())

    stream.tell_failing(BrokenPipeError())
    stream.tell_failing(BrokenPipeError())
    stream.take(b"1\n")
    stream.tell_failing(OSError())

    said = capsys.readouterr().err.splitlines()
    assert [line.split("(")[1].split(")")[0] for line in said] == ["BrokenPipeError", "OSError"]


def test_a_closed_stream_is_not_written_by_its_number(tmp_path: Path) -> None:
    raw = (tmp_path / "log").open("wb")
    stream = LineStream(raw)
    number = raw.fileno()
    raw.close()
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    assert other == number

    with pytest.raises(ValueError, match="closed"):
        stream.take(b"1\n")

    os.close(other)
    assert (tmp_path / "other").read_bytes() == b""


def test_with_stderr_gone_too_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)

    LineStream(io.BytesIO()).tell_failing(BrokenPipeError())


def test_what_was_printed_before_stays_before(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as raw:
        raw.write(b"before\n")
        LineStream(raw).take(b"after\n")

    assert path.read_bytes() == b"before\nafter\n"


def test_a_reader_that_has_gone_neither_kills_the_process_nor_spoils_its_exit_code() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    ended = Ended('for _ in range(3): logger.info("x" * 1000)', stdout=writing)

    os.close(writing)
    assert ended.code == 0
    assert "BrokenPipeError" in ended.said[0]
    assert ended.said[1:] == ["3 log lines were lost: the log stream did not take them"]


def test_a_reader_that_stalls_for_ever_does_not_keep_the_process_from_its_end() -> None:
    reading, writing = os.pipe()

    ended = Ended('for _ in range(1000): logger.info("x" * 1000)', stdout=writing)

    os.close(writing)
    os.close(reading)
    assert ended.code == 0, ended.said
    (sentence,) = ended.said
    assert sentence.endswith("log lines were lost: the log stream did not take them")


def test_lines_before_an_uncaught_exception_are_written_and_it_is_the_last(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as out:
        ended = Ended(
            'for _ in range(500): logger.info("before")\nraise RuntimeError("end")',
            stdout=out.fileno(),
        )

    lines = (tmp_path / "log").read_text().splitlines()
    assert ended.code == 1
    assert len(lines) == 501
    assert '"RuntimeError"' in lines[-1]


def test_a_forked_child_logs_for_itself_and_repeats_nothing_of_its_parent(tmp_path: Path) -> None:
    program = """
logger.info("parent")
pid = os.fork()
logger.info("child" if pid == 0 else "parent")
if pid == 0:
    sys.exit(0)
os.waitpid(pid, 0)
"""

    with (tmp_path / "log").open("wb") as out:
        ended = Ended(program, stdout=out.fileno())

    lines = (tmp_path / "log").read_text().splitlines()
    assert ended.code == 0, ended.said
    assert sum('"child"' in line for line in lines) == 1
    assert sum('"parent"' in line for line in lines) == 2
