"""`trader order` against the real service and the sandbox: place, repeat, refuse, cancel."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service import cli
from tests.composed import Composed, composed
from tests.integration.app.test_orders_by_hand import far_below, on_the_exchange, until


@pytest.fixture
async def service(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Composed]:
    monkeypatch.chdir(tmp_path)
    async with composed(tmp_path, dsn) as service:
        await service.change("disabled_jobs", ["generate_trading_signal"])
        yield service


async def order(service: Composed, *words: str) -> Result:
    url = str(service.client._base_url)
    arguments = ["order", *words, "--url", url]
    # The command blocks its thread until the service, in this one, has answered.
    return await asyncio.to_thread(CliRunner().invoke, cli.app, arguments)


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_an_order_is_placed_once_listed_and_cancelled(service: Composed) -> None:
    asked = await far_below(service)
    words = ("place", "buy", "KRW-BTC", "--price", asked["price"], "--volume", asked["volume"])

    placed = document(await order(service, *words, "--key", "k-1", "--json"))
    again = document(await order(service, *words, "--key", "k-1", "--json"))
    listed = document(await order(service, "list", "--status", "submitted", "--json"))
    shown = document(await order(service, "show", str(placed["id"]), "--json"))
    held = await on_the_exchange(service)
    cancelled = await order(service, "cancel", str(placed["id"]))
    ended = await until(
        service, f"/api/v1/trading/orders/{placed['id']}", lambda row: row["status"] == "CANCELLED"
    )

    assert again["id"] == placed["id"]
    assert held == [shown["exchange_uuid"]]
    assert [row["id"] for row in listed["items"]] == [placed["id"]]
    assert cancelled.exit_code == 0, cancelled.output
    assert ended["executed_volume"] == "0"


async def test_a_rule_that_refuses_is_named_and_no_order_is_made(service: Composed) -> None:
    await service.change("trading_enabled", False)

    refused = await order(service, "place", "buy", "KRW-BTC", "--funds", "50000")
    listed = document(await order(service, "list", "--json"))

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("refused by the rule trading_enabled: ")
    assert listed["items"] == []
