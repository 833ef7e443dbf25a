"""An answer that comes too late, twice: the same pass still gets it, and nobody is alerted."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import SandboxProgram, Service, until

NAME = "collect_market_data"
SPEED = {"TRADER_SPEED": "60"}
#: Only this job asks for minutes. By the market's time an answer takes 18 s, the period is 10 s.
LATE = {"path": "/v1/candles/minutes/1", "status": 503, "delay_s": 0.3, "times": 2}


def passes(service: Service) -> list[dict[str, Any]]:
    return [line for line in service.lines() if line.get("job") == NAME and "duration_ms" in line]


def job(body: Any) -> dict[str, Any]:
    (found,) = [item for item in body["items"] if item["name"] == NAME]
    return dict(found)


@pytest.mark.proves("S4.2", "FR-007")
async def test_a_pass_that_outlasts_its_period_recovers_without_an_alert(folder: Path) -> None:
    """FR-007, S4.2: retries after 1, 2 and 4 s, also beyond the next grid point."""
    async with SandboxProgram(folder / "x", **SPEED) as sandbox:
        await sandbox.ready()
        async with Service(folder / "s", **sandbox.for_service(), **SPEED) as service:
            await service.ready()

            async def retried() -> list[dict[str, Any]] | None:
                return [line for line in passes(service) if line["attempts"] > 1] or None

            await sandbox.ask("POST", "/__sandbox__/faults", [LATE])
            (slow,) = await until(retried, what="a pass that was tried again")
            await service.until("/api/v1/admin/jobs", lambda body: job(body)["skipped"] >= 3)
            after = job(await service.get("/api/v1/admin/jobs"))
            alerts = await service.all("/api/v1/alerts")

    assert (slow["attempts"], slow["success"]) == (3, True)
    assert after["consecutive_failures"] == 0
    assert [line for line in passes(service) if not line["success"]] == []
    assert [alert for alert in alerts if alert["key"] == f"job:{NAME}"] == []
