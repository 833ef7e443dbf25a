"""The settings cache over an hour of the whole service's own reads, as the operator sees it."""

from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from tests.composed import composed

HOUR_S: Final = 3600
CHANGES: Final = 6
STATISTICS: Final = "/api/v1/metrics/cache"


@pytest.mark.proves("S2.3", "SC-002")
async def test_of_the_services_own_reads_95_in_100_are_hits_and_while_settings_change_as_well(
    tmp_path: Path, empty_dsn: str
) -> None:
    """Two hours: the first from the start on and nobody asks for anything, one with six changes.

    The clock jumps from one due job to the next, which makes an hour seconds. The TTL of 3600
    real seconds does not end in them, nor would it within a real hour. What repeats by real time
    (health, alerts) reads less often here than in an hour, and each key is loaded all the same.
    """
    async with composed(tmp_path, empty_dsn, speed=Decimal(0)) as service:
        await service.services.ports.clock.sleep_market(HOUR_S)
        first = await service.get(STATISTICS)
        jobs = await service.get("/api/v1/admin/jobs")
        for number in range(CHANGES):
            await service.change("min_confidence", f"0.6{number}")
            await service.services.ports.clock.sleep_market(HOUR_S / CHANGES)
        both = await service.get(STATISTICS)

    passes = {job["name"]: job["runs"] for job in jobs["items"]}
    hits, misses = (both[name] - first[name] for name in ("hits", "misses"))
    assert passes["collect_market_data"] >= 350
    assert passes["generate_trading_signal"] >= 2
    assert first["hit_ratio"] == first["hits"] / (first["hits"] + first["misses"])
    assert first["hit_ratio"] >= 0.95
    assert both["invalidations"] >= first["invalidations"] + CHANGES
    assert misses >= 1
    assert hits / (hits + misses) >= 0.95
