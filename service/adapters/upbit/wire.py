"""Upbit's format of numbers, instants, markets and identifiers."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.record import Record
from service.domain.decimals import decimal_text
from service.domain.errors import InvalidRequest, UnknownMarket
from service.domain.markets import Market

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def plain(number: Decimal) -> str:
    """Return `number` as Upbit reads it: no exponent, no zeros behind the last decimal."""
    if not number.is_finite():
        raise ValueError(f"{number} cannot be sent")
    return decimal_text(number)


def instant(at: datetime) -> str:
    """Return `at` as Upbit reads it, rounded up to a whole second: `to` is exclusive."""
    if at.tzinfo is None:
        raise ValueError(f"{at} says no time zone")
    whole = at.astimezone(UTC) + timedelta(microseconds=-at.microsecond % 1_000_000)
    return whole.strftime("%Y-%m-%dT%H:%M:%SZ")


def market_in(record: Record, name: str) -> Market:
    try:
        return Market.parse(record.text(name))
    except UnknownMarket:
        # `from None`: its text quotes the received value.
        raise OddAnswer(f"{name}: no market name") from None


def checked_identifier(identifier: str) -> str:
    """Return `identifier`, or raise InvalidRequest when Upbit or the signature forbids it."""
    if not _IDENTIFIER.fullmatch(identifier):
        raise InvalidRequest(f"{identifier!r} is no order identifier: 1 to 64 of A-Z a-z 0-9 . _ -")
    return identifier
