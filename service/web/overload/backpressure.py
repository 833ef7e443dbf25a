"""Whoever was told when to come back is not listened to before.

A refusal costs as much as a small answer. Five hundred clients that ask again at once would keep
the process busy with refusals, and health and trading waiting; left in the kernel, their next
requests cost nothing, and the connection still has its answer.
"""

import asyncio
import itertools
from typing import Final

from aiohttp import web

#: Multiples of it, less their whole part, lie evenly between 0 and 1, however many there are.
_GOLDEN: Final = 0.6180339887498949
_turns: Final = itertools.count()


def pause_reading(request: web.Request, *, seconds: float) -> None:
    """Leave what comes next on the connection of `request` unread for `seconds` or twice as long.

    Not all for the same time: who was refused together would be heard together again.
    """
    transport = request.transport
    # A body that is still on its way is read and thrown away by aiohttp; that must go on.
    if transport is None or not request.content.is_eof():
        return
    transport.pause_reading()
    spread = next(_turns) * _GOLDEN % 1
    asyncio.get_running_loop().call_later(seconds * (1 + spread), _listen_again, transport)


def _listen_again(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.resume_reading()
