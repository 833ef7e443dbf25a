"""A warm start by `make run`, from the keystroke to the first 200, and what it holds when idle."""

import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
WITHIN_S: Final = 3.0
IDLE_AFTER_S: Final = 15.0
PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    first_200_s: tuple[float, ...]
    rss_mib: float

    @property
    def median_s(self) -> float:
        return sorted(self.first_200_s)[len(self.first_200_s) // 2]

    @property
    def is_kept(self) -> bool:
        return self.median_s <= WITHIN_S

    def __str__(self) -> str:
        times = ", ".join(f"{s:.2f}" for s in self.first_200_s)
        verdict = "ok" if self.is_kept else "MISSED"
        return (
            f"warm `make run` to the first 200: {times} s, median {self.median_s:.2f}"
            f" <= {WITHIN_S:g}  {verdict}\n"
            f"resident memory {IDLE_AFTER_S:g} s later, without PostgreSQL: {self.rss_mib:.0f} MiB"
        )


def measure() -> Start:
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        _run(folder, idle_s=0)  # makes the database; a cold start is not measured
        runs = [_run(folder, idle_s=IDLE_AFTER_S if last else 0) for last in (0, 0, 1)]
    return Start(first_200_s=tuple(took for took, _ in runs), rss_mib=runs[-1][1])


def _run(folder: Path, *, idle_s: float) -> tuple[float, float]:
    variables = {k: v for k, v in os.environ.items() if not k.startswith("TRADER_")}
    variables |= {"TRADER_DATA_DIR": str(folder / "var"), "TRADER_PORT": "0"}
    with (folder / "err").open("wb") as err:
        began = time.monotonic()
        make = subprocess.Popen(
            ["make", "--silent", "run"], cwd=ROOT, env=variables,
            stdout=subprocess.DEVNULL, stderr=err, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    address = _address(folder / "err")
    urllib.request.urlopen(address + "/health", timeout=5).close()
    took = time.monotonic() - began
    time.sleep(idle_s)
    service = _child(make.pid)
    rss_mib = _rss_mib(service)
    os.kill(service, signal.SIGTERM)
    make.wait(30)
    return took, rss_mib


def _address(err: Path) -> str:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := re.search(r"http://\S+", err.read_text()):
            return found.group()
        time.sleep(0.005)
    raise TimeoutError(err.read_text())


def _child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0])


def _rss_mib(pid: int) -> float:
    (line,) = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1]) / 1024
