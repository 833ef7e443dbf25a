"""aiohttp's server, but for what aiohttp answers by itself. Why a subclass: ADR 0047."""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage

from service.domain.errors import ServiceError
from service.web.protocol.framing import check_framing
from service.web.refusals import REFUSALS, Refusals

KEEP_ALIVE_S: Final = 75.0  #: for the first request too: a head that does not end is cut


class ApiConnection(web.RequestHandler):
    """Refuses malformed requests in our form, and ends a body as soon as it is malformed.

    aiohttp's parser forgets the body that it was reading when it meets an error in it. The handler
    that waits for the rest would wait until its own time limit.
    """

    __slots__ = ("_arriving", "_refusals")

    def __init__(
        self,
        server: web.Server,
        *,
        refusals: Refusals,
        loop: asyncio.AbstractEventLoop,
        **options: Any,  # noqa: ANN401 - those of aiohttp
    ) -> None:
        super().__init__(server, loop=loop, **options)
        self._refusals = refusals
        self._arriving: StreamReader | None = None  #: the body of the newest request

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._messages:
            return
        message, body = self._messages[-1]
        if isinstance(message, RawRequestMessage):
            self._arriving = body
            return
        # The parser has met an error. What follows cannot be delimited: nothing more is read, and
        # the connection ends with the answer that is being made, or else with that of the error.
        self._end_body("the body is malformed")
        self.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        # After an answer aiohttp reads the rest of the body for ten seconds, of a lost one too.
        self._end_body("the connection was lost within the body")

    def _end_body(self, why: str) -> None:
        if self._arriving is not None and not self._arriving.is_eof():
            self._arriving.set_exception(web.RequestPayloadError(why))
            self._arriving.feed_eof()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer for aiohttp, and leave out its message: it quotes the request."""
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer was sent already")
        if status == HTTPStatus.BAD_REQUEST:
            return self._refusals.of_unread(request, exc)
        return self._refusals.of_bug(request, exc)

    def log_exception(self, *args: object, **kw: object) -> None:
        """Leave out that a body is malformed that no handler reads: its request was answered."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)


class ApiServer(web.Server):
    """Makes our connections, and checks each request before it is routed."""

    def __init__(self, made: web.Server, refusals: Refusals) -> None:
        options = made._kwargs  # noqa: SLF001 - those of `ApiRunner`
        super().__init__(
            self._checked,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **options,
        )
        self._routed = made.request_handler
        self._options = options
        self._refusals = refusals

    def __call__(self) -> web.RequestHandler:
        return ApiConnection(self, refusals=self._refusals, loop=self._loop, **self._options)

    async def _checked(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            check_framing(request)
        except ServiceError as exc:
            return self._refusals.of_request(request, exc)
        return await self._routed(request)


class ApiRunner(web.AppRunner):
    """The runner of an application that `routes.setup` has filled."""

    def __init__(
        self,
        app: web.Application,
        *,
        keepalive_timeout: float = KEEP_ALIVE_S,
        shutdown_timeout: float = 60.0,
    ) -> None:
        super().__init__(
            app,
            keepalive_timeout=keepalive_timeout,
            shutdown_timeout=shutdown_timeout,
            access_log=None,  # the middleware writes the line
            handler_cancellation=False,  # an order is sent although its caller hangs up
            auto_decompress=False,  # request_body.py unpacks, and only what is read
        )

    async def _make_server(self) -> web.Server:
        return ApiServer(await super()._make_server(), self.app[REFUSALS])
