"""Bounds what is read of Gemini's answers; neither the SDK nor aiohttp does.

An answer of 64 MiB would be read and decoded whole: it would stop the event loop for seconds, and
stops are judged on that loop.
"""

from http import HTTPStatus
from typing import Final

import aiohttp

#: Bytes, unpacked. MAX_OUTPUT_TOKENS (gemini_wire.py) of escaped text are a fifth of it.
LONGEST_BODY: Final = 1024 * 1024


class AnswerTooLong(ValueError):
    """The body has more bytes than any answer to our questions."""


class BoundedResponse(aiohttp.ClientResponse):
    """For `aiohttp.ClientSession(response_class=…)`, aiohttp's way to read answers differently.

    `text` and `json`, which the SDK calls, both read through `read`.
    """

    async def read(self) -> bytes:
        """Raises: AnswerTooLong. The connection is closed then, and the rest is not read.

        The status of a failure says what to do without its body, which becomes empty JSON then.
        """
        if self._body is None:
            raw = await self._bounded()
            if raw is None:
                # The rest of the body may still come, so no other request may use the connection.
                self.close()
                if self.status == HTTPStatus.OK:
                    raise AnswerTooLong(f"the answer has more than {LONGEST_BODY} bytes")
                raw = b"null"
            self._body = raw
        return self._body

    async def _bounded(self) -> bytes | None:
        """Return the body, None when it is too long."""
        raw = bytearray()
        try:
            async for chunk in self.content.iter_any():
                raw += chunk
                if len(raw) > LONGEST_BODY:
                    return None
        except BaseException:
            self.close()
            raise
        return bytes(raw)
