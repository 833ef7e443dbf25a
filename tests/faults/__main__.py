"""`make chaos`: every fault, in parallel lanes, each with a service of its own.

`python -m tests.faults process day` runs these lanes only.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Final

#: pytest's choice for each lane, the longest first.
LANES: Final[Mapping[str, tuple[str, ...]]] = {
    "process": (
        "tests/faults",
        "-k",
        "lane_process or f30 or f37 or f56 or f58 or f63 or starts_while",
    ),
    "crash": ("tests/faults/test_crash_points.py",),
    "exits": ("tests/faults/test_exit_crashes.py",),
    "outage": ("tests/faults", "-k", "lane_outage or f48"),
    "postgres": ("tests/faults/test_faults.py", "-k", "lane_postgres"),
    "orders": ("tests/faults/test_faults.py", "-k", "lane_orders"),
    "restarts": ("tests/faults/test_restarts.py",),
    "exchange": (
        "tests/faults/test_faults.py",
        "tests/faults/test_names.py",
        "-k",
        "lane_exchange or reason or f15",
    ),
    "market": ("tests/faults/test_market_crash.py",),
    "stream": ("tests/faults/test_price_stream.py",),
    "model": ("tests/faults", "-k", "lane_model or f34 or f64"),
    "day": ("tests/faults/test_day.py",),
}
AT_ONCE: Final = 5  #: lanes mostly wait; the day keeps one core busy
LONGEST_S: Final = 3600  #: for one lane; each test has a bound of its own
PYTEST: Final = (sys.executable, "-m", "pytest", "-m", "chaos or not chaos", "-q", "-s")


async def _run(name: str, turn: asyncio.Semaphore) -> bool:
    async with turn:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *PYTEST,
            *LANES[name],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(LONGEST_S):
                said, _ = await process.communicate()
        except (TimeoutError, asyncio.CancelledError):
            process.send_signal(signal.SIGINT)  # pytest ends what its tests have started
            await process.wait()
            raise
        passed = process.returncode == 0
        print(f"\n==> {name}: {'passed' if passed else 'FAILED'}", end=" ")  # noqa: T201
        print(f"in {time.monotonic() - began:.0f} s")  # noqa: T201
        lines = said.decode(errors="replace").splitlines()
        told = [line.lstrip(".") for line in lines if "normal again" in line or _is_figure(line)]
        print("\n".join(told if passed else lines), flush=True)  # noqa: T201
        return passed


def _is_figure(line: str) -> bool:
    return line.lstrip(".").startswith(("SC-004", "F47", "F48", "F63")) or " passed" in line


async def main(lanes: Iterable[str]) -> int:
    """Return 1 when a lane failed twice; the output of a single failure is shown too.

    Faults are put into real processes on a shared machine. A second failure, in a run alone, is a
    bug of ours.
    """
    failed = await _failed(lanes)
    if failed:
        print(f"\n==> once more: {', '.join(failed)}", flush=True)  # noqa: T201
        failed = await _failed(failed)
    return 1 if failed else 0


async def _failed(names: Iterable[str]) -> list[str]:
    turn, lanes = asyncio.Semaphore(AT_ONCE), list(names)
    passed = await asyncio.gather(*(_run(name, turn) for name in lanes))
    return [name for name, is_well in zip(lanes, passed, strict=True) if not is_well]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lanes", nargs="*", help=f"of {', '.join(LANES)}; all by default")
    given = parser.parse_args()
    if unknown := set(given.lanes) - LANES.keys():
        parser.error(f"no lane is called {', '.join(sorted(unknown))}")
    sys.exit(asyncio.run(main(given.lanes or LANES)))
