"""What counts as perhaps sent when the write of a request fails half-way."""

from typing import NoReturn

import pytest
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from service.adapters.upbit.guarded_body import GuardedBody


class Breaking(AbstractStreamWriter):
    """Hands the bytes to the socket, and fails before it returns."""

    def __init__(self) -> None:
        self.sent = bytearray()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.sent += chunk
        raise ConnectionResetError

    async def write_eof(self, chunk: bytes = b"") -> None:
        await self.write(chunk)

    async def drain(self) -> None:
        return

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        return

    def enable_chunking(self) -> None:
        return

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        return


async def test_bytes_count_as_perhaps_sent_when_the_connection_breaks_during_their_write() -> None:
    body, writer = GuardedBody(b"an order", lambda: None), Breaking()

    with pytest.raises(ConnectionResetError):
        await body.write_with_length(writer, None)

    assert writer.sent == b"an order"
    assert body.has_left


async def test_what_the_check_forbids_has_not_left() -> None:
    def refuse() -> NoReturn:
        raise ValueError("no")

    body, writer = GuardedBody(b"an order", refuse), Breaking()

    with pytest.raises(ValueError, match="no"):
        await body.write_with_length(writer, None)

    assert (bytes(writer.sent), body.has_left) == (b"", False)
