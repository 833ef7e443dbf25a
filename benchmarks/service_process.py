"""The real service in its sandbox, as a process of its own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import ROOT, START_S


@contextmanager
def running_service(variables: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Yield process id and port of a service with these variables and a data folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with (folder / "err").open("wb") as err:
            service = subprocess.Popen(
                [sys.executable, "-m", "service", "run"], cwd=ROOT,
                env={**environment(folder), **variables}, stdout=subprocess.DEVNULL, stderr=err,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield service.pid, announced_port(folder / "err", service)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(30)


def environment(folder: Path) -> dict[str, str]:
    """Return our variables without the service's, and its data folder in `folder`."""
    foreign = {k: v for k, v in os.environ.items() if not k.startswith(("TRADER_", "UPBIT_"))}
    return foreign | {"TRADER_DATA_DIR": str(folder / "var"), "TRADER_PORT": "0"}


def on_history(dsn: str) -> dict[str, str]:
    """Return the variables of a service on a database that `seed_history` has filled."""
    return {"DATABASE_URL": dsn, "TRADER_MARKETS": "KRW-C1,KRW-C2"}


def announced_port(err: Path, service: "subprocess.Popen[bytes]") -> int:
    """Return the port that a starting service prints on standard error."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and service.poll() is None:
        if found := re.search(r"http://[^:\s]+:(\d+)", err.read_text()):
            return int(found[1])
        time.sleep(0.01)
    raise RuntimeError(f"the service did not start: {err.read_text()}")


def rss_mib(pid: int) -> float:
    (line,) = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1]) / 1024
