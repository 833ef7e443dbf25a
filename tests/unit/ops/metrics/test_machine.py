"""What the machine and this process use: read in a thread, kept, and judged."""

import os
from pathlib import Path

import pytest

from service.ops.metrics.machine import MachineReader, MachineUsage, disk_status
from service.ports.machine import MachineReading
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.unit.ops.facts import a_machine_reading


def a_usage(clock: FakeClock, *readings: MachineReading) -> tuple[MachineUsage, list[float]]:
    told: list[float] = []
    left = iter(readings)
    usage = MachineUsage(
        read=lambda: next(left), real_clock=clock, lag_s=lambda: 0.25, tell_disk=told.append
    )
    return usage, told


async def test_the_numbers_are_kept_and_their_age_is_told() -> None:
    clock = FakeClock()
    usage, told = a_usage(clock, a_machine_reading())
    await usage.measure()
    clock.pass_time(7)

    body = await usage.body()

    assert body == {
        "cpu": {
            "count": 2,
            "used_pct": 12.5,
            "process_pct": 3.5,
            "load_1m": 0.5,
            "load_5m": 0.25,
            "load_15m": 0.12,
        },
        "memory": {
            "total_bytes": 8_000,
            "available_bytes": 6_000,
            "used_pct": 25.0,
            "process_bytes": 1_000,
        },
        "disk": {
            "total_bytes": 1_000,
            "free_bytes": 400,
            "used_pct": 60.0,
            "status": "healthy",
        },
        "files": {"open": 40, "limit": 1024},
        "event_loop_lag_s": 0.25,
        "age_seconds": 7.0,
    }
    assert told == [60.0]


async def test_a_machine_that_cannot_be_read_is_warned_of_once_and_its_numbers_stay(
    logs: Logs,
) -> None:
    clock, fails = FakeClock(), [False, True, True, False, True]

    def read() -> MachineReading:
        if fails.pop(0):
            raise OSError("the disk does not answer")
        return a_machine_reading()

    usage = MachineUsage(read=read, real_clock=clock, lag_s=lambda: 0.0, tell_disk=lambda _: None)
    ages = []
    for _ in range(5):
        await usage.measure()
        ages.append((await usage.body())["age_seconds"])
        clock.pass_time(10)

    assert ages == [0, 10, 20, 0, 10]
    assert [line["level"] for line in logs.of("app")] == ["WARNING", "WARNING"]


async def test_before_the_first_reading_a_question_reads_once() -> None:
    usage, told = a_usage(FakeClock(), a_machine_reading())

    assert (await usage.body())["age_seconds"] == 0
    assert (await usage.body())["age_seconds"] == 0
    assert told == [60.0]


@pytest.mark.parametrize(
    ("used_pct", "status"),
    [(69.9, "healthy"), (70, "warning"), (89.9, "warning"), (90, "unhealthy"), (100, "unhealthy")],
)
def test_a_disk_warns_from_seventy_per_cent(used_pct: float, status: str) -> None:
    assert disk_status(used_pct) == status


def test_this_machine_is_read_also_before_its_data_directory_is_made(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w"):
        reading = MachineReader(tmp_path / "not" / "yet")()

    assert reading.cpus == os.cpu_count()
    assert 0 < reading.process_memory_bytes < reading.memory_bytes
    assert 0 < reading.memory_available_bytes < reading.memory_bytes
    assert 0 <= reading.disk_used_pct <= 100
    assert 0 < reading.disk_free_bytes <= reading.disk_bytes
    assert 3 < reading.open_files < reading.open_files_limit
