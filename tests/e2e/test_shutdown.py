"""Stopping, being killed, and not being able to start: nothing is lost, nothing is left running."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import ROOT, SandboxProgram, Service, WatchedService, postmasters, until

#: the exchange does what it is asked and its answer comes late, or never
LATE = {"method": "POST", "path": "/v1/orders", "delay_s": 1.5, "phase": "after"}
NEVER = {"method": "POST", "path": "/v1/orders", "drop_after": True, "times": 1}
#: the request arrives nowhere: it hangs for as long as any test runs, and then breaks
LOST = {"method": "POST", "path": "/v1/orders", "delay_s": 600, "drop_before": True, "times": 1}


async def orders_at(sandbox: SandboxProgram) -> list[dict[str, Any]]:
    ledger = await sandbox.ask("GET", "/__sandbox__/ledger")
    orders: list[dict[str, Any]] = ledger["orders"]
    return orders


async def an_order_at(sandbox: SandboxProgram) -> list[dict[str, Any]]:
    async def look() -> list[dict[str, Any]] | None:
        return await orders_at(sandbox) or None

    return await until(look, what="an order reaches the exchange")


@pytest.mark.proves("FR-005")
async def test_sigterm_during_an_order_waits_for_it_however_often_it_is_repeated(
    folder: Path,
) -> None:
    """FR-005: every client is closed by the end, too."""
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        await sandbox.ask("POST", "/__sandbox__/faults", [LATE])
        async with WatchedService(folder / "s", **sandbox.for_service()) as service:
            await service.ready()
            await an_order_at(sandbox)

            service.tell(signal.SIGTERM)
            service.tell(signal.SIGTERM)
            code = await service.ended()
        # Before the next start, which writes its own output over this one's.
        left_open = service.left_open()
        stopped = [line for line in service.lines() if line["message"] == "stopped"]

        async with Service(folder / "s", **sandbox.for_service()) as again:
            await again.ready()
            ours = await again.until(
                "/api/v1/trading/orders",
                lambda page: page["items"] and page["items"][-1]["status"] == "EXECUTED",
            )

    assert code == 0
    assert stopped
    assert left_open == []
    assert ours["items"]


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("", ["left open: ClientSession", "left open: TCPConnector"]),
        ("await held[0].close()", []),
        (
            "await held[0].close(); held.append(genai.Client(api_key='k'))",
            ["left open: AsyncHttpxClient", "left open: SyncHttpxClient"],
        ),
    ],
)
def test_a_client_that_is_open_at_the_end_is_said_to_be(ends: str, said: list[str]) -> None:
    """The control for the clients that a stopped service has left open."""
    program = f"""
import asyncio, atexit, aiohttp
from google import genai
from tests.e2e.watched import tell
atexit.register(tell)
held = []
async def main():
    held.append(aiohttp.ClientSession())
    {ends}
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    lines = [line.replace("x2Client", "xClient") for line in ended.stderr.splitlines()]
    assert sorted(line for line in lines if "left" in line) == said


async def test_sigkill_during_an_order_loses_nothing_and_sends_nothing_twice(folder: Path) -> None:
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        await sandbox.ask("POST", "/__sandbox__/faults", [LATE])
        async with Service(folder / "s", **sandbox.for_service()) as service:
            await service.ready()
            (sent,) = await an_order_at(sandbox)
            service.tell(signal.SIGKILL)
            await service.ended()

        await sandbox.ask("DELETE", "/__sandbox__/faults")
        async with Service(folder / "s", **sandbox.for_service()) as service:
            await service.ready()
            page = await service.until(
                "/api/v1/trading/orders",
                lambda page: page["items"] and page["items"][-1]["status"] == "EXECUTED",
            )
            fills = await service.all("/api/v1/trading/fills")
            there = await orders_at(sandbox)

    first = page["items"][-1]
    assert first["identifier"] == sent["identifier"]
    assert [o["identifier"] for o in there].count(sent["identifier"]) == 1
    assert [f for f in fills if f["order_id"] == first["id"]]


