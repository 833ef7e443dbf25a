"""`trader run` on a terminal, and with the format that is set for it."""

import asyncio
import json
import os
import pty
import re
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.processes import Service

COLOUR = re.compile(r"\x1b\[[0-9;]+m")
SAFETY_S = 60


class ServiceOnATerminal(Service):
    """Its standard output is a terminal, which `seen` reads."""

    def start(self) -> Self:
        self.terminal, process = pty.openpty()
        try:
            return self._start(stdout=process)
        finally:
            os.close(process)

    async def seen(self, word: bytes) -> list[str]:
        """Return the whole lines that are shown until one of them has `word` in it."""
        raw = b""
        async with asyncio.timeout(SAFETY_S):
            while word not in raw.rpartition(b"\r\n")[0]:
                raw += await asyncio.to_thread(os.read, self.terminal, 4096)
        return raw.decode().split("\r\n")[:-1]


@pytest.mark.parametrize("form", ["auto", "json"])
async def test_a_terminal_is_shown_text_in_colours_unless_json_is_set(
    folder: Path, form: str
) -> None:
    async with ServiceOnATerminal(folder / "s", TRADER_LOG_FORMAT=form) as service:
        lines = await service.seen(b"collect_market_data")
        await service.ready()
        code = await service.stop()
    os.close(service.terminal)

    if form == "json":
        assert {"job", "app"} <= {json.loads(line)["event"] for line in lines}
    else:
        assert all(COLOUR.search(line) for line in lines)
        plain = [COLOUR.sub("", line) for line in lines]
        one = re.compile(r"\d\d:\d\d:\d\d\.\d{3} INFO     job    pass job=collect_market_data .+")
        assert any(one.fullmatch(line) for line in plain)
    assert code == 0
