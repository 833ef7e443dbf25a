"""Upbit's WebSocket: the public market and the private account, one address each."""

import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from service.sandbox.errors import refused
from service.sandbox.stream.connection import StreamConnection
from service.sandbox.stream.feed import Feed
from service.sandbox.stream.formats import encoded
from service.sandbox.stream.requests import StreamRefused, read_stream_request
from service.sandbox.upbit_api.context import CONTEXT

FEED = web.AppKey("feed", Feed)
_MOST_PRIVATE: Final = 10  #: connections; Upbit refuses too many and does not say how many
_MOST_A_SECOND: Final = 5
_MOST_A_MINUTE: Final = 100

routes = web.RouteTableDef()


@routes.get("/websocket/v1")
async def market_stream(request: web.Request) -> web.StreamResponse:
    return await _served(request, is_private=False)


@routes.get("/websocket/v1/private")
async def account_stream(request: web.Request) -> web.StreamResponse:
    guard = request.app[CONTEXT].guard
    guard.check(
        request.headers.get("Authorization"), query=request.rel_url.raw_query_string, body=""
    )
    if len(request.app[FEED].connections("private")) >= _MOST_PRIVATE:
        raise refused("too_many_requests")
    return await _served(request, is_private=True)


async def close_all(app: web.Application) -> None:
    """Close every connection when the sandbox stops: else each would delay the stop."""
    await app[FEED].close()


async def _served(request: web.Request, *, is_private: bool) -> web.StreamResponse:
    context, feed = request.app[CONTEXT], request.app[FEED]
    connection = StreamConnection(is_private=is_private, idle_s=context.stream_idle_s)
    limit = _MessageLimit(time.monotonic, is_enforced=context.limiter.is_enforced)

    def obey(text: str | bytes) -> None:
        try:
            limit.count()
            feed.subscribe(connection, read_stream_request(text, is_private=is_private))
        except StreamRefused as exc:
            connection.put(encoded(exc.body, "DEFAULT"))

    feed.join(connection)
    try:
        return await connection.serve(request, obey)
    finally:
        feed.leave(connection)


class _MessageLimit:
    """Counts one connection's requests in fixed windows of real time."""

    def __init__(self, monotonic: Callable[[], float], *, is_enforced: bool) -> None:
        self._monotonic = monotonic
        self._is_enforced = is_enforced
        self._windows = {1: (0, 0), 60: (0, 0)}

    def count(self) -> None:
        """Count one request. Raises: StreamRefused, when it is one too many."""
        used = {}
        for seconds, (window, before) in self._windows.items():
            current = int(self._monotonic()) // seconds
            used[seconds] = before + 1 if current == window else 1
            self._windows[seconds] = (current, used[seconds])
        if not self._is_enforced:
            return
        if used[1] > 2 * _MOST_A_SECOND:
            raise StreamRefused("I'm a teapot")
        if used[1] > _MOST_A_SECOND or used[60] > _MOST_A_MINUTE:
            raise StreamRefused("Too Many Requests")
