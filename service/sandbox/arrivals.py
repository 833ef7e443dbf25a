"""When orders and cancels reached the sandbox, whatever then became of them."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import orjson
from aiohttp import web

from service.sandbox.reply import Body

MOST: Final = 10_000  #: the oldest are forgotten


class Arrivals:
    """The requests that write, oldest first.

    Args: monotonic: seconds of the machine, which every process on it reads alike.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: deque[Body] = deque(maxlen=MOST)

    async def note(self, request: web.Request) -> None:
        """Note a request before any fault and before its execution; others are left out."""
        if request.method == "GET" or not request.path.startswith("/v1/order"):
            return
        at = self._monotonic()
        named = dict(request.query) or _fields(await request.read())
        self._seen.append(
            {
                "at": at,
                "method": request.method,
                "path": request.path,
                "identifier": named.get("identifier"),
                "uuid": named.get("uuid"),
            }
        )

    def seen(self) -> list[Body]:
        return list(self._seen)


def _fields(raw: bytes) -> dict[str, object]:
    try:
        fields = orjson.loads(raw)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
