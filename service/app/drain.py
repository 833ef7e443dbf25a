"""Take no new requests without losing one that was taken."""

import asyncio
import socket
from contextlib import suppress
from typing import Final

from aiohttp import hdrs, web

from service.crashpoints import crashpoint

#: Real seconds that kept-alive connections get to be told that theirs was the last answer.
LINGER_S: Final = 1.0
_POLL_S: Final = 0.01
_MOST_WAITING: Final = 1024  #: more than the backlog; new ones may come meanwhile

_DRAINING = web.AppKey("draining", asyncio.Event)


def install(app: web.Application) -> None:
    """Make `app` say with each answer, once it drains, that the connection ends with it."""
    app[_DRAINING] = asyncio.Event()
    app.on_response_prepare.append(_say_goodbye)


async def _say_goodbye(request: web.Request, response: web.StreamResponse) -> None:
    if request.app[_DRAINING].is_set():
        response.force_close()
        # aiohttp has written its headers by now, and force_close() does not change them.
        response.headers[hdrs.CONNECTION] = "close"


async def drain(runner: web.AppRunner, site: web.BaseSite, listener: socket.socket) -> None:
    """Close the port and let connections end by themselves; call it before `runner.cleanup()`.

    aiohttp closes a kept-alive connection when it stops, though a request may be on its way to
    it: that caller would find the connection cut. So each gets an answer with
    `Connection: close` first. Only a connection without a request for LINGER_S is cut.
    """
    runner.app[_DRAINING].set()
    taken = _accepted(listener)
    await site.stop()
    crashpoint("shutdown.draining")
    loop, server = asyncio.get_running_loop(), runner.server
    assert server is not None  # noqa: S101 - it has been set up
    for connection in taken:
        with suppress(OSError):  # closed by the peer meanwhile
            await loop.connect_accepted_socket(server, connection)
    end = loop.time() + LINGER_S
    # Polled: aiohttp has no event for the end of a connection.
    while server.connections and loop.time() < end:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)


def _accepted(listener: socket.socket) -> list[socket.socket]:
    """Take the connections that wait to be accepted: closing the port would reset them."""
    taken: list[socket.socket] = []
    with suppress(BlockingIOError):
        while len(taken) < _MOST_WAITING:
            connection, _ = listener.accept()
            connection.setblocking(False)  # noqa: FBT003 - its only form
            taken.append(connection)
    return taken
