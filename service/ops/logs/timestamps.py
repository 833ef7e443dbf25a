"""How an instant is written."""

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(at: datetime) -> str:
    """Return an aware instant as RFC 3339 UTC with milliseconds, e.g. 2026-11-22T20:55:01.886Z."""
    return of_milliseconds(int(at.timestamp()) * 1000 + at.microsecond // 1000)


@lru_cache(maxsize=8)  # a burst of lines is many of them in one millisecond
def of_milliseconds(since_epoch: int) -> str:
    """Return milliseconds of Unix time in the same words, at a fraction of the price."""
    second, milliseconds = divmod(since_epoch, 1000)
    return f"{_second(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    # Log lines come many a second and share this part.
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