@pytest.mark.slow  # a killed owner's lease, and the two minutes an order is searched for
@pytest.mark.timeout(600)
async def test_sigkill_before_an_order_arrives_fails_it_and_trading_goes_on(folder: Path) -> None:
    async with SandboxProgram(folder / "x", TRADER_SPEED="600") as sandbox:
        await sandbox.ready()
        await sandbox.ask("POST", "/__sandbox__/faults", [LOST])

        async def hit() -> bool:
            (fault,) = await sandbox.ask("GET", "/__sandbox__/faults")
            return bool(fault["hit"])

        async with Service(folder / "s", **sandbox.for_service()) as service:
            await service.ready()
            await until(hit, what="an order leaves")
            service.tell(signal.SIGKILL)
            await service.ended()
        assert await orders_at(sandbox) == []

        async with Service(folder / "s", **sandbox.for_service()) as service:
            await service.ready()
            before = await service.all("/api/v1/trading/orders")
            await service.until(
                "/api/v1/trading/orders",
                lambda page: page["items"] and page["items"][0]["status"] == "EXECUTED",
                patience_s=400,
            )
            after = await service.all("/api/v1/trading/orders")
            there = await orders_at(sandbox)

    (lost,) = before
    assert lost["status"] == "PENDING"
    assert (after[-1]["id"], after[-1]["status"]) == (lost["id"], "FAILED")
    assert after[-1]["reason"] == "not_placed"
    # Nothing else was ordered while it was searched for, and it was never sent again.
    assert {o["identifier"] for o in there} == {o["identifier"] for o in after[:-1]}


async def test_an_answer_that_never_comes_is_found_and_not_sent_again(folder: Path) -> None:
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        await sandbox.ask("POST", "/__sandbox__/faults", [NEVER])
        async with Service(folder / "s", **sandbox.for_service()) as service:
            await service.ready()
            page = await service.until(
                "/api/v1/trading/orders",
                lambda page: page["items"] and page["items"][-1]["status"] == "EXECUTED",
            )
            there = await orders_at(sandbox)

    assert [o["identifier"] for o in there] == [o["identifier"] for o in page["items"]]
    assert len(there) == 1


async def test_a_busy_port_is_one_sentence_and_nothing_is_started(folder: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        service = Service(folder, TRADER_PORT=port).start()
        code = await service.ended()

    assert code == 2
    assert service.stderr().strip() == (
        f"Port {port} on 127.0.0.1 is taken by another process:"
        " stop that one, or choose another port with TRADER_PORT"
    )
    assert not (folder / "var").exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}, "127.0.0.1"),
        ({"TRADER_CANDLES": "nowhere.json"}, "nowhere.json"),
        ({"TRADER_SPED": "1"}, "did you mean TRADER_SPEED?"),
        ({"TRADER_MODE": "live"}, "UPBIT_ACCESS_KEY"),
        (
            {
                "TRADER_MODE": "live",
                "UPBIT_ACCESS_KEY": "dummy",
                "UPBIT_SECRET_KEY": "dummy",
                "GEMINI_API_KEY": "dummy",
            },
            "secrets.token_hex(32)",
        ),
    ],
)
async def test_a_start_that_cannot_be_is_a_sentence_with_the_remedy(
    folder: Path, variables: dict[str, str], words: str
) -> None:
    service = Service(folder, **variables).start()

    code = await service.ended()

    assert code == 2
    assert words in service.stderr()
    assert len(service.stderr().strip().splitlines()) == 1, service.stderr()
    assert "hunter2" not in service.stderr() + service.out.read_text()
    assert postmasters(folder) == []


async def test_a_corrupt_data_directory_is_a_sentence_and_is_left_as_it_is(folder: Path) -> None:
    async with Service(folder) as service:
        await service.ready()
        await service.stop()
    control = next((folder / "var").rglob("global/pg_control"))
    control.write_bytes(os.urandom(64))

    service = Service(folder)
    service.err.unlink()
    code = await service.start().ended()

    assert code == 2
    assert len(service.stderr().strip().splitlines()) == 1, service.stderr()
    assert "var" in service.stderr()
    assert postmasters(folder) == []
