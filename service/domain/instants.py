"""How an instant is written: in answers, in log lines and in the report about them."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def rfc3339(at: datetime) -> str:
    """Return an aware instant as RFC 3339 UTC with milliseconds, e.g. 2026-11-22T20:55:01.886Z."""
    return of_milliseconds((at - _EPOCH) // _MILLISECOND)


@lru_cache(maxsize=8)  # a burst of log lines has many of one millisecond
def of_milliseconds(since_epoch: int) -> str:
    """Return milliseconds of Unix time in the same form, at a fraction of the cost."""
    second, milliseconds = divmod(since_epoch, 1000)
    return f"{_second(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=64)  # the log lines of one second share this part
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
