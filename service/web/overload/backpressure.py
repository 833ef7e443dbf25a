"""After a refusal with Retry-After, the connection is not read until that time is over.

A refusal costs as much as a small answer. Five hundred clients that ask again at once would keep
the process busy with refusals, and health and trading would wait. Unread in the kernel, their next
requests cost nothing, and each connection still gets its answer later.
"""

import asyncio
import itertools
from typing import Final

from aiohttp import web

#: The fractional parts of its multiples spread evenly between 0 and 1, for any number of them.
_GOLDEN: Final = 0.6180339887498949
_refusals: Final = itertools.count()


def pause_reading(request: web.Request, *, seconds: float) -> None:
    """Stop reading the connection of `request` for one to two times `seconds`.

    The pause varies by connection: clients refused together would otherwise return together.
    """
    transport = request.transport
    # aiohttp reads and discards a request body that is still arriving; that must not stop.
    if transport is None or not request.content.is_eof():
        return
    transport.pause_reading()
    spread = next(_refusals) * _GOLDEN % 1
    asyncio.get_running_loop().call_later(seconds * (1 + spread), _resume_reading, transport)


def _resume_reading(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.resume_reading()
