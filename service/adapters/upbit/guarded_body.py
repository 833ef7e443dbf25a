"""The body of a request, with a last check before its bytes leave."""

from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter


def nothing() -> None:
    pass


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

    def __init__(
        self,
        value: bytes,
        before_send: Callable[[], None],
        after_send: Callable[[], None] = nothing,
    ) -> None:
        """Args: after_send: called when the bytes are the socket's, long before the answer."""
        super().__init__(value)
        self._before_send, self._after_send = before_send, after_send
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
        self._after_send()


class GuardedHeaders:
    """A client middleware for requests without a body: the same last check, the same bytes.

    aiohttp asks only a body to write itself. So the request gets an empty one, without the headers
    that announce it. aiohttp runs a middleware again when it repeats a request.
    """

    def __init__(
        self, before_send: Callable[[], None], after_send: Callable[[], None] = nothing
    ) -> None:
        self.body = GuardedBody(b"", before_send, after_send)

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        headers = request.headers.copy()
        await request.update_body(self.body)
        request.headers.clear()
        request.headers.extend(headers)
        return await handler(request)
