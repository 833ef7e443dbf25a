"""Jobs of a running service: listed, run by hand, switched off, and refused on a standby."""

from pathlib import Path
from typing import Any

from tests.e2e.processes import Program, SandboxProgram, Service

JOBS = "/api/v1/admin/jobs"


def job(body: Any, name: str) -> dict[str, Any]:
    (found,) = [item for item in body["items"] if item["name"] == name]
    return dict(found)


def has_run(body: Any, name: str, *, times: int) -> bool:
    """Whether the passes are over and the next is planned: it is, an instant after the count."""
    found = job(body, name)
    return found["runs"] == times and found["next_run_at"] is not None


async def test_a_job_is_run_by_the_command_line_and_switched_off_by_a_setting(folder: Path) -> None:
    async with Service(folder / "s") as service:
        await service.ready()
        name = "generate_trading_signal"
        await service.ask("PATCH", "/api/v1/config/signal_cooldown_minutes", body={"value": 0})
        before = job(await service.until(JOBS, lambda b: has_run(b, name, times=1)), name)

        run = Program(folder / "r", "jobs", "run", name, "--url", service.address).start()
        ran = await run.ended()
        after = job(await service.until(JOBS, lambda b: has_run(b, name, times=2)), name)
        signals = await service.all("/api/v1/signals")
        await service.ask("PATCH", "/api/v1/config/signal_cooldown_minutes", body={"value": 60})
        soon = Program(folder / "c", "jobs", "run", name, "--url", service.address).start()
        too_soon = await soon.ended()
        status, problem = await service.ask("POST", f"{JOBS}/{name}/run")
        typo = Program(folder / "t", "jobs", "run", "typo", "--url", service.address).start()
        refused = await typo.ended()
        table = Program(folder / "l", "jobs", "list", "--url", service.address).start()
        listed = await table.ended()
        await service.ask(
            "PATCH", "/api/v1/config/disabled_jobs", body={"value": ["collect_market_data"]}
        )
        off = job(
            await service.until(JOBS, lambda b: not job(b, "collect_market_data")["enabled"]),
            "collect_market_data",
        )
        health = await service.get("/health/detailed")

    assert ran == 0, run.stderr()
    assert run.out.read_text() == f"{name}: accepted; starts now\n"
    assert after["next_run_at"] == before["next_run_at"]
    assert [signal["trigger"] for signal in signals] == ["manual", "schedule"]
    assert (too_soon, status, problem["type"]) == (2, 429, "urn:trader:problem:too-soon")
    assert "(429): every traded market had a signal within 60 minutes" in soon.stderr()
    assert refused == 2
    assert "there is no job 'typo'; there is collect_market_data, " in typo.stderr()
    assert listed == 0, table.stderr()
    assert len(table.out.read_text().splitlines()) >= 4
    assert off["next_run_at"] is None
    assert health["components"]["scheduler"]["jobs"]["collect_market_data"]["enabled"] is False
    assert health["components"]["scheduler"]["status"] == "healthy"
    assert [line for line in service.lines() if line["level"] in {"ERROR", "CRITICAL"}] == []


async def test_a_standby_runs_no_job_that_needs_the_lease(folder: Path) -> None:
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        data = {"TRADER_DATA_DIR": str(folder / "var")}
        async with Service(folder / "a", **sandbox.for_service(), **data) as first:
            await first.ready()
            async with Service(folder / "b", **sandbox.for_service(), **data) as second:
                await second.ready()

                status, problem = await second.ask("POST", f"{JOBS}/collect_market_data/run")

    assert status == 409
    assert problem["type"].endswith(":not-leader")
