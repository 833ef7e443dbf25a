"""One log line through our sink, against loguru's own `serialize=True`."""

import os
import time
from pathlib import Path
from typing import Final

from loguru import logger

from benchmarks.comparison import Result, interleaved
from service.ops.logs.setup import configure

LINES: Final = 5_000


def measure() -> list[Result]:
    line = logger.bind(event="job", job="collect_market_data", duration_ms=12.5, success=True)

    def timed() -> float:
        began = time.process_time()
        for _ in range(LINES):
            line.info("pass")
        return (time.process_time() - began) / LINES * 1e6

    def ours() -> float:
        with Path(os.devnull).open("wb") as void:
            log = configure(level="INFO", mode="sandbox", version="0", stream=void)
            try:
                return timed()
            finally:
                log.close()

    def serialized() -> float:
        logger.remove()
        with Path(os.devnull).open("w") as void:
            handler = logger.add(void, serialize=True)
            try:
                return timed()
            finally:
                logger.remove(handler)

    took = interleaved({"ours": ours, "serialize": serialized})
    return [
        Result.of(
            "log line / loguru serialize=True",
            took["ours"],
            took["serialize"],
            unit="us",
            at_most=0.7,
        )
    ]
