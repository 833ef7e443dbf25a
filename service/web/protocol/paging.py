"""Keyset pagination: `limit` and an opaque `cursor`."""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from service.ports.queries import Page, PageKey
from service.web.contract.parameters import MAX_ID
from service.web.protocol.errors import InvalidCursor
from service.web.protocol.query import Query
from service.web.protocol.responses import list_response

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PLAIN: Final = re.compile(r"(0|-?[1-9][0-9]{0,17}):(0|[1-9][0-9]{0,18})")
_SENTENCE: Final = "this cursor is not one of ours; send next_cursor back as you got it"


@dataclass(frozen=True, slots=True)
class PageWindow:
    limit: int
    before: PageKey | None


def window(query: Query) -> PageWindow:
    """Return the page asked for. Raises: InvalidRequest, InvalidCursor."""
    limit = query.whole_number("limit")
    cursor = query.text("cursor")
    return PageWindow(limit, None if cursor is None else decode(cursor))


def page_response(page: Page) -> web.Response:
    return list_response(page.items, next_cursor=None if page.last is None else encode(page.last))


def encode(key: PageKey) -> str:
    plain = f"{(key.at - _EPOCH) // _MICROSECOND}:{key.id}"
    return base64.urlsafe_b64encode(plain.encode()).rstrip(b"=").decode()


def decode(cursor: str) -> PageKey:
    """Return the key in `cursor`. Raises: InvalidCursor, unless `encode` made it."""
    try:
        key = _key(cursor)
    except (ValueError, OverflowError) as exc:
        raise InvalidCursor(_SENTENCE) from exc
    # Base64 can spell the same bytes in several ways; only the canonical one is a cursor.
    if key is None or key.id > MAX_ID or encode(key) != cursor:
        raise InvalidCursor(_SENTENCE)
    return key


def _key(cursor: str) -> PageKey | None:
    padded = cursor + "=" * (-len(cursor) % 4)
    plain = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    match = _PLAIN.fullmatch(plain)
    if match is None:
        return None
    return PageKey(_EPOCH + int(match[1]) * _MICROSECOND, int(match[2]))
