"""Answers requests that reach no route, in the form of every other answer.

aiohttp would answer them in plain text, with its version and with a part of the request in it.
"""

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong, PayloadEncodingError
from loguru import logger

from service.domain.errors import InvalidRequest, ServiceError
from service.ports.requests import Requests
from service.web.protocol.problems import internal_problem, problem_of
from service.web.protocol.request_id import HEADER, id_of
from service.web.protocol.security_headers import SECURITY

UNMATCHED: Final = "unmatched"
_UNREAD: Final[Mapping[type[BaseException], str]] = {
    BadHttpMethod: "this is not HTTP: the port speaks HTTP/1.1 without TLS",
    LineTooLong: "the address or a header is too long",
    PayloadEncodingError: "the body is cut off or wrongly encoded",
}
_MALFORMED: Final = "the request is not well-formed HTTP/1.1"


class _Ended(web.Response):
    """The last answer of its connection.

    aiohttp adds its own name and version to each answer; `on_response_prepare`, which takes them
    out of every other one, is not called for a request that was not routed.
    """

    async def _prepare_headers(self) -> None:
        self.force_close()
        self.headers[hdrs.CONNECTION] = "close"  # to a caller of HTTP/1.0 too
        await super()._prepare_headers()
        del self.headers[hdrs.SERVER]


class Refusals:
    """Makes answers that end their connection, each with its line and its measurement."""

    def __init__(self, new_id: Callable[[], str], requests: Requests) -> None:
        self._new_id = new_id
        self._requests = requests

    def of_request(self, request: web.BaseRequest, error: ServiceError) -> web.Response:
        """Return the answer to a request that was read and is refused before it is routed."""
        return self._answer(request, error, cause=error)

    def of_unread(self, request: web.BaseRequest, cause: BaseException | None) -> web.Response:
        """Return the answer to bytes that are no request.

        Its sentences are constants: the bytes may hold a token.

        Args: request: aiohttp's stand-in, of HTTP/1.0, as the real version is not known.
        """
        # aiohttp writes the version of the request into the status line, and has no other way.
        request._version = HttpVersion11  # noqa: SLF001
        detail = next(
            (_UNREAD[kind] for kind in type(cause).__mro__ if kind in _UNREAD), _MALFORMED
        )
        return self._answer(request, InvalidRequest(detail), cause=cause)

    def of_bug(self, request: web.BaseRequest, cause: BaseException | None) -> web.Response:
        """Return the answer to an error of our own outside of every handler."""
        request_id = id_of(request, self._new_id)
        logger.bind(event="app", request_id=request_id).opt(exception=cause).error(
            "a request could not be answered"
        )
        return self._ended(request, internal_problem(request_id), request_id, cause)

    def _answer(
        self, request: web.BaseRequest, error: ServiceError, *, cause: BaseException | None
    ) -> web.Response:
        request_id = id_of(request, self._new_id)
        response = problem_of(error, request_id) or internal_problem(request_id)
        return self._ended(request, response, request_id, cause)

    def _ended(
        self,
        request: web.BaseRequest,
        response: web.Response,
        request_id: str,
        cause: BaseException | None,
    ) -> web.Response:
        headers = {**response.headers, **SECURITY, HEADER: request_id}
        ended = _Ended(body=response.body, status=response.status, headers=headers)
        method, status = request.method, response.status
        began = self._requests.began()
        self._requests.answered(began, route=UNMATCHED, method=method, status=status)
        logger.bind(
            event="http",
            method=method,
            route=UNMATCHED,
            status=status,
            duration_ms=0.0,
            bytes=ended.content_length,
            request_id=request_id,
            error=None if cause is None else type(cause).__name__,
        ).info("request")
        return ended


REFUSALS = web.AppKey("refusals", Refusals)
