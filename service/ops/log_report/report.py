"""`trader stats --log`: statistics of jobs, requests and model calls from shipped logs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from service.domain.errors import ConfigError
from service.domain.instants import rfc3339
from service.ops.log_report.parse import Line, Tally, measured
from service.ops.log_report.summaries import LogStats, log_stats


@dataclass(frozen=True, slots=True, kw_only=True)
class LogWindow:
    """A window of real time, as in the lines; `hours` count back from the newest line."""

    since: datetime | None = None
    until: datetime | None = None
    hours: int | None = None


def instant(text: str, *, option: str) -> datetime:
    """Return the instant in `text`, UTC where it has no offset. Raises: ConfigError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ConfigError(f"{option}: write an instant like 2026-01-24T09:00:00Z") from exc
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    sentence: str  #: what was read, for people
    stats: LogStats
    document: Mapping[str, object]  #: all of it, as `--json` prints it


def report(path: str, window: LogWindow) -> LogReport:
    """Raises: ConfigError, when the file cannot be read.

    Args: path: of the log file, `-` for standard input.
    """
    tally = Tally()
    with _opened(path) as stream:
        try:
            lines = [line for line in measured(stream, tally) if _is_within(line, window)]
        except OSError as exc:
            raise ConfigError(f"--log: {path} cannot be read ({exc.strerror})") from exc
    lines = _latest(lines, window.hours)
    stats = log_stats(lines)
    counts = {"lines": tally.lines, "foreign_lines": tally.foreign}
    return LogReport(
        sentence=_sentence(tally, lines), stats=stats, document=counts | _span(lines) | stats
    )


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(path, "rb")  # noqa: PTH123, SIM115 - closed below; a path may be /dev/stdin
    except OSError as exc:
        raise ConfigError(f"--log: {path} cannot be opened ({exc.strerror})") from exc
    with stream:
        yield stream


def _is_within(line: Line, window: LogWindow) -> bool:
    # Instants of one form sort as text.
    after = window.since is None or line.at >= rfc3339(window.since)
    return after and (window.until is None or line.at < rfc3339(window.until))


def _latest(lines: list[Line], hours: int | None) -> list[Line]:
    if hours is None or not lines:
        return lines
    newest = datetime.fromisoformat(max(line.at for line in lines))
    since = rfc3339(newest - timedelta(hours=hours))
    return [line for line in lines if line.at > since]


def _span(lines: Sequence[Line]) -> dict[str, str | None]:
    first = min((line.at for line in lines), default=None)
    return {"first_at": first, "last_at": max((line.at for line in lines), default=None)}


def _sentence(tally: Tally, lines: Sequence[Line]) -> str:
    read = f"{tally.lines:,} lines read"
    if tally.foreign:
        read += f", {tally.foreign:,} of them not of this service and left out"
    if not lines:
        return f"{read}; none tells of a pass, a request or a model call in the window"
    span = _span(lines)
    return f"{read}; {len(lines):,} measurements from {span['first_at']} to {span['last_at']}"
