"""Bytes to a port and the answers to them, without a client that would mend them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

SAFETY_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    line: str
    headers: dict[str, str]  #: by names in lower case
    body: bytes

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])

    def json(self) -> Any:
        return orjson.loads(self.body)


async def exchanged(port: int, *sent: bytes) -> list[RawAnswer]:
    """Send each part once the earlier ones were read; return all answers until the port closes.

    A connection that stays open is an error of the test: `TimeoutError`.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in sent:
            writer.write(part)
            await writer.drain()
            await passes()
        async with asyncio.timeout(SAFETY_S):
            return answers_in(await reader.read())
    finally:
        writer.close()


async def passes(number: int = 20) -> None:
    """Let the server, on the same loop, read what was sent."""
    for _ in range(number):
        await asyncio.sleep(0)


def answers_in(raw: bytes) -> list[RawAnswer]:
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = dict(_field(field) for field in fields)
        if line.split(" ")[1] == "100":
            raw = rest
            continue
        size = int(headers.get("content-length", 0))
        found.append(RawAnswer(line=line, headers=headers, body=rest[:size]))
        raw = rest[size:]
    return found


def statuses(answers: Sequence[RawAnswer]) -> list[int]:
    return [answer.status for answer in answers]


def _field(field: str) -> tuple[str, str]:
    name, _, value = field.partition(":")
    return name.lower(), value.strip()
