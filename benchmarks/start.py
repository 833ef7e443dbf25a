"""A warm start by `make run`, from the keystroke to the first 200, and the memory at rest."""

import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Final

from benchmarks.comparison import Result
from benchmarks.processes import ROOT
from benchmarks.service_process import announced_port, environment, rss_mib

WITHIN_S: Final = 3.0
IDLE_AFTER_S: Final = 15.0
IDLE_MIB: Final = 160.0


def measure() -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        _run(folder, idle_s=0)  # creates the database; a cold start is not measured
        runs = [_run(folder, idle_s=IDLE_AFTER_S if last else 0) for last in (0, 0, 1)]
    return [
        Result(
            name="a warm `make run`, from the keystroke to the first 200",
            ours=statistics.median(took for took, _ in runs), unit="s", at_most=WITHIN_S,
        ),
        Result(
            name=f"its memory {IDLE_AFTER_S:g} s later, without PostgreSQL",
            ours=runs[-1][1], unit="MiB", at_most=IDLE_MIB,
        ),
    ]  # fmt: skip


def _run(folder: Path, *, idle_s: float) -> tuple[float, float]:
    with (folder / "err").open("wb") as err:
        began = time.monotonic()
        make = subprocess.Popen(
            ["make", "--silent", "run"], cwd=ROOT, env=environment(folder),
            stdout=subprocess.DEVNULL, stderr=err, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    port = announced_port(folder / "err", make)
    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
    took = time.monotonic() - began
    time.sleep(idle_s)
    service = _child(make.pid)
    held_mib = rss_mib(service)
    os.kill(service, signal.SIGTERM)
    make.wait(30)
    return took, held_mib


def _child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0])
