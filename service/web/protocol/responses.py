"""JSON responses: decimals as text, and lists around items that are JSON already."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import orjson
from aiohttp import web
from typing_extensions import TypedDict

from service.domain.decimals import decimal_text

JSON_TYPE: Final = "application/json"
_OPTIONS: Final = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


class ListBody(TypedDict):
    items: object  #: a JSON array
    next_cursor: str | None


def json_response(
    body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return raw_response(encoded(body), status=status, headers=headers)


def raw_response(
    body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a response of bytes that are JSON already."""
    return web.Response(body=body, status=status, headers=headers, content_type=JSON_TYPE)


def encoded(body: object) -> bytes:
    return orjson.dumps(body, default=_text, option=_OPTIONS)


def list_response(items: object, *, next_cursor: str | None = None) -> web.Response:
    """Return {"items": …, "next_cursor": …}; bytes from the store are not parsed again."""
    ready = orjson.Fragment(items) if isinstance(items, bytes) else items
    return raw_response(encoded(ListBody(items=ready, next_cursor=next_cursor)))


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return decimal_text(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")
