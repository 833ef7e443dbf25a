"""`make soak`: minutes under load with random faults, while resource use is measured.

Leaks end a service after months: memory, file descriptors, threads, database sessions. They are
measured between two faults. The slope of a straight line through the second half decides; the
first half is the warm-up.
"""

import argparse
import asyncio
import random
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

import aiohttp

from tests.faults.conftest import open_folder
from tests.faults.stack import Stack, descriptors
from tests.faults.table import TABLE, Fault
from tests.faults.trial import tried

#: A quarter of the goal of 200 requests a second.
LOAD_PER_S: Final = 50
QUIET_S: Final = 3.0
#: Growth in an hour that is not called a leak yet. Memory: short runs are dominated by
#: caches that fill up, so the bound is far above the goal of 1 MB, which takes an hour to see.
MOST_AN_HOUR: Final = {"rss_mb": 60.0, "descriptors": 60.0, "threads": 30.0, "sessions": 60.0}
SLOW: Final = frozenset(
    {"F02", "F05", "F08", "F09", "F11", "F19", "F31", "F40", "F49", "F59"},
)
#: Shorter than a minute of faults says nothing about slopes.
LEAST_SAMPLES: Final = 16


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    rss_mb: float
    descriptors: int
    threads: int
    sessions: int


def slope_an_hour(points: Sequence[tuple[float, float]]) -> float:
    """Return the least-squares slope of (seconds, value), per hour."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if not spread:
        return 0.0
    return 3600 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def choices() -> list[Fault]:
    """Return the faults that come and go within seconds; the long ones have `make chaos`."""
    return [fault for fault in TABLE if fault.lane != "outage" and fault.name not in SLOW]


class Load:
    """Asks so many times a second on a schedule, whatever the answers are."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.sent = 0

    async def run(self) -> None:
        paths = ("/health", "/api/v1/dashboard/summary", "/api/v1/signals?limit=20", "/metrics")
        headers = {"Authorization": f"Bearer {self._stack.canaries.secrets['viewer']}"}
        timeout = aiohttp.ClientTimeout(total=10)
        # A connection each: kept ones would be counted as the service's own descriptors.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session,
            asyncio.TaskGroup() as under_way,
        ):
            began = time.monotonic()
            while True:
                path = paths[self.sent % len(paths)]
                under_way.create_task(self._ask(session, path))
                self.sent += 1
                await asyncio.sleep(max(0.0, began + self.sent / LOAD_PER_S - time.monotonic()))

    async def _ask(self, session: aiohttp.ClientSession, path: str) -> None:
        try:
            async with session.get(self._stack.service.address + path) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            pass  # the fault's own tests say what may be answered


async def sample(stack: Stack, began: float) -> Sample:
    pid = stack.service.pid
    status = Path(f"/proc/{pid}/status").read_text()  # noqa: ASYNC240 - no disk behind it
    told = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    (row,) = await stack.sql(
        "SELECT count(*) AS n FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return Sample(
        at_s=time.monotonic() - began,
        rss_mb=int(told["VmRSS"].split()[0]) / 1024,
        descriptors=descriptors(pid),
        threads=int(told["Threads"]),
        sessions=int(row["n"]),
    )


async def soaked(minutes: float, seed: int) -> list[Sample]:
    """Run and return the samples; raises what a fault's trial raises."""
    dice, began = random.Random(seed), time.monotonic()
    samples: list[Sample] = []
    folder = open_folder()
    try:
        async with Stack.opened(folder) as stack:
            load = asyncio.create_task(Load(stack).run())
            while time.monotonic() - began < minutes * 60:
                fault = dice.choice(choices())
                recovered_s = await tried(stack, fault)
                await asyncio.sleep(QUIET_S)
                samples.append(await sample(stack, began))
                _print(samples[-1], fault, recovered_s)
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return samples


def _print(taken: Sample, fault: Fault, recovered_s: float) -> None:
    at_s, *rest = astuple(taken)
    figures = "  ".join(f"{value:>8.1f}" for value in rest)
    print(f"{at_s:7.0f} s  {figures}  {fault} ({recovered_s:.1f} s)", flush=True)  # noqa: T201


def verdict(samples: Sequence[Sample]) -> list[str]:
    """Return what grows too fast, one sentence each."""
    late = samples[len(samples) // 2 :]
    wrong = []
    for field in fields(Sample)[1:]:
        points = [(one.at_s, float(getattr(one, field.name))) for one in late]
        slope, most = slope_an_hour(points), MOST_AN_HOUR[field.name]
        grown = points[-1][1] - points[0][1]
        print(f"{field.name}: {slope:+.1f} an hour, {grown:+.1f} in all, bound {most:g}")  # noqa: T201
        # One megabyte of an answer is a step, and so is chance; a leak goes on all the time.
        middle = len(points) // 2
        goes_on = all(slope_an_hour(half) > most for half in (points[:middle], points[middle:]))
        if slope > most and goes_on and grown > max(3.0, most / 20):
            wrong.append(f"{field.name} grows by {slope:.1f} an hour, {most:g} is the bound")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="load and random faults; fails on growth")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    print(f"seed {seed}, {given.minutes:g} minutes; repeat with --seed {seed}")  # noqa: T201
    names = "  ".join(f"{field.name[:8]:>8}" for field in fields(Sample)[1:])
    print(f"{'':9}  {names}")  # noqa: T201
    samples = asyncio.run(soaked(given.minutes, seed))
    if len(samples) < LEAST_SAMPLES:
        print(f"{len(samples)} samples are too few for a slope: give it more minutes")  # noqa: T201
        return 0
    wrong = verdict(samples)
    print("\n".join(wrong) or "flat")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
