"""`trader` in this process: an environment of its own, a pipe or a terminal for its output."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service import cli


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a .env, and an environment without our variables."""
    for name in list(os.environ):
        if name.upper().startswith(("TRADER_", "UPBIT_", "GEMINI_", "DATABASE_URL")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Main:
    """`trader …` from its outermost function, where errors become sentences."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[object, str, str]:
        """Return exit code, stdout and stderr."""
        code = self.ended(*arguments)
        out, err = self._capsys.readouterr()
        return code, out, err

    def ended(self, *arguments: str) -> object:
        """Return the exit code."""
        self._monkeypatch.setattr("sys.argv", ["trader", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    return Main(monkeypatch, capsys)


class Terminal:
    """A real pseudo-terminal as standard output, so that nothing pretends to be one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    @contextmanager
    def shown(self, *, columns: int, kind: str = "xterm-256color") -> Iterator[list[str]]:
        """Yield a list; it has the lines that were printed once the block is left."""
        lines: list[str] = []
        chunks: list[bytes] = []
        reading_end, writing_end = os.openpty()
        # In a thread: what is longer than the terminal's buffer waits for a reader.
        reader = threading.Thread(target=_read_all, args=(reading_end, chunks))
        with self._monkeypatch.context() as patched:
            patched.setenv("COLUMNS", str(columns))
            patched.setenv("TERM", kind)
            for name in ("NO_COLOR", "FORCE_COLOR"):
                patched.delenv(name, raising=False)
            with os.fdopen(writing_end, "w", encoding="utf-8") as stream:
                patched.setattr(sys, "stdout", stream)
                reader.start()
                yield lines
        reader.join()
        os.close(reading_end)
        lines += b"".join(chunks).decode().splitlines()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(monkeypatch)


def _read_all(number: int, chunks: list[bytes]) -> None:
    try:
        while chunk := os.read(number, 65_536):
            chunks.append(chunk)
    except OSError:
        return  # Linux reports the end of a terminal so
