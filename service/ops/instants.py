"""How an instant is written."""

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(at: datetime) -> str:
    """Return an aware instant as RFC 3339 UTC with milliseconds, e.g. 2026-11-22T20:55:01.886Z."""
    return f"{_second(int(at.timestamp()))}.{at.microsecond // 1000:03d}Z"


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    # Log lines come many a second and share this part.
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
