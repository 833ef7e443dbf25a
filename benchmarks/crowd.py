"""Health under a crowd of 500 clients, on a schedule that waits for nobody.

A client whose answer is late still owes its next request at its time, and what it waited counts
from that time: else the slowest moments would be those with the fewest samples.
"""

import asyncio
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.processes import port_told
from benchmarks.rounds import Result

CLIENTS: Final = 500
#: Requests of all clients together: a load that two cores carry, the clients on them too, and one
#: that they do not.
A_SECOND: Final = 500
TOO_MANY_A_SECOND: Final = 1_500
LASTS_S: Final = 30.0
PROBE_EVERY_S: Final = 0.05
NORMAL_WITHIN_S: Final = 5.0
HEALTH_P99_MS: Final = 50.0
PATIENCE_S: Final = 60.0
PATHS: Final = (
    "/api/v1/trading/orders?limit=50",
    "/api/v1/signals?limit=50",
    "/api/v1/market/history?limit=50",
    "/api/v1/dashboard/summary",
    "/api/v1/trading/fills",
    "/api/v1/config",
)
HEALTH: Final = "/health/detailed"


@dataclass(kw_only=True)
class Crowd:
    """What 500 clients and one prober have seen."""

    statuses: Counter[int] = field(default_factory=Counter)
    accepted_ms: list[float] = field(default_factory=list)
    health_ms: list[float] = field(default_factory=list)
    unhealthy: int = 0  #: probes that were not answered by 200
    without_retry_after: int = 0
    broken: int = 0  #: connections that ended without an answer
    normal_after_s: float = math.inf

    def results(self, a_second: int) -> list[Result]:
        other = sum(count for status, count in self.statuses.items() if status not in {200, 503})
        wrong = other + self.broken + self.without_retry_after
        crowd = f"{CLIENTS} clients, {a_second} requests/s"
        at_most = HEALTH_P99_MS if a_second <= A_SECOND else None
        return [
            Result(
                name=f"{HEALTH} under {crowd}, p99",
                ours=percentile(self.health_ms, 99), unit="ms", at_most=at_most,
            ),
            Result(name="of these not answered by 200", ours=self.unhealthy, unit="", at_most=0),
            Result(
                name="answers that are neither 200 nor 503 with Retry-After",
                ours=wrong, unit="", at_most=0,
            ),
            Result(name="answers by 200", ours=self.statuses[200], unit=""),
            Result(name="answers by 503", ours=self.statuses[503], unit=""),
            Result(name="accepted, p50", ours=percentile(self.accepted_ms, 50), unit="ms"),
            Result(name="accepted, p99", ours=percentile(self.accepted_ms, 99), unit="ms"),
            Result(
                name="all lists answer 200 again after",
                ours=self.normal_after_s, unit="s", at_most=NORMAL_WITHIN_S,
            ),
        ]  # fmt: skip


def percentile(values: list[float], percent: int) -> float:
    """Return the nearest-rank percentile, infinite when there is nothing."""
    if not values:
        return math.inf
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


class Connection:
    """One kept-alive HTTP/1.1 connection, opened again when it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return status and head. Raises OSError, EOFError."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            found = re.search(rb"content-length: (\d+)", head)
            await reader.readexactly(int(found[1]) if found else 0)
        except (OSError, EOFError):
            await self.close()
            raise
        if b"connection: close" in head:
            await self.close()
        return int(head[9:12]), head

    async def close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()


async def rush(port: int, a_second: int) -> Crowd:
    """Send the crowd to the service at `port` and look when it is as before."""
    seen = Crowd()
    began = time.monotonic()
    end = began + LASTS_S
    async with asyncio.TaskGroup() as group:
        group.create_task(_probe(port, seen, end))
        for number in range(CLIENTS):
            group.create_task(_client(port, a_second, seen, number, began, end))
    seen.normal_after_s = await _normal_after(port)
    return seen


async def _client(  # noqa: PLR0917 - one caller, a loop above
    port: int, a_second: int, seen: Crowd, number: int, began: float, end: float
) -> None:
    connection, every_s = Connection(port), CLIENTS / a_second
    for turn in itertools.count():
        due = began + (turn + number / CLIENTS) * every_s
        if due >= end:
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            status, head = await connection.get(PATHS[(number + turn) % len(PATHS)])
        except (OSError, EOFError):
            seen.broken += 1
            continue
        seen.statuses[status] += 1
        if status == 200:
            seen.accepted_ms.append((time.monotonic() - due) * 1000)
        elif b"retry-after:" not in head:
            seen.without_retry_after += 1
    await connection.close()


async def _probe(port: int, seen: Crowd, end: float) -> None:
    connection, due = Connection(port), time.monotonic()
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            status, _ = await connection.get(HEALTH)
        except (OSError, EOFError):
            status = 0
        seen.health_ms.append((time.monotonic() - due) * 1000)
        seen.unhealthy += status != 200
        due += PROBE_EVERY_S
    await connection.close()


async def _normal_after(port: int) -> float:
    """Return how long it takes until every list answers 200, one after the other."""
    began = time.monotonic()
    connection = Connection(port)
    while time.monotonic() - began < PATIENCE_S:
        if all([(await connection.get(path))[0] == 200 for path in PATHS]):
            await connection.close()
            return time.monotonic() - began
    return math.inf


def measure() -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        variables = {k: v for k, v in os.environ.items() if not k.startswith("TRADER_")}
        variables |= {"TRADER_DATA_DIR": str(folder / "var"), "TRADER_PORT": "0"}
        with (folder / "err").open("wb") as err, (folder / "out").open("wb") as out:
            service = subprocess.Popen(
                [sys.executable, "-m", "service", "run"], env=variables,
                stdout=out, stderr=err, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            port = port_told(folder / "err", service)
            return [
                result
                for a_second in (A_SECOND, TOO_MANY_A_SECOND)
                for result in asyncio.run(rush(port, a_second)).results(a_second)
            ]
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(30)


if __name__ == "__main__":
    print(*measure(), sep="\n")
