"""A sandbox of its own process, whose address and keys are all that the clients know.

Nothing of the service is imported here: these tests run where only the clients are installed.
"""

import asyncio
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STOPS_WITHIN_S = 20
PATIENCE_S = 30
OURS = ("TRADER_", "UPBIT_", "GEMINI_", "GOOGLE_", "DATABASE_URL")


@dataclass(frozen=True, kw_only=True)
class Exchange:
    url: str  #: without /v1
    ws_url: str  #: with /websocket/v1
    access_key: str
    secret_key: str

    def spoil(self, **fault: Any) -> None:
        """Let the sandbox answer otherwise, as `POST /__sandbox__/faults` takes it."""
        request = urllib.request.Request(
            f"{self.url}/__sandbox__/faults", data=json.dumps([fault]).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 201

    async def subscribed(self, type_name: str) -> None:
        """Wait until a client of the WebSocket subscribes to `type_name`."""
        async with asyncio.timeout(PATIENCE_S):
            while type_name not in await asyncio.to_thread(self._subscriptions):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # it is another process: no event tells

    def _subscriptions(self) -> set[str]:
        with urllib.request.urlopen(f"{self.url}/__sandbox__/stream", timeout=10) as answer:
            shown = json.load(answer)
        return {each["type"] for one in shown["connections"] for each in one["subscriptions"]}


def service_python() -> str:
    """Return the interpreter that has the service; here only the clients are installed."""
    if (python := os.environ.get("SANDBOX_PYTHON")) is None:
        pytest.fail(
            "SANDBOX_PYTHON names the interpreter that has the service; run `make conformance`"
        )
    return python


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """`trader sandbox`, faster than the market: only at its own speed are limits in force, and
    no client of these keeps them by itself.
    """
    folder = tmp_path_factory.mktemp("sandbox")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    with subprocess.Popen(
        [service_python(), "-m", "service", "sandbox", "--data-dir", str(folder), "--speed", "10"],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the sandbox did not start; its own words are on stderr"
        ready = json.loads(line)
        yield Exchange(
            url=ready["upbit_rest"],
            ws_url=ready["upbit_ws"],
            access_key=ready["access_key"],
            secret_key=ready["secret_key"],
        )
        process.terminate()
        assert process.wait(STOPS_WITHIN_S) == 0
