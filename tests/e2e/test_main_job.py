"""From market to fill, as an operator sees it: one program, asked over HTTP."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.processes import Service

OPENING_KRW = Decimal(10_000_000)
FAST = {"TRADER_SPEED": "600"}
AT_ONCE = ("/health", "/health/ready", "/health/detailed", "/")


async def test_a_fresh_start_collects_signals_orders_and_fills_and_the_money_adds_up(
    folder: Path,
) -> None:
    async with Service(folder, **FAST) as service:
        await service.ready()

        await service.until(
            "/api/v1/trading/fills", lambda page: {f["side"] for f in page["items"]} >= {"SELL"}
        )
        await service.ask("PATCH", "/api/v1/config/trading_enabled", body={"value": False})
        orders = await service.until(
            "/api/v1/trading/orders",
            lambda page: {o["status"] for o in page["items"]} == {"EXECUTED"},
        )
        fills = await service.all("/api/v1/trading/fills")
        signals = await service.all("/api/v1/signals")
        worth = await service.until(
            "/api/v1/portfolio/summary", lambda told: (told["at"] or "") > fills[0]["recorded_at"]
        )
        balances = await service.get("/api/v1/trading/balance")
        history = await service.get("/api/v1/market/history?limit=500")

    krw = OPENING_KRW
    for fill in fills:
        sign = 1 if fill["side"] == "BUY" else -1
        krw -= sign * Decimal(fill["funds"]) + Decimal(fill["fee"])
    total = {b["currency"]: Decimal(b["total"]) for b in balances["items"]}
    assert history["items"]
    assert {s["action"] for s in signals} >= {"BUY", "SELL"}
    assert {f["order_id"] for f in fills} == {o["id"] for o in orders["items"]}
    assert total["KRW"] == krw
    coins = total.get("BTC", Decimal(0))
    worths = {krw + coins * Decimal(row["price"]) for row in history["items"]}
    assert Decimal(worth["equity"]) in worths


@pytest.mark.proves("FR-009")
async def test_the_log_is_json_to_the_last_line_and_every_job_reports(folder: Path) -> None:
    async with Service(folder, **FAST) as service:
        await service.ready()
        await service.until("/api/v1/trading/orders", lambda page: page["items"])
        code = await service.stop()

    lines = service.lines()
    events = {line["event"] for line in lines}
    first = lines[0]["seq"]
    assert code == 0
    assert events >= {"job", "ai", "signal", "risk", "order", "http", "app"}
    assert [line["seq"] for line in lines] == list(range(first, first + len(lines)))
    assert {line["mode"] for line in lines} == {"sandbox"}


async def test_a_second_start_goes_on_where_the_first_one_stopped(folder: Path) -> None:
    async with Service(folder, **FAST) as service:
        await service.ready()
        await service.until("/api/v1/trading/fills", lambda page: page["items"])
        await service.stop()

    async with Service(folder, **FAST) as service:
        await service.ready()
        orders = await service.all("/api/v1/trading/orders")
        await service.until(
            "/api/v1/trading/orders",
            lambda page: page["items"] and page["items"][0]["id"] > orders[0]["id"],
        )
        times = [o["created_at"] for o in await service.all("/api/v1/trading/orders")]

    assert times == sorted(times, reverse=True), "the market's time never runs backwards"


async def test_two_copies_run_beside_each_other(folder: Path) -> None:
    first, second = Service(folder / "a", **FAST), Service(folder / "b", **FAST)

    async with first, second:
        await first.ready()
        await second.ready()

        for service in (first, second):
            await service.until("/api/v1/trading/fills", lambda page: page["items"])


@pytest.mark.proves("S1.3", "S5.1", "FR-008", "SC-005")
async def test_health_and_the_page_answer_as_soon_as_the_port_is_open(folder: Path) -> None:
    async with Service(folder) as service:
        await service.ready()

        async with aiohttp.ClientSession(service.address) as session, asyncio.TaskGroup() as group:
            asked = [group.create_task(status(session, path)) for path in AT_ONCE]
        body = await service.get("/health/detailed")

    assert [task.result() for task in asked] == [200] * len(AT_ONCE)
    assert body["components"].keys() == {
        "database",
        "upbit_api",
        "gemini_api",
        "scheduler",
        "recent_signal",
        "recent_order",
    }
    # Whatever repeats is watched: a lease nobody renews is as bad as a job that has died.
    assert body["components"]["scheduler"]["jobs"].keys() >= {
        "collect_market_data",
        "generate_trading_signal",
        "sync_pending_orders",
        "leader.renew",
        "leader.settle",
        "settings.listen",
    }


async def status(session: aiohttp.ClientSession, path: str) -> int:
    async with session.get(path) as answer:
        return answer.status


async def test_at_full_speed_hours_of_trading_pass_in_seconds_and_the_stop_is_clean(
    folder: Path,
) -> None:
    async with Service(folder, TRADER_SPEED="0") as service:
        await service.ready()
        await service.until("/api/v1/signals", lambda page: len(page["items"]) >= 8)
        await service.until(
            "/api/v1/trading/fills", lambda page: {f["side"] for f in page["items"]} >= {"SELL"}
        )
        await service.ask("PATCH", "/api/v1/config/trading_enabled", body={"value": False})
        signals = await service.all("/api/v1/signals")
        orders = await service.all("/api/v1/trading/orders")
        code = await service.stop()

    times = [datetime.fromisoformat(signal["created_at"]) for signal in reversed(signals)]
    assert code == 0
    # Time stands still while anybody works: the grid is exact, however slow the machine is.
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=30)}
    assert {order["status"] for order in orders} == {"EXECUTED"}
    assert [line for line in service.lines() if line["level"] in {"ERROR", "CRITICAL"}] == []
    assert service.lines()[-1]["message"] == "stopped"
