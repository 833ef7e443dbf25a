"""An operator halts the real service: at once, without its database, and beyond a kill -9."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import Service
from tests.faults.proxy import through_a_proxy

RISK = "/api/v1/risk"


async def orders(service: Service) -> list[int]:
    return [row["id"] for row in await service.all("/api/v1/trading/orders")]


async def trades(service: Service) -> None:
    await service.until("/api/v1/trading/fills", lambda page: page["items"])


async def signals_twice_more(service: Service) -> None:
    """Wait until the model was asked twice more: chances for an order."""
    known = len(await service.all("/api/v1/signals"))
    await service.until(
        "/api/v1/signals", lambda page: len(page["items"]) >= known + 2, limit="500"
    )


@pytest.mark.timeout(180)
async def test_a_halt_without_the_database_outlives_a_kill_and_no_order_follows(
    folder: Path, empty_dsn: str
) -> None:
    async with through_a_proxy(empty_dsn) as (proxy, dsn):
        variables: dict[str, str] = {"DATABASE_URL": dsn, "TRADER_SPEED": "600"}
        async with Service(folder, **variables) as service:
            await service.ready()
            await trades(service)
            await proxy.close()
            began = time.monotonic()
            status, halted = await service.ask(
                "POST", f"{RISK}/halt", body={"reason": "fire", "protection": False}
            )
            took_s = time.monotonic() - began
            resumed, problem = await service.ask("POST", f"{RISK}/resume")
            shown = await service.get(f"{RISK}/status")
            service.tell(signal.SIGKILL)
            await service.ended()

        await proxy.start()
        async with Service(folder, **variables) as service:
            await service.ready()
            before = await orders(service)
            risk = await service.get(f"{RISK}/status")
            await signals_twice_more(service)
            after = await orders(service)
            events = await service.all(f"{RISK}/events")
            alerts = await service.all("/api/v1/alerts")
            code, resumed_state = await service.ask("POST", f"{RISK}/resume")
            await service.until("/health/detailed", is_active)

    print(f"halt without the database: answered after {took_s * 1000:.0f} ms")  # noqa: T201
    assert (status, halted["state"], halted["stored"]) == (200, "HALTED", False)
    assert (resumed, problem["type"]) == (503, "urn:trader:problem:store-down")
    assert (shown["state"], shown["limits"]) == ("HALTED", None)
    assert (risk["state"], risk["reason"], risk["stored"]) == ("HALTED", "fire", True)
    assert after == before, "no order was written after the halt"
    assert [(e["event"], e["reason"]) for e in events if e["event"] != "REFUSED"] == [
        ("HALTED", "fire")
    ]
    assert "trading:halted" in [alert["key"] for alert in alerts]
    assert (code, resumed_state["state"]) == (200, "ACTIVE")


def is_active(body: dict[str, Any]) -> bool:
    return bool(body["trading"]["state"] == "ACTIVE")


@pytest.mark.timeout(180)
async def test_flatten_sells_what_is_held_and_leaves_the_service_halted(folder: Path) -> None:
    async with Service(folder, TRADER_SPEED="600") as service:
        await service.ready()
        await service.until(
            "/api/v1/trading/position",
            lambda page: any(float(row["volume"]) > 0 for row in page["items"]),
        )
        refused, _ = await service.ask("POST", f"{RISK}/flatten", body={"markets": None})
        status, begun = await service.ask(
            "POST", f"{RISK}/flatten", body={"markets": None, "confirm": "FLATTEN"}
        )
        ended = await service.until(f"{RISK}/status", lambda body: not body["flatten"]["running"])
        position = await service.get("/api/v1/trading/position")
        code = await service.stop()

    assert refused == 400
    assert (status, begun["state"]) == (202, "HALTED")
    assert {row["status"] for row in ended["flatten"]["markets"]} <= {"FLAT", "DUST"}
    assert ended["state"] == "HALTED"
    assert all(float(row["value"] or 0) < 5_000 for row in position["items"])
    assert code == 0


@pytest.mark.timeout(180)
async def test_a_flatten_that_was_accepted_outlives_a_kill(folder: Path) -> None:
    """It ended with the process: the halt stood, and what was held stayed unsold."""
    async with Service(folder, TRADER_SPEED="600") as service:
        await service.ready()
        await service.until(
            "/api/v1/trading/position",
            lambda page: any(float(row["volume"]) > 0 for row in page["items"]),
        )
        status, _ = await service.ask(
            "POST", f"{RISK}/flatten", body={"markets": None, "confirm": "FLATTEN"}
        )
        service.tell(signal.SIGKILL)
        await service.ended()

    async with Service(folder, TRADER_SPEED="600") as service:
        await service.ready()
        ended = await service.until(
            f"{RISK}/status",
            lambda body: body["flatten"]["markets"] and not body["flatten"]["running"],
        )
        position = await service.get("/api/v1/trading/position")
        await service.stop()

    assert status == 202
    assert {row["status"] for row in ended["flatten"]["markets"]} <= {"FLAT", "DUST"}
    assert ended["state"] == "HALTED"
    assert all(float(row["value"] or 0) < 5_000 for row in position["items"])
