"""A checkout trades wherever it lies; `.ci/run` tries the other of the two places."""

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, Service


@pytest.fixture
def checkout(folder: Path) -> Path:
    """The program alone: for root at an odd path, for others in a directory closed to all."""
    place = folder / ("my clone é" if os.geteuid() == 0 else "closed")
    for part in ("service", "migrations"):
        shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    place.chmod(0o755 if os.geteuid() == 0 else 0o700)
    return place


@pytest.mark.proves("S1.3")
async def test_a_checkout_at_a_place_hard_to_serve_from_trades(checkout: Path) -> None:
    """Started there as `make run` starts it, with its data beside it."""
    service = Service(
        checkout,
        PYTHONPATH=str(checkout),
        TRADER_DATA_DIR="var",
        TRADER_SPEED="600",
        COVERAGE_PROCESS_CONFIG="",  # the report would look for sources that are gone by then
    )
    async with service:
        await service.ready()
        await service.until("/api/v1/trading/fills", lambda page: page["items"])
        code = await service.stop()

    assert code == 0
    assert (checkout / "var" / "postgres" / "cluster" / "PG_VERSION").is_file()
