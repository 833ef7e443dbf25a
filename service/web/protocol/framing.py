"""Refuses requests that another server or proxy could delimit differently: RFC 9112, section 6.

aiohttp's parser lets them through. Where two programs disagree about the end of a request, a part
of its body is the next request: request smuggling.
"""

from typing import Final

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web

from service.domain.errors import InvalidRequest
from service.web.contract.roles import READING
from service.web.protocol.errors import AmbiguousLength, ExpectationFailed

_VERSIONS: Final = frozenset({HttpVersion10, HttpVersion11})
_CHUNKED: Final = "chunked"
_CONTINUE: Final = "100-continue"


def check_framing(request: web.BaseRequest) -> None:
    """Raises: AmbiguousLength, ExpectationFailed, InvalidRequest."""
    headers, version = request.headers, request.version
    if version not in _VERSIONS:
        raise InvalidRequest("ask with HTTP/1.1")
    if hdrs.TRANSFER_ENCODING in headers:
        if version == HttpVersion10:
            raise AmbiguousLength("HTTP/1.0 has no Transfer-Encoding: send a Content-Length")
        if headers[hdrs.TRANSFER_ENCODING].lower() != _CHUNKED or hdrs.CONTENT_LENGTH in headers:
            raise AmbiguousLength(
                "Transfer-Encoding is chunked, without a Content-Length beside it"
            )
    if hdrs.EXPECT in headers and headers[hdrs.EXPECT].lower() != _CONTINUE:
        raise ExpectationFailed("Expect is 100-continue, nothing else")
    # RFC 9110, section 9.3.1: a body of GET may be an attempt at request smuggling.
    if request.body_exists and request.method in READING:
        raise InvalidRequest(f"a {request.method} takes no body")
