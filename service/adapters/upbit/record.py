"""Upbit's JSON: each field is validated when it is read; unknown fields are ignored."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NoReturn

from service.adapters.answers import strip_secrets
from service.adapters.upbit.errors import OddAnswer

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_UTC_SECOND: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_NUMBER: Final = 64
LONGEST_TEXT: Final = 256  #: characters; Upbit's longest, an identifier, has 64
_DIGITS_BEFORE_POINT: Final = 20  #: more digits are no plausible price, volume or sum
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: An instant outside of these is none that Upbit can mean. Computing with the first or the last
#: days of the calendar overflows, and a window that began with them would never end.
_YEARS: Final = range(2010, 2101)


def parsed(raw: bytes) -> object:
    """Return the JSON in `raw`: floats as Decimal, integers as int."""
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, ArithmeticError, RecursionError) as exc:  # also for 1e99999999999999999999
        strip_secrets(exc)  # the decoder's error holds the whole document, balances included
        raise OddAnswer("not JSON") from exc


def error_name(raw: bytes) -> str | None:
    """Return the exchange's own name for an error, or None for anything of another shape.

    Quotation errors have their status, a number, in place of a name; that is None here. Only
    harmless characters pass, since the name goes into logs and tables.
    """
    try:
        name = Record(parsed(raw), "answer").record("error").text("name")
    except OddAnswer:
        return None
    return name if _NAME.fullmatch(name) else None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def items(value: object, what: str) -> Sequence[object]:
    """Return the values of a JSON array, whatever they are."""
    if not isinstance(value, list):
        raise OddAnswer(f"{what}: no list")
    return value


def records(value: object, what: str) -> Iterator["Record"]:
    """Return the objects of a JSON array."""
    return (Record(item, what) for item in items(value, what))


class Record:
    """One JSON object. Every method raises OddAnswer, naming the field but not its value."""

    __slots__ = ("_fields", "_what")

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise OddAnswer(f"{what}: no object")
        self._fields = value
        self._what = what

    def text(self, name: str) -> str:
        """Return a text that can be stored, logged and shown: short and printable.

        PostgreSQL stores no NUL, and UTF-8 has no lone surrogate: a JSON string may hold both.
        """
        value = self._fields.get(name)
        if not isinstance(value, str) or not value:
            raise self._odd(name, "no text")
        if len(value) > LONGEST_TEXT or not value.isprintable():
            raise self._odd(name, "too long or not printable")
        return value

    def is_text(self, name: str) -> bool:
        """Whether the field has a text, be it one that `text` refuses."""
        value = self._fields.get(name)
        return isinstance(value, str) and bool(value)

    def text_or_none(self, name: str) -> str | None:
        return None if self._fields.get(name) is None else self.text(name)

    def number(self, name: str) -> Decimal:
        """Return a number that is a JSON number or decimal text."""
        value = self._fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise self._odd(name, "no number")
        digits = str(value)
        if len(digits) > _LONGEST_NUMBER or not _NUMBER.fullmatch(digits):
            raise self._odd(name, "no number")
        number = Decimal(digits)
        if number.adjusted() >= _DIGITS_BEFORE_POINT:
            raise self._odd(name, "out of range")
        return number

    def amount(self, name: str) -> Decimal:
        """Return a number that is not negative."""
        number = self.number(name)
        if number < 0:
            raise self._odd(name, "negative")
        return number

    def positive(self, name: str) -> Decimal:
        number = self.number(name)
        if number <= 0:
            raise self._odd(name, "not positive")
        return number

    def count(self, name: str) -> int:
        number = self.amount(name)
        if number != number.to_integral_value():
            raise self._odd(name, "not whole")
        return int(number)

    def instant(self, name: str) -> datetime:
        """Return an ISO 8601 instant with an offset, in UTC."""
        at = self._datetime(name)
        if at.tzinfo is None:
            raise self._odd(name, "without an offset")
        try:
            return self._plausible(name, at.astimezone(UTC))
        except OverflowError:  # the first or the last hours of the calendar
            raise self._odd(name, "out of range") from None

    def utc_instant(self, name: str) -> datetime:
        """Return an instant that is written exactly `yyyy-MM-ddTHH:mm:ss`, which is in UTC."""
        at = self._datetime(name)
        if not _UTC_SECOND.fullmatch(self.text(name)):
            raise self._odd(name, "not written yyyy-MM-ddTHH:mm:ss")
        return self._plausible(name, at.replace(tzinfo=UTC))

    def epoch_ms(self, name: str) -> datetime:
        try:
            return self._plausible(name, _EPOCH + timedelta(milliseconds=self.count(name)))
        except OverflowError:
            raise self._odd(name, "out of range") from None

    def record(self, name: str) -> "Record":
        return Record(self._fields.get(name), f"{self._what}.{name}")

    def records(self, name: str) -> Iterator["Record"]:
        return records(self._fields.get(name), f"{self._what}.{name}")

    def flag(self, name: str) -> bool:
        value = self._fields.get(name)
        if not isinstance(value, bool):
            raise self._odd(name, "neither true nor false")
        return value

    def flags(self, *, most: int) -> list[str]:
        """Return the sorted names of the fields that are true; every field is true or false."""
        if len(self._fields) > most or not all(map(_NAME.fullmatch, self._fields)):
            raise OddAnswer(f"{self._what}: names of another shape")
        return sorted(name for name in self._fields if self.flag(name))

    def has(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def _datetime(self, name: str) -> datetime:
        try:
            return datetime.fromisoformat(self.text(name))
        except ValueError as exc:
            if isinstance(exc, OddAnswer):
                raise
            raise self._odd(name, "no instant") from None

    def _plausible(self, name: str, at: datetime) -> datetime:
        if at.year not in _YEARS:
            raise self._odd(name, "out of range")
        return at

    def _odd(self, name: str, fault: str) -> OddAnswer:
        return OddAnswer(f"{self._what}.{name}: {fault}")
