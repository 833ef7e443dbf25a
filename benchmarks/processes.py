"""A server in a process of its own, and what that process has used."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.visitors import Visitors

ROOT: Final = Path(__file__).parents[1]
START_S: Final = 60.0


class Process:
    """Prints its port as the first line on standard output, and serves until it is ended."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid
        self.port = self._read_port()

    def _read_port(self) -> int:
        assert self._process.stdout is not None
        if select.select([self._process.stdout], [], [], START_S)[0]:
            line = self._process.stdout.readline().strip()
            if line.isdigit():
                return int(line)
        self.close()
        raise RuntimeError(f"a server to measure did not start: {self._process.args!r}")

    def cpu_us(self) -> float:
        """Return how many microseconds all its threads have been on a processor."""
        # Nanoseconds: the first field of schedstat.
        return sum(int((task / "schedstat").read_text().split()[0]) for task in self._tasks) / 1000

    def stay_on(self, processors: Collection[int]) -> None:
        for task in self._tasks:
            os.sched_setaffinity(int(task.name), processors)

    @property
    def _tasks(self) -> Iterator[Path]:
        """Its threads, as the kernel shows them."""
        return Path(f"/proc/{self.pid}/task").iterdir()

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def cpu_us_of(process: Process, visitors: Visitors, requests: int) -> Callable[[], float]:
    """Return what measures the server's processor time for one of their requests."""

    def measured() -> float:
        before = process.cpu_us()
        visitors.ask(requests)
        return (process.cpu_us() - before) / requests

    return measured


@contextmanager
def apart(*processes: Process) -> Iterator[None]:
    """Keep these on another processor than the client, while processor time is measured.

    Beside its client a server is woken for less than on a processor of its own: left to the
    scheduler, one server's time for a request doubles between one round and the next.
    """
    ours = os.sched_getaffinity(0)
    if len(ours) < 2:
        yield
        return
    first, *others = sorted(ours)
    for process in processes:
        process.stay_on(others)
    os.sched_setaffinity(0, {first})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)
        for process in processes:
            process.stay_on(ours)


@contextmanager
def server(kind: str, dsn: str = "") -> Iterator[Process]:
    """Run one of benchmarks.servers."""
    command = [sys.executable, "-m", "benchmarks.servers", kind, *([dsn] if dsn else [])]
    with running(command, {}) as process:
        yield process


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str]) -> Iterator[Process]:
    process = Process(command, env)
    try:
        yield process
    finally:
        process.close()


def rss_mib(pid: int) -> float:
    (line,) = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1]) / 1024


def port_told(err: Path, service: "subprocess.Popen[bytes]") -> int:
    """Return the port that a starting service tells on standard error."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and service.poll() is None:
        if found := re.search(r"http://[^:\s]+:(\d+)", err.read_text()):
            return int(found[1])
        time.sleep(0.01)
    raise RuntimeError(f"the service did not start: {err.read_text()}")
