"""What a person hears of an outage: once that it is there, once that it is over."""

import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.store.database.dsn import connect, parameters
from tests.e2e.processes import SandboxProgram, Service, until
from tests.fakes.webhook import Webhook, open_webhook

CANARY = "canary-7f3a9e51c04d"
# Prices come by stream, candles do not.
DOWN = {"method": "GET", "path": "/v1/candles/minutes/1", "status": 503}
FAILS = "[sandbox] error: Job collect_market_data fails"
STILL = "[sandbox] error, still: Job collect_market_data fails"
WORKS = "[sandbox] recovered: Job collect_market_data works again"
SWITCHED_OFF = "[sandbox] warning: Trading is switched off"


async def heard(hook: Webhook, title: str) -> None:
    async def look() -> bool:
        return title in hook.titles

    await until(look, what=title)


@pytest.mark.proves("S4.3")
async def test_an_outage_reaches_the_webhook_once_and_so_does_its_end(folder: Path) -> None:
    async with open_webhook() as hook, SandboxProgram(folder / "x", TRADER_SPEED="60") as sandbox:
        await sandbox.ready()
        urls = {"TRADER_ALERT_URLS": f"{hook.address}{CANARY}"}
        async with Service(folder / "s", **sandbox.for_service(), **urls) as service:
            await service.ready()
            await sandbox.ask("POST", "/__sandbox__/faults", [DOWN])
            await heard(hook, FAILS)
            await sandbox.ask("DELETE", "/__sandbox__/faults")
            await heard(hook, WORKS)
            alerts = await service.all("/api/v1/alerts")

            # The last one is made in the moment of the stop, and sent before the end.
            await service.ask("PATCH", "/api/v1/config/trading_enabled", body={"value": False})
            code = await service.stop()

    ours = [alert for alert in alerts if alert["key"] == "job:collect_market_data"]
    given_up, *_ = (
        line
        for line in service.lines()
        if line["level"] == "ERROR" and line.get("job") == "collect_market_data"
    )
    assert code == 0
    assert (given_up["success"], given_up["error"]) == (False, "ExchangeUnavailable")
    assert given_up["code"] == "http_503"
    assert given_up["attempts"] >= 1
    assert given_up["run_id"]
    assert hook.titles.count(FAILS) == hook.titles.count(WORKS) == 1
    assert hook.titles.index(FAILS) < hook.titles.index(WORKS)
    assert SWITCHED_OFF in hook.titles
    assert [alert["kind"] for alert in ours] == ["RECOVERY", "PROBLEM"]
    assert ours[1]["state"] == "SENT"
    assert ours[1]["recovered_at"] is not None
    assert CANARY not in service.out.read_text() + service.stderr()


async def test_a_problem_that_stands_outlives_a_kill_and_is_told_until_it_is_acknowledged(
    folder: Path, empty_dsn: str
) -> None:
    async def tell_again() -> None:
        """Stand for fifteen minutes of real time."""
        with closing(connect(parameters(empty_dsn))) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE alerts SET tell_again_at = now() WHERE tell_again_at > now()")
            connection.commit()

    def is_sent(page: Any) -> bool:
        return any(
            one["key"] == "job:collect_market_data" and one["state"] == "SENT"
            for one in page["items"]
        )

    async with open_webhook() as hook, SandboxProgram(folder / "x", TRADER_SPEED="60") as sandbox:
        await sandbox.ready()
        variables = sandbox.for_service() | {
            "DATABASE_URL": empty_dsn, "TRADER_ALERT_URLS": hook.address,
        }  # fmt: skip
        async with Service(folder / "s", **variables) as service:
            await service.ready()
            await sandbox.ask("POST", "/__sandbox__/faults", [DOWN])
            await heard(hook, FAILS)
            await service.until("/api/v1/alerts", is_sent)
            service.tell(signal.SIGKILL)
            await service.ended()
        await tell_again()
        async with Service(folder / "t", **variables) as service:
            await service.ready()
            await heard(hook, STILL)
            alerts = await service.all("/api/v1/alerts")
            (told,) = [one for one in alerts if one["key"] == "job:collect_market_data"]
            status, _ = await service.ask("POST", f"/api/v1/alerts/{told['id']}/acknowledge")
            await tell_again()
            before = hook.titles.count(STILL)
            await sandbox.ask("DELETE", "/__sandbox__/faults")
            await heard(hook, WORKS)

    assert (told["told_again"], status) == (1, 200)
    assert hook.titles.count(STILL) == before == 1


async def test_a_wrong_address_stops_the_start_before_anything_is_started(folder: Path) -> None:
    service = Service(folder, TRADER_ALERT_URLS=f"foo://{CANARY}").start()

    code = await service.ended()

    assert code == 2
    assert "TRADER_ALERT_URLS: of its 1 address(es) number 1 cannot be used" in service.stderr()
    assert CANARY not in service.stderr() + service.out.read_text()
    assert not (folder / "var").exists()
