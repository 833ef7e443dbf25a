"""A setting read from the cache, against a bare aiocache get."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from aiocache import SimpleMemoryCache

from benchmarks.comparison import Result, interleaved
from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.ports.settings import SettingChange
from service.ports.store import JSON
from service.settings.settings import Settings
from service.settings.table import MIN_CONFIDENCE

READS: Final = 50_000


class EmptySettingRows:
    """Replaces a database without any stored setting."""

    async def load(self, _: str) -> tuple[JSON] | None:
        return None

    async def load_all(self) -> Mapping[str, JSON]:
        return {}

    async def change(self, *_: object, **__: object) -> tuple[SettingChange, ...]:
        raise NotImplementedError("the benchmark changes nothing")


def measure() -> list[Result]:
    with asyncio.Runner() as runner:
        settings = Settings(EmptySettingRows(), RealTimeMarketClock(SystemClock()))
        cache = SimpleMemoryCache(ttl=3600, timeout=None)
        runner.run(cache.set("min_confidence", object()))
        runner.run(settings.get(MIN_CONFIDENCE))

        async def ours() -> None:
            for _ in range(READS):
                await settings.get(MIN_CONFIDENCE)

        async def bare() -> None:
            for _ in range(READS):
                await cache.get("min_confidence")

        def timed(work: object) -> float:
            began = time.process_time()
            runner.run(work())  # type: ignore[operator]
            return (time.process_time() - began) / READS * 1e6

        took = interleaved({"ours": lambda: timed(ours), "bare": lambda: timed(bare)})
    return [
        Result.of(
            "settings read / bare aiocache get", took["ours"], took["bare"], unit="us", at_most=1.5
        )
    ]
