"""Reads what the machine and this process use; the numbers are kept for those who ask."""

import asyncio
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil
from loguru import logger

from service.ports.clock import RealClock
from service.ports.machine import (
    DISK_UNHEALTHY_PCT,
    DISK_WARNING_PCT,
    DiskStatus,
    MachineBody,
    MachineReading,
)

EVERY_S: Final = 10.0  #: period of the loop that calls `measure`


class MachineReader:
    """Reads /proc and the disk of one directory; blocks, so call it in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = psutil.Process()

    def __call__(self) -> MachineReading:
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(str(_present(self._directory)))
        return MachineReading(
            cpus=os.cpu_count() or 1,
            cpu_pct=psutil.cpu_percent(),
            process_cpu_pct=self._process.cpu_percent(),
            load=os.getloadavg(),
            memory_bytes=memory.total,
            memory_available_bytes=memory.available,
            process_memory_bytes=self._process.memory_info().rss,
            disk_bytes=disk.total,
            disk_free_bytes=disk.free,
            disk_used_pct=disk.percent,
            open_files=self._process.num_fds(),
            open_files_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )


class MachineUsage:
    """The newest reading.

    Args:
        read: blocks; called in a thread.
        lag_s: returns the event loop's worst recent delay.
        tell_disk: called with the used part of the disk after each reading, per cent.
    """

    def __init__(
        self,
        *,
        read: Callable[[], MachineReading],
        real_clock: RealClock,
        lag_s: Callable[[], float],
        tell_disk: Callable[[float], None],
    ) -> None:
        self._read = read
        self._real_clock = real_clock
        self._lag_s = lag_s
        self._tell_disk = tell_disk
        self._newest: tuple[float, MachineReading] | None = None
        self._failing = False

    async def measure(self) -> None:
        """Read the machine. A failure is warned of once, and the last numbers stay."""
        try:
            await self._look()
        except (OSError, psutil.Error) as exc:
            if not self._failing:
                self._failing = True
                logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
                    "the machine cannot be read right now"
                )
        else:
            self._failing = False

    async def body(self) -> MachineBody:
        """Return the newest numbers; the first who ask before any reading wait for one."""
        if self._newest is None:
            await self._look()
        assert self._newest is not None  # noqa: S101 - set by `_look`
        at, reading = self._newest
        return _body(reading, lag_s=self._lag_s(), age_s=self._real_clock.monotonic() - at)

    async def _look(self) -> None:
        reading = await asyncio.to_thread(self._read)
        self._newest = (self._real_clock.monotonic(), reading)
        self._tell_disk(reading.disk_used_pct)


def disk_status(used_pct: float) -> DiskStatus:
    if used_pct >= DISK_UNHEALTHY_PCT:
        return "unhealthy"
    return "warning" if used_pct >= DISK_WARNING_PCT else "healthy"


def _body(reading: MachineReading, *, lag_s: float, age_s: float) -> MachineBody:
    used = 1 - reading.memory_available_bytes / reading.memory_bytes
    one, five, fifteen = reading.load
    return {
        "cpu": {
            "count": reading.cpus,
            "used_pct": reading.cpu_pct,
            "process_pct": reading.process_cpu_pct,
            "load_1m": round(one, 2),
            "load_5m": round(five, 2),
            "load_15m": round(fifteen, 2),
        },
        "memory": {
            "total_bytes": reading.memory_bytes,
            "available_bytes": reading.memory_available_bytes,
            "used_pct": round(100 * used, 1),
            "process_bytes": reading.process_memory_bytes,
        },
        "disk": {
            "total_bytes": reading.disk_bytes,
            "free_bytes": reading.disk_free_bytes,
            "used_pct": reading.disk_used_pct,
            "status": disk_status(reading.disk_used_pct),
        },
        "files": {"open": reading.open_files, "limit": reading.open_files_limit},
        "event_loop_lag_s": round(lag_s, 3),
        "age_seconds": round(age_s, 1),
    }


def _present(directory: Path) -> Path:
    """Return `directory`, or the nearest above it that is there."""
    path = directory.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
