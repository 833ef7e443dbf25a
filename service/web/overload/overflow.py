"""Answers connections beyond the limit: health checks and admins as usual, others with a 503."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from aiohttp import web

from service.web.protocol.peers import Peer
from service.web.protocol.problems import PROBLEM_TYPE, TYPE_PREFIX
from service.web.protocol.request_id import HEADER, counted_ids
from service.web.protocol.responses import encoded
from service.web.protocol.security_headers import SECURITY

ASK_WITHIN_S: Final = 1.0
#: Overflow connections open at the same time: so many from this machine, as many from elsewhere.
MOST: Final = 48
_SHARE: Final = MOST // 4  #: a peer with so many closes its own oldest one

_LINGER_S: Final = 1.0
_LONGEST_HEAD: Final = 8_192
_LINE_ENDS: Final = b"\r\n"
_HEAD_ENDS: Final = b"\r\n\r\n"
_REQUEST: Final = re.compile(rb"[A-Z]{1,16} /[!-~]* HTTP/1\.[01]\r\n")
_HEALTH: Final = re.compile(
    rb"(?:GET|HEAD) /health(?:/ready|/detailed)?(?:\?[!-~]*)? HTTP/1\.[01]\r\n"
)
_SECURITY: Final = "".join(f"{name}: {value}\r\n" for name, value in SECURITY.items())

#: Returns a protocol for one more request of the peer with this head; None when it is neither a
#: health check nor an admin's, or no spare connection is left.
Spare = Callable[[Peer, bytes], asyncio.Protocol | None]


def refusal(request_id: str) -> bytes:
    """Return the whole answer to a connection that finds no place."""
    body = encoded(
        {
            "type": f"{TYPE_PREFIX}overloaded",
            "title": "The service is busy",
            "status": 503,
            "request_id": request_id,
            "detail": "too many connections are open: ask again in a second",
        }
    )
    return (
        "HTTP/1.1 503 Service Unavailable\r\n"
        f"Content-Type: {PROBLEM_TYPE}\r\n"
        f"{HEADER}: {request_id}\r\n"
        f"{_SECURITY}"
        "Retry-After: 1\r\n"
        "Connection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def is_health_check(head: bytes) -> bool:
    return _HEALTH.match(head) is not None


@dataclass(slots=True, eq=False)
class OverflowState:
    """The open overflow connections, and a count of the refused ones.

    Attributes:
        refused: connections refused since the start.
        new_id: makes the request ids of refusals.
        here, elsewhere: overflow connections from this machine and from others, oldest first. They
            are limited separately, so that remote peers cannot block this machine's health check.
    """

    refused: int = 0
    new_id: Callable[[], str] = field(default_factory=counted_ids)
    here: dict["OverflowConnection", None] = field(default_factory=dict)
    elsewhere: dict["OverflowConnection", None] = field(default_factory=dict)

    def clear(self) -> None:
        for one in (*self.here, *self.elsewhere):
            one.cut()


OVERFLOW = web.AppKey("overflow", OverflowState)


class OverflowConnection(asyncio.Protocol):
    """Reads one request head for at most a second, then serves it on a spare place or refuses.

    A refused connection stays open for a moment. If it closed at once with its request unread,
    the kernel would reset it, and the peer might never see the answer.
    """

    def __init__(
        self, state: OverflowState, spare: Spare, peer: Peer, *, ask_within_s: float = ASK_WITHIN_S
    ) -> None:
        self.peer = peer
        self._state = state
        self._spare = spare
        self._ask_within_s = ask_within_s
        self._head = b""
        self._decided = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(self._ask_within_s, self._refuse)
        self._peers = self._state.here if self.peer.is_local else self._state.elsewhere
        if len(self._peers) >= MOST:
            self._oldest().cut()
        self._peers[self] = None

    def _oldest(self) -> "OverflowConnection":
        """Return the one that had the most time to send its request.

        A peer that holds many loses its own, so that no peer keeps the others out.
        """
        own = [one for one in self._peers if one.peer == self.peer]
        return own[0] if len(own) >= _SHARE else next(iter(self._peers))

    def data_received(self, data: bytes) -> None:
        if self._decided:
            return
        self._head += data
        if _LINE_ENDS in self._head and not _REQUEST.match(self._head):
            self._refuse()
        elif _HEAD_ENDS in self._head:
            self._serve()
        elif len(self._head) > _LONGEST_HEAD:
            self._refuse()

    def connection_lost(self, _: Exception | None) -> None:
        self._decide()
        self._peers.pop(self, None)

    def cut(self) -> None:
        """Close the connection without an answer."""
        self._state.refused += not self._decided
        self.connection_lost(None)
        self._transport.abort()

    def _serve(self) -> None:
        head, _, rest = self._head.partition(_HEAD_ENDS)
        protocol = self._spare(self.peer, head + _LINE_ENDS)
        if protocol is None:
            self._refuse()
            return
        self._decide()
        self._peers.pop(self, None)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        # A body may follow an admin's head; nothing may follow a health check.
        more = b"" if is_health_check(self._head) else rest
        protocol.data_received(_last_request(head) + more)

    def _refuse(self) -> None:
        self._decide()
        self._state.refused += 1
        self._transport.write(refusal(self._state.new_id()))
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER_S, self._transport.abort)

    def _decide(self) -> None:
        self._decided = True
        self._timer.cancel()


def _last_request(head: bytes) -> bytes:
    """Return the head with `Connection: close`."""
    line, *fields = head.split(_LINE_ENDS)
    kept = (one for one in fields if not one.lower().startswith((b"connection:", b"keep-alive:")))
    return _LINE_ENDS.join((line, b"Connection: close", *kept)) + _HEAD_ENDS
