"""Answers 304 when the caller has the body already: RFC 9110, section 13.1.2."""

import hashlib
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

_DIGEST_BYTES: Final = 16
_ANY: Final = "*"


def revalidated(handler: Handler) -> Handler:
    """Add an ETag to the answers of `handler`; answer 304 when the caller's tag is the same.

    For documents that are read often and change seldom. The handler still runs; what is saved is
    sending and parsing the body.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await handler(request)
        body = response.body if isinstance(response, web.Response) else None
        if response.status != HTTPStatus.OK or not isinstance(body, bytes):
            return response
        tag = tag_of(body)
        if is_known(request, tag):
            response = web.Response(status=HTTPStatus.NOT_MODIFIED)
        response.headers[hdrs.ETAG] = quoted(tag)
        return response

    return answer


def tag_of(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()


def quoted(tag: str) -> str:
    """Return the value of the header; a strong tag, because equal tags mean equal bytes."""
    return f'"{tag}"'


def is_known(request: web.Request, tag: str) -> bool:
    """Return whether If-None-Match holds `tag` or `*`; weak tags count as well."""
    given = request.headers.get(hdrs.IF_NONE_MATCH)
    if given is None or given == _ANY:
        return given is not None
    return any(etag.value == tag for etag in request.if_none_match or ())
