"""Reads the JSON body of a request, with limits on its size and its time."""

import asyncio
from collections.abc import Mapping
from typing import Final, cast

import orjson
from aiohttp import web

from service.domain.errors import InvalidRequest
from service.ports.store import JSON
from service.web.keys import BODY_WITHIN_S
from service.web.protocol.errors import BodyTooLarge, BodyTooSlow, NotJson
from service.web.protocol.responses import JSON_TYPE

MAX_BODY: Final = 65536  #: bytes, after decompression; give it to web.Application too
_TOO_LARGE: Final = f"a body may have {MAX_BODY} bytes"


async def json_object(request: web.Request) -> Mapping[str, JSON]:
    """Return the body as an object; without a body, an empty one.

    Raises: InvalidRequest, NotJson, BodyTooLarge, BodyTooSlow.
    """
    if not request.body_exists:
        return {}
    # A form of another site can send text/plain without a CORS preflight, but not this type.
    if request.content_type != JSON_TYPE:
        raise NotJson(f"send the body as Content-Type: {JSON_TYPE}")
    if (request.content_length or 0) > MAX_BODY:
        raise BodyTooLarge(_TOO_LARGE)
    parsed = _parsed(await _read(request))
    if not isinstance(parsed, dict):
        raise InvalidRequest('the body is a JSON object, like {"key": "value"}')
    return cast("Mapping[str, JSON]", parsed)


async def _read(request: web.Request) -> bytes:
    within_s = request.app[BODY_WITHIN_S]
    try:
        # aiohttp has no time limit for a body that arrives slowly.
        async with asyncio.timeout(within_s):
            raw = await request.read()
    except TimeoutError as exc:
        raise BodyTooSlow(f"the body did not arrive within {within_s:g} seconds") from exc
    except (web.RequestPayloadError, ConnectionError) as exc:
        # ConnectionError: the caller closed the connection while sending, which is no bug of ours.
        raise InvalidRequest("the body is cut off or wrongly encoded") from exc
    if len(raw) > MAX_BODY:
        raise BodyTooLarge(_TOO_LARGE)
    return raw


def _parsed(raw: bytes) -> object:
    if b"\\u0000" in raw:
        raise InvalidRequest("the body holds a NUL character, which cannot be stored")
    try:
        # orjson refuses NaN, Infinity, 1e999, lone surrogates, a byte order mark and deep
        # nesting. json.loads accepts these or raises RecursionError.
        return orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequest(f"the body is not JSON: {exc.msg} at byte {exc.pos}") from exc
