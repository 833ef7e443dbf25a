"""`trader export`: the history into a file, whole or not at all."""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO, Final, Self

import typer

from service.app.resources import open_server
from service.config import Config
from service.domain.days import korean_midnight
from service.domain.errors import InvalidRequest
from service.store.migrations.migrate import migrate, migrations_folder
from service.store.queries.export import ExportKind, ExportWindow, Form, export

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_PRIVATE: Final = 0o600  #: no other account may read what was earned


def window(since: str | None, until: str | None) -> ExportWindow:
    """Return the Korean days from `since` to `until`, both included.

    Raises: InvalidRequest.
    """
    first, last = _day(since, option="--from"), _day(until, option="--to")
    if first and last and last < first:
        raise InvalidRequest(f"--to {last} is before --from {first}")
    return ExportWindow(
        since=None if first is None else korean_midnight(first),
        # The last possible date has no next one; it means all rows.
        until=None
        if last is None or last == date.max
        else korean_midnight(last + timedelta(days=1)),
    )


async def exported(
    config: Config, kind: ExportKind, form: Form, days: ExportWindow, out: Path | None
) -> int:
    """Write the rows to `out`, or to standard output, and return how many there were.

    Raises: InvalidRequest, when `out` is there already or cannot be written; StartError,
        StoreDown.
    """
    async with open_server(config) as dsn:
        await asyncio.to_thread(migrate, dsn, migrations_folder())
        return await asyncio.to_thread(_written, dsn, kind, form, days, out)


def _written(dsn: str, kind: ExportKind, form: Form, days: ExportWindow, out: Path | None) -> int:
    with _opened(out) as stream, _Shown(kind) as shown:
        document = _Document(stream, form)
        export(dsn, kind, form, days, began=shown.begin, take=document.take(shown.step))
        document.end()
        return document.rows


class _Document:
    """Lines of CSV, or the items of one JSON list."""

    def __init__(self, stream: BinaryIO, form: Form) -> None:
        self.rows = -1 if form is Form.CSV else 0  #: a line of titles is no row
        self._stream = stream
        self._form = form

    def take(self, step: Callable[[], None]) -> Callable[[bytes], None]:
        def written(line: bytes) -> None:
            if self._form is Form.JSON:
                self._stream.write(b"[\n" if self.rows == 0 else b",\n")
                line = line.rstrip(b"\n")
            self._stream.write(line)
            self.rows += 1
            step()

        return written

    def end(self) -> None:
        if self._form is Form.JSON:
            self._stream.write(b"[]\n" if self.rows == 0 else b"\n]\n")


class _Shown:
    """A progress bar on a terminal."""

    def __init__(self, kind: ExportKind) -> None:
        self._kind = kind
        self._due = self._done = 0

    def begin(self, count: int) -> None:
        self._bar = typer.progressbar(length=count, label=str(self._kind), file=sys.stderr)
        self._bar.__enter__()
        # A redraw costs more than a row.
        self._every = max(1, count // 200)

    def step(self) -> None:
        self._done += 1
        if self._done % self._every == 0:
            self._bar.update(self._every)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_bar"):
            self._bar.__exit__(None, None, None)


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    """Yield where the document goes; a file appears under its name when it is whole."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if out.exists():
        raise InvalidRequest(f"{out} is there already: name another file, or remove it")
    part = out.with_name(f"{out.name}.part")
    try:
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        with os.fdopen(number, "wb") as stream:
            yield stream
        part.rename(out)
    except OSError as exc:
        raise InvalidRequest(f"{out} cannot be written ({exc.strerror})") from exc
    finally:
        with suppress(OSError):
            part.unlink()


def _day(text: str | None, *, option: str) -> date | None:
    if text is None:
        return None
    if _DAY.fullmatch(text):
        with suppress(ValueError):  # the thirtieth of February
            return date.fromisoformat(text)
    raise InvalidRequest(f"{option} {text}: write a day like 2026-01-31")
