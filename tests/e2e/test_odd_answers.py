"""One odd value of the exchange costs neither the start nor the others, and stays out of stderr."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import SandboxProgram, Service
from tests.integration.adapters.test_upbit_order_lists import row

CANARY = "777000777"
KRW = {"currency": "KRW", "balance": CANARY, "locked": "0"}
ODD: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "a currency too long for our tables": (
        "/v1/accounts",
        [KRW, {"currency": "X" * 41, "balance": CANARY, "locked": "0"}],
    ),
    "a negative balance": (
        "/v1/accounts",
        [KRW, {"currency": "ODD", "balance": f"-{CANARY}", "locked": "0"}],
    ),
    "an order of the last day of the calendar": (
        "/v1/orders/closed",
        [row(1, identifier="theirs", created_at="9999-12-31T23:59:59+00:00")],
    ),
    "an order of the first days of the calendar": (
        "/v1/orders/closed",
        [row(1, identifier="theirs", created_at="0001-01-03T00:00:00+00:00")],
    ),
    "an order without a readable uuid": (
        "/v1/orders/closed",
        [row(1, identifier="theirs", uuid="e\u0000")],
    ),
}


@pytest.mark.parametrize("name", ODD)
async def test_the_service_starts_and_trades_beside_an_odd_answer_and_tells_no_amount(
    folder: Path, dsn: str, name: str
) -> None:
    """Regression: each start ended with it, or the process never traded."""
    path, answer = ODD[name]
    fault = {"method": "GET", "path": path, "status": 200, "body": json.dumps(answer)}
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        await sandbox.ask("POST", "/__sandbox__/faults", [fault])
        given = sandbox.for_service() | {"DATABASE_URL": dsn}
        async with Service(folder / "s", **given) as service:
            await service.ready()
            status = await service.until(
                "/api/v1/risk/status", lambda body: body["lease"]["may_trade"]
            )
        told = service.stderr() + service.out.read_text()

    assert status["lease"] == {"may_trade": True, "reason": None}
    assert CANARY not in told
    assert "Traceback" not in service.stderr()
