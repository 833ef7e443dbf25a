"""The body of an order, with a last check before it leaves."""

from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter


class GuardedBody(aiohttp.BytesPayload):
    """Asks for permission at the moment of the write.

    aiohttp 3.14 keeps the headers back until the body's first bytes and hands both to the socket in
    one call. It asks the body to write itself when the connection stands. So between the permission
    and the socket there is no wait, and without it neither headers nor body have left:
    `test_upbit_send.py` looks at the bytes.

    Attributes:
        refusal: what the check raised.
        has_left: whether bytes may have left. It never goes back to False.
    """

    def __init__(self, value: bytes, before_send: Callable[[], None]) -> None:
        super().__init__(value)
        self._before_send = before_send
        self.refusal: Exception | None = None
        self.has_left = False

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        try:
            self._before_send()
        except Exception as exc:
            self.refusal = exc  # aiohttp raises an error of its own instead
            raise
        self.has_left = True
        await super().write_with_length(writer, content_length)
