"""The Korean day (KST): money, statistics and dated settings are counted by it.

Upbit's customers, their tax office and the exchange's daily figures use it. It begins at 15:00 UTC
of the day before.
"""

from datetime import date, datetime, timedelta, timezone
from typing import Final

KST: Final = timezone(timedelta(hours=9), "KST")  #: Korea has no daylight saving time since 1988


def korean_day(at: datetime) -> date:
    """Args: at: an aware instant."""
    return at.astimezone(KST).date()


def korean_midnight(day: date) -> datetime:
    """Return the instant at which `day` begins."""
    return datetime(day.year, day.month, day.day, tzinfo=KST)
