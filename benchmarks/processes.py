"""Servers in processes of their own, and their processor time."""

import os
import select
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.load_client import LoadClient

ROOT: Final = Path(__file__).parents[1]
START_S: Final = 60.0


class ServerProcess:
    """A program that prints its port as its first line and serves until it is terminated."""

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
        raise RuntimeError(f"a measured server did not start: {self._process.args!r}")

    def cpu_us(self) -> float:
        """Return the processor time of all its threads, in microseconds."""
        # The first field of schedstat is in nanoseconds.
        return sum(int((task / "schedstat").read_text().split()[0]) for task in self._tasks) / 1000

    def stay_on(self, processors: Collection[int]) -> None:
        for task in self._tasks:
            os.sched_setaffinity(int(task.name), processors)

    @property
    def _tasks(self) -> Iterator[Path]:
        """The kernel's folders of its threads."""
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


def cpu_us_of(process: ServerProcess, client: LoadClient, requests: int) -> Callable[[], float]:
    """Return a function that measures the server's processor time for one request."""

    def measured() -> float:
        before = process.cpu_us()
        client.ask(requests)
        return (process.cpu_us() - before) / requests

    return measured


@contextmanager
def pinned_apart(*processes: ServerProcess) -> Iterator[None]:
    """Pin the client to one processor and these servers to the others.

    Waking a server costs less on its client's own processor. When the scheduler chooses, the time
    of one request doubles between one round and the next.
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
def server(kind: str, dsn: str = "") -> Iterator[ServerProcess]:
    """Run one of benchmarks.servers."""
    command = [sys.executable, "-m", "benchmarks.servers", kind, *([dsn] if dsn else [])]
    with running(command, {}) as process:
        yield process


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str]) -> Iterator[ServerProcess]:
    process = ServerProcess(command, env)
    try:
        yield process
    finally:
        process.close()
