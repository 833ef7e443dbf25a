"""Health under 500 clients that send on a schedule, within and beyond the machine's capacity.

A client sends its next request at its due time even if the last answer was late, and latency
counts from the due time. Otherwise the slowest moments would have the fewest samples (coordinated
omission).
"""

import asyncio
import itertools
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from benchmarks.comparison import Result
from benchmarks.http_stream import KeepAliveStream
from benchmarks.service_process import running_service

CLIENTS: Final = 500
#: Requests of all clients together: a load that two cores carry, with the clients on them too,
#: and one that they do not.
WITHIN_CAPACITY: Final = 500
BEYOND_CAPACITY: Final = 1_500
LASTS_S: Final = 30.0
PROBE_EVERY_S: Final = 0.05
NORMAL_WITHIN_S: Final = 5.0
HEALTH_P99_MS: Final = 50.0
GIVE_UP_AFTER_S: Final = 60.0
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
class LoadReport:
    """The answers to 500 clients and to one health probe."""

    statuses: Counter[int] = field(default_factory=Counter)
    health_ms: list[float] = field(default_factory=list)
    unhealthy: int = 0  #: probes without a 200
    without_retry_after: int = 0
    broken: int = 0  #: connections that ended without an answer
    normal_after_s: float = math.inf

    def results(self, a_second: int) -> list[Result]:
        other = sum(count for status, count in self.statuses.items() if status not in {200, 503})
        wrong = other + self.broken + self.without_retry_after
        load = f"{CLIENTS} clients, {a_second} requests/s"
        at_most = HEALTH_P99_MS if a_second <= WITHIN_CAPACITY else None
        return [
            Result(
                name=f"{HEALTH} under {load}, p99",
                ours=percentile(self.health_ms, 99), unit="ms", at_most=at_most,
            ),
            Result(name="of these not answered by 200", ours=self.unhealthy, unit="", at_most=0),
            Result(
                name="answers that are neither 200 nor 503 with Retry-After",
                ours=wrong, unit="", at_most=0,
            ),
            Result(name="answers by 200", ours=self.statuses[200], unit=""),
            Result(name="answers by 503", ours=self.statuses[503], unit=""),
            Result(
                name="all lists answer 200 again after",
                ours=self.normal_after_s, unit="s", at_most=NORMAL_WITHIN_S,
            ),
        ]  # fmt: skip


def percentile(values: list[float], percent: int) -> float:
    """Return the nearest-rank percentile, infinite for no values."""
    if not values:
        return math.inf
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


async def loaded(port: int, a_second: int) -> LoadReport:
    """Load the service at `port`, then wait until its lists answer again."""
    report = LoadReport()
    began = time.monotonic()
    end = began + LASTS_S
    async with asyncio.TaskGroup() as group:
        group.create_task(_probe(port, report, end))
        for number in range(CLIENTS):
            every_s = CLIENTS / a_second
            first = began + number / CLIENTS * every_s
            stream = KeepAliveStream(port)
            group.create_task(
                _client(stream, report, number, first=first, every_s=every_s, end=end)
            )
    report.normal_after_s = await _normal_after(port)
    return report


async def _client(
    stream: KeepAliveStream, report: LoadReport, number: int,
    *, first: float, every_s: float, end: float,
) -> None:  # fmt: skip
    for turn in itertools.count():
        due = first + turn * every_s
        if due >= end:
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            status, head = await stream.get(PATHS[(number + turn) % len(PATHS)])
        except (OSError, EOFError):
            report.broken += 1
            continue
        report.statuses[status] += 1
        report.without_retry_after += status != 200 and b"retry-after:" not in head
    await stream.close()


async def _probe(port: int, report: LoadReport, end: float) -> None:
    stream, due = KeepAliveStream(port), time.monotonic()
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            status, _ = await stream.get(HEALTH)
        except (OSError, EOFError):
            status = 0
        report.health_ms.append((time.monotonic() - due) * 1000)
        report.unhealthy += status != 200
        due += PROBE_EVERY_S
    await stream.close()


async def _normal_after(port: int) -> float:
    """Return the seconds until every list answers 200, one after the other."""
    began, stream = time.monotonic(), KeepAliveStream(port)
    while time.monotonic() - began < GIVE_UP_AFTER_S:
        if all([(await stream.get(path))[0] == 200 for path in PATHS]):
            await stream.close()
            return time.monotonic() - began
    return math.inf


def measure() -> list[Result]:
    with running_service({}) as (_, port):
        return [
            result
            for a_second in (WITHIN_CAPACITY, BEYOND_CAPACITY)
            for result in asyncio.run(loaded(port, a_second)).results(a_second)
        ]
