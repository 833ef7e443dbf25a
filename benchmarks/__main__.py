"""`make bench`: print every figure; exit code 1 when one misses what we hold ourselves to."""

import os
import platform
import sys

from benchmarks import (
    crowd,
    health_cpu,
    log_line,
    request_accounting,
    request_window,
    settings_read,
    start,
)


def main() -> int:
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; ours, theirs, ratio")
    kept = True
    for measure in (
        settings_read.measure,
        log_line.measure,
        request_accounting.measure,
        health_cpu.measure,
        request_window.measure,
        start.measure,
        crowd.measure,
    ):
        result = measure()
        print(result, flush=True)
        kept = kept and result.is_kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
