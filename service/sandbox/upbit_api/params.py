"""The parameters of a signed request, read and checked."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from service.sandbox.errors import refused
from service.sandbox.upbit_api.auth import body_fields
from service.sandbox.upbit_api.context import CONTEXT

_WINDOW: Final = timedelta(days=7)


class Params:
    """The request's parameters, from the query or, as pyupbit sends them, from the body."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = list(pairs)

    def one(self, name: str) -> str | None:
        return next((value for key, value in self._pairs if key == name and value), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key in (name, f"{name}[]")]

    def whole(self, name: str, *, default: int, most: int) -> int:
        text = self.one(name) or str(default)
        if not text.isdecimal() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
            raise refused("invalid_parameter", about=name)
        return int(text)

    def newest_first(self) -> bool:
        order = self.one("order_by") or "desc"
        if order not in ("desc", "asc"):
            raise refused("invalid_parameter", about="order_by")
        return order == "desc"


async def signed_body(request: web.Request) -> str:
    """Check the request's signature and return its body."""
    body = (await request.read()).decode("utf-8", "replace")
    # A POST's parameters are in its body: a signature of a query would not cover them.
    query = "" if request.method == "POST" else request.rel_url.raw_query_string
    request.app[CONTEXT].guard.check(request.headers.get("Authorization"), query=query, body=body)
    return body


async def signed_params(request: web.Request) -> Params:
    """Check the request's signature and return its parameters, from the query or the body."""
    body = (await signed_body(request)).strip()
    query = request.rel_url.raw_query_string
    if not query and body.startswith("{"):
        return Params((name, value or "") for name, value in body_fields(body).items())
    return Params(parse_qsl(query or body, keep_blank_values=True))


def states_in(params: Params, *, allowed: set[str], default: set[str]) -> set[str]:
    """Return the states asked for, one or several of those `allowed`."""
    one, many = params.one("state"), params.all("states")
    if one and many:
        raise refused("invalid_parameter", about="state, states[]")
    states = {one} if one else set(many) or default
    if not states <= allowed:
        raise refused("invalid_parameter", about="state")
    return states


def window_in(params: Params, now: datetime) -> tuple[datetime, datetime]:
    """Return begin and end of the window: a week at most, by default the last one."""
    begin, end = (_instant(params.one(name), name) for name in ("start_time", "end_time"))
    try:
        if begin is None:
            end = end or now
            return end - _WINDOW, end
        end = end or begin + _WINDOW
    except OverflowError as exc:  # the first or the last week of the calendar
        raise refused("invalid_parameter", about="start_time, end_time") from exc
    if not timedelta() <= end - begin <= _WINDOW:
        raise refused("invalid_parameter", about="start_time, end_time")
    return begin, end


def _instant(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        instant = datetime.fromisoformat(text.replace(" ", "+"))
    except (ValueError, OverflowError, OSError) as exc:
        raise refused("invalid_parameter", about=name) from exc
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def ids_in(params: Params, *, most: int) -> tuple[str, set[str]]:
    """Return the kind of name (uuid or identifier) and the names asked for."""
    uuids, identifiers = set(params.all("uuids")), set(params.all("identifiers"))
    if bool(uuids) == bool(identifiers) or len(uuids | identifiers) > most:
        raise refused("invalid_parameter", about="uuids[], identifiers[]")
    return ("uuid", uuids) if uuids else ("identifier", identifiers)
