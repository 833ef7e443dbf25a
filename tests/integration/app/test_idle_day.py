"""How much the whole service logs on a market day on which it trades nothing."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from tests.composed import composed
from tests.fakes.logs import Logs

HOURS: Final = 2
A_DAY: Final = 12_000


@pytest.mark.proves("S7.2")
async def test_an_idle_day_logs_at_most_12000_lines(tmp_path: Path, empty_dsn: str) -> None:
    """Two market hours, from after the start on, stand for a day: a twelfth of it.

    Each job's period divides the hour, so a day has twelve times these lines; of cleanup_old_data
    it has one more. Loops by real time log nothing at INFO while there is nothing to do.
    """
    with Logs.captured(level="INFO") as logs:
        async with composed(tmp_path, empty_dsn, speed=Decimal(0)) as service:
            clock = service.services.ports.clock
            await service.change("trading_enabled", value=False)
            await clock.sleep_market(60)
            before, began = len(logs.lines), clock.now()
            await clock.sleep_market(HOURS * 3600)
            lines, took = logs.lines[before:], clock.now() - began

    passes = Counter(line["job"] for line in lines if line["event"] == "job")
    a_day = len(lines) * 24 * 3600 / took.total_seconds()
    assert passes["collect_market_data"] >= HOURS * 360 - 1, "it was a real day's work"
    assert passes["snapshot_equity"] >= HOURS * 60 - 1
    alerts = sum(line["event"] == "alert" for line in lines)
    assert passes["send_alerts"] <= alerts, "only a pass that has done something has a line"
    assert not [line for line in lines if line["event"] == "order"]
    assert a_day <= A_DAY, Counter((line["event"], line["message"]) for line in lines)
