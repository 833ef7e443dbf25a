"""Upbit's format of numbers, instants and markets."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.record import Record
from service.domain.decimals import decimal_text
from service.domain.errors import UnknownMarket
from service.domain.markets import Market


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
