"""Strict parsing of query parameters."""

import difflib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from aiohttp import web

from service.domain.errors import InvalidRequest, NotFound, UnknownMarket
from service.domain.markets import Market
from service.web.contract.parameters import ChoiceParameter, NumberParameter, Parameter
from service.web.contract.route import forms_of
from service.web.keys import CONFIG

_ID_DIGITS: Final = 18  #: every number of so many digits fits into a bigint
#: fromisoformat alone would also accept weeks and dates without a time.
_INSTANT: Final = re.compile(
    r"2\d{3}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII
)

E = TypeVar("E", bound=StrEnum)


class Query:
    """The parameters of one request; its constructor refuses a name that its route does not have.

    The row of the route (contract/route.py) has the form of each: bounds, default, choices.
    """

    def __init__(self, request: web.Request) -> None:
        """Raises: InvalidRequest, for an unknown or repeated parameter."""
        # All collected markets, also those not traded: their prices and positions can be read.
        self._collected: Sequence[Market] = request.app[CONFIG].markets
        self._forms: Mapping[str, Parameter] = forms_of(request)
        self._values: dict[str, str] = {}
        if not request.rel_url.raw_query_string:
            return
        for name, value in request.query.items():
            if name not in self._forms:
                raise InvalidRequest(_unknown(name, tuple(self._forms)))
            if name in self._values:
                raise InvalidRequest(f"{name} is given twice")
            self._values[name] = value

    def text(self, name: str) -> str | None:
        """Raises: InvalidRequest, for a text that PostgreSQL cannot compare."""
        self._form(name)
        text = self._values.get(name)
        if text is not None and "\0" in text:
            raise InvalidRequest(f"{name} holds a NUL character, which no stored text has")
        return text

    def whole_number(self, name: str) -> int:
        """Raises: InvalidRequest, naming the bounds."""
        number = self.optional_number(name)
        if number is None:
            raise LookupError(f"{name} has no default: ask for it as an optional number")
        return number

    def optional_number(self, name: str) -> int | None:
        """Return its default for a number that is not given. Raises: InvalidRequest."""
        form = self._form(name)
        if not isinstance(form, NumberParameter):
            raise TypeError(f"{name} is no number")
        text = self._values.get(name)
        if text is None:
            return form.default
        # The length is checked first: int() of a very long text is slow and raises another error.
        if text.isascii() and text.isdecimal() and len(text) <= len(str(form.high)) + 1:
            number = int(text)
            if form.low <= number <= form.high:
                return number
        raise InvalidRequest(f"{name} is a whole number from {form.low} to {form.high}")

    def choice(self, name: str, kind: type[E]) -> E | None:
        """Raises: InvalidRequest, naming what is allowed."""
        form = self._form(name)
        text = self._values.get(name)
        if text is None:
            return form.default if isinstance(form, ChoiceParameter) else None
        try:
            return kind(text)
        except ValueError:
            raise InvalidRequest(f"{name} is one of {', '.join(kind)}") from None

    def instant(self, name: str) -> datetime | None:
        """Return the instant in UTC. Raises: InvalidRequest, with an example."""
        self._form(name)
        text = self._values.get(name)
        if text is None:
            return None
        if _INSTANT.fullmatch(text):
            # The day may not exist: the 30th of February.
            with suppress(ValueError, OverflowError):
                return datetime.fromisoformat(text).astimezone(UTC)
        raise InvalidRequest(f"{name} is an instant of 2000 or later, like 2026-01-24T09:00:00Z")

    def market(self) -> Market | None:
        """Return the market asked for, None when none is. Raises: UnknownMarket."""
        self._form("market")
        text = self._values.get("market")
        return None if text is None else known_market(text, self._collected)

    def markets(self) -> Sequence[Market]:
        """Return the market asked for, or all that are collected. Raises: UnknownMarket."""
        one = self.market()
        return self._collected if one is None else (one,)

    def one_market(self) -> Market:
        """Return the market asked for, or the first collected. Raises: UnknownMarket."""
        return self.markets()[0]

    def _form(self, name: str) -> Parameter:
        """Return the form in the route's row: a parameter without one would not be documented."""
        return self._forms[name]


def known_market(code: str, markets: Sequence[Market]) -> Market:
    """Return the one of `markets` that is called `code`. Raises: UnknownMarket."""
    for market in markets:
        if str(market) == code:
            return market
    names = ", ".join(map(str, markets))
    raise UnknownMarket(f"no market {code[:40]!r} is known here; there is {names}")


def row_id(request: web.Request, what: str) -> int:
    """Return the id in the path. Raises: NotFound, for a text that is no id."""
    text = request.match_info["id"]
    # A larger number would be an error of the database; other scripts' digits are refused too.
    if text.isascii() and text.isdecimal() and len(text) <= _ID_DIGITS and int(text) > 0:
        return int(text)
    raise NotFound(f"there is no {what} {text[:40]!r}; its id is a whole number")


def _unknown(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name[:40], known, n=1)
    if close:
        return f"unknown query parameter {name[:40]!r}; did you mean {close[0]}?"
    hint = f"known here: {', '.join(known)}" if known else "none is known here"
    return f"unknown query parameter {name[:40]!r}; {hint}"
