"""Two services on one database: one trades, both tell the truth, settings reach both."""

from pathlib import Path

import pytest

from service.settings.table import TABLE
from tests.e2e.processes import Program, SandboxProgram, Service


@pytest.mark.proves("S2.2", "S2.edge")
async def test_a_setting_changed_in_one_process_is_read_by_the_other(folder: Path) -> None:
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        data = {"TRADER_DATA_DIR": str(folder / "var")}
        first = Service(folder / "a", **sandbox.for_service(), **data)
        second = Service(folder / "b", **sandbox.for_service(), **data)
        async with first:
            await first.ready()
            async with second:
                await second.ready()
                before = await second.get("/api/v1/config/min_confidence")

                await first.ask("PATCH", "/api/v1/config/min_confidence", body={"value": "0.77"})
                after = await second.until(
                    "/api/v1/config/min_confidence", lambda view: view["value"] == "0.77"
                )

    assert (before["value"], after["value"]) == ("0.6", "0.77")


async def test_the_command_line_changes_a_running_services_settings(folder: Path) -> None:
    data = {"TRADER_DATA_DIR": str(folder / "var")}
    async with Service(folder / "s", **data) as service:
        await service.ready()

        command = Program(folder / "c", "settings", "set", "min_confidence", "0.8", **data).start()
        code = await command.ended()
        view = await service.until(
            "/api/v1/config/min_confidence", lambda view: view["value"] == "0.8"
        )

        changes = await service.get("/api/v1/config/changes")
        kept = Program(folder / "k", "settings", "set", "stop_loss_pct", "5", **data).start()
        await kept.ended()
        listed = Program(folder / "l", "settings", "list", **data).start()
        await listed.ended()

    assert code == 0, command.stderr()
    assert kept.out.read_text() == 'stop_loss_pct: "5" -> "5"  (the default; it is stored now)\n'
    noted = [line for line in listed.out.read_text().splitlines() if "nothing" in line]
    assert len(noted) == sum(not key.in_effect for key in TABLE.values())
    assert command.out.read_text() == 'min_confidence: "0.6" -> "0.8"\n'
    assert view["is_default"] is False
    assert changes["items"][0]["changed_by"].startswith("cli:")


async def test_a_service_follows_the_clock_of_a_sandbox_that_runs_fast(folder: Path) -> None:
    async with SandboxProgram(folder / "x", TRADER_SPEED="600") as sandbox:
        await sandbox.ready()
        async with Service(folder / "s", **sandbox.for_service()) as service:
            await service.ready()
            fills = await service.until(
                "/api/v1/trading/fills", lambda page: {f["side"] for f in page["items"]} >= {"SELL"}
            )

    # A sale comes an hour after its buy: no test waits that long in real time.
    sold, bought = fills["items"][0], fills["items"][-1]
    assert sold["traded_at"] > bought["traded_at"]
    assert [line for line in service.lines() if line["level"] in {"ERROR", "CRITICAL"}] == []


async def test_only_one_of_two_processes_trades_and_the_other_takes_over(folder: Path) -> None:
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        data = {"TRADER_DATA_DIR": str(folder / "var")}
        first = Service(folder / "a", **sandbox.for_service(), **data)
        second = Service(folder / "b", **sandbox.for_service(), **data)
        async with first:
            await first.ready()
            async with second:
                await second.ready()
                standby = await second.until(
                    "/health/detailed", lambda body: body["trading"]["state"] == "STANDBY"
                )
                status, problem = await second.ask(
                    "POST", "/api/v1/signals/generate", body={"market": "KRW-BTC"}
                )

                await first.stop()
                active = await second.until(
                    "/health/detailed", lambda body: body["trading"]["state"] == "ACTIVE"
                )

    assert standby["trading"]["reason"] == "no_trading_lease"
    assert status == 409, problem
    assert active["mode"] == "sandbox"
