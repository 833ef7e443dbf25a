"""Each decimal and each instant is written in one way, by whichever room."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.decimals import decimal_text
from service.domain.instants import rfc3339


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E+8", "100000000"),
        ("1E-8", "0.00000001"),
        ("148520000.0", "148520000"),
        ("0E-20", "0"),
        ("-0.00", "0"),
        ("-0.10", "-0.1"),
        ("1234567890123456789012345.12345678", "1234567890123456789012345.12345678"),
    ],
)
def test_a_decimal_is_written_without_exponent_and_without_zeros_at_its_end(
    number: str, text: str
) -> None:
    assert decimal_text(Decimal(number)) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_is_cut_to_its_millisecond_also_before_1970(at: datetime) -> None:
    expected = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    assert rfc3339(at) == expected


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    at = datetime(2026, 11, 22, 20, 55, 1, 886_999, tzinfo=timezone(timedelta(hours=9)))

    assert rfc3339(at) == "2026-11-22T11:55:01.886Z"
