"""Peak memory of `trader export fills`: it must not grow with the history.

The peak is the kernel's own figure (`wait4`).
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.comparison import Result
from benchmarks.databases import Databases
from benchmarks.processes import ROOT
from benchmarks.service_process import environment, on_history

SHORT: Final = 10_000  #: rows
AT_MOST: Final = 1.1
#: A child's peak begins at its parent's, and this process is larger than an export. So a small
#: interpreter starts the export.
_LAUNCHER: Final = """
import json, os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss]))
"""


def measure(databases: Databases, *, rows: int) -> list[Result]:
    short_mib, _ = _export(databases.seeded(SHORT))
    long_mib, took_s = _export(databases.seeded(rows))
    return [
        Result(
            name=f"export of {rows:,} fills / of {SHORT:,}, peak memory",
            ours=long_mib, theirs=short_mib, unit="MiB", at_most=AT_MOST,
        ),
        Result(name=f"export of {rows:,} fills, rows a second", ours=rows / took_s, unit="rows/s"),
    ]  # fmt: skip


def _export(dsn: str) -> tuple[float, float]:
    """Return peak MiB and seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, began = Path(name), time.monotonic()
        command = [
            sys.executable, "-I", "-S", "-c", _LAUNCHER,
            sys.executable, "-m", "service", "export", "fills", "--out", str(folder / "fills.csv"),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, env=environment(folder) | on_history(dsn),
            capture_output=True, check=True,
        )  # fmt: skip
        code, peak_kib = json.loads(done.stdout.splitlines()[-1])
        if code:
            raise RuntimeError(f"the export failed: {done.stderr.decode()}")
        return peak_kib / 1024, time.monotonic() - began
