from datetime import UTC, date, datetime, timedelta

import pytest

from service.domain.days import korean_day, korean_midnight

MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 7, 1), date(2028, 2, 29)])
def test_a_korean_day_begins_at_15_utc_of_the_day_before_all_the_year(day: date) -> None:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=9)

    assert korean_midnight(day) == begin
    assert korean_day(begin) == day
    assert korean_day(begin - MICROSECOND) == day - timedelta(days=1)
