"""Reads the JSON body of a request, with limits on its size and its time."""

import asyncio
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Final, cast

import orjson
from aiohttp import hdrs, web

from service.domain.errors import InvalidRequest
from service.ports.store import JSON
from service.web.keys import BODY_WITHIN_S
from service.web.protocol.errors import BodyTooLarge, BodyTooSlow, NotJson
from service.web.protocol.responses import JSON_TYPE

MAX_BODY: Final = 65536  #: bytes, after decompression; give it to web.Application too
_TOO_LARGE: Final = f"a body may have {MAX_BODY} bytes"
_GZIP: Final = "gzip"
_UTF_8: Final = frozenset({"utf-8", "utf8"})
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS  #: zlib's way to say: a header of gzip, nothing else


async def json_object(request: web.Request) -> Mapping[str, JSON]:
    """Return the body as an object; without a body, an empty one.

    Raises: InvalidRequest, NotJson, BodyTooLarge, BodyTooSlow.
    """
    if not request.body_exists:
        return {}
    # A form of another site can send text/plain without a CORS preflight, but not this type.
    if request.content_type != JSON_TYPE:
        raise NotJson(f"send the body as Content-Type: {JSON_TYPE}")
    if (request.charset or "utf-8").lower() not in _UTF_8:
        raise NotJson("send the body in UTF-8: JSON has no other charset")
    coding = _coding(request)
    if (request.content_length or 0) > MAX_BODY:
        raise BodyTooLarge(_TOO_LARGE)
    raw = await _read(request)
    parsed = _parsed(_unpacked(raw) if coding == _GZIP else raw)
    if not isinstance(parsed, dict):
        raise InvalidRequest('the body is a JSON object, like {"key": "value"}')
    return cast("Mapping[str, JSON]", parsed)


def _coding(request: web.Request) -> str | None:
    """Return the body's Content-Encoding, if it is one that is unpacked here."""
    codings = [value.lower() for value in request.headers.getall(hdrs.CONTENT_ENCODING, [])]
    if not codings or codings == ["identity"]:
        return None
    if codings == [_GZIP]:
        return _GZIP
    raise NotJson("send the body with Content-Encoding: gzip, or without one")


async def _read(request: web.Request) -> bytes:
    within_s = request.app[BODY_WITHIN_S]
    try:
        # aiohttp has no time limit for a body that arrives slowly.
        async with asyncio.timeout(within_s):
            raw = await request.read()
    except TimeoutError as exc:
        raise BodyTooSlow(f"the body did not arrive within {within_s:g} seconds") from exc
    except web.HTTPRequestEntityTooLarge as exc:
        raise BodyTooLarge(_TOO_LARGE) from exc
    except (web.RequestPayloadError, ConnectionError) as exc:
        # ConnectionError: the caller closed the connection while sending, which is no bug of ours.
        raise InvalidRequest("the body is cut off or wrongly encoded") from exc
    if len(raw) > MAX_BODY:
        raise BodyTooLarge(_TOO_LARGE)
    return raw


def _unpacked(raw: bytes) -> bytes:
    """Return what gzip packed. aiohttp would take a body that is cut short, and any bytes after."""
    gzip = zlib.decompressobj(_GZIP_FORMAT)
    try:
        plain = gzip.decompress(raw, MAX_BODY + 1)
    except zlib.error as exc:
        raise InvalidRequest("the body is not packed with gzip as it says") from exc
    if len(plain) > MAX_BODY:
        raise BodyTooLarge(_TOO_LARGE)
    if not gzip.eof or gzip.unused_data:
        raise InvalidRequest("the body's gzip is cut short, or more follows its end")
    return plain


def _parsed(raw: bytes) -> object:
    if b"\\u0000" in raw:
        raise InvalidRequest("the body holds a NUL character, which cannot be stored")
    try:
        # orjson refuses NaN, Infinity, 1e999, lone surrogates, a byte order mark and deep
        # nesting. json.loads accepts these or raises RecursionError.
        parsed: object = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequest(f"the body is not JSON: {exc.msg} at byte {exc.pos}") from exc
    _check_keys(raw)
    return parsed


def _check_keys(raw: bytes) -> None:
    """Refuse an object with the same key twice; orjson would take the last one silently.

    Another program may take the first: then what was checked is not what is done. Integers stay
    text: their conversion is of no use here, and slow for long ones.

    Raises: InvalidRequest, also for deeper nesting than json reads.
    """
    try:
        json.loads(raw, object_pairs_hook=_once, parse_int=str, parse_float=_not_vanished)
    except RecursionError as exc:
        raise InvalidRequest("the body is nested too deeply") from exc


def _not_vanished(number: str) -> None:
    """Refuse a number that is not zero and too small for a float: orjson makes it 0."""
    mantissa = number.lower().partition("e")[0]
    if mantissa.strip("-0.") and float(number) == 0:
        raise InvalidRequest(
            "the body has a number that is too close to 0: write 0, or a larger one"
        )


def _once(pairs: Sequence[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidRequest(f"the body has {key[:40]!r} twice: each key stands once")
        seen.add(key)
