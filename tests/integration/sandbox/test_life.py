"""Faults over the wire, a stop, a kill, a restart; and what makes a start impossible."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.domain.errors import ConfigError, StartError
from service.domain.markets import Market
from service.sandbox.faults import Fault
from service.sandbox.options import SandboxOptions
from service.sandbox.server import Sandbox, open_sandbox, ready_line
from tests.integration.sandbox.client import Client

MARKET_BUY = {"market": "KRW-BTC", "side": "bid", "ord_type": "price", "price": "100000"}
ALONE = """
import asyncio, sys
from pathlib import Path
from service.sandbox.options import SandboxOptions
from service.sandbox.server import open_sandbox, ready_line

async def main():
    async with open_sandbox(SandboxOptions(speed=60, state_dir=Path(sys.argv[1]))) as sandbox:
        print(ready_line(sandbox), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_status_from_the_plan_is_answered_instead_of_executing(client: Client) -> None:
    plan = [{"method": "POST", "path": "/v1/orders", "status": 503, "body": "{}", "times": 1}]
    await client.control("POST", "faults", json=plan)

    spoiled, _ = await client.ask("POST", "/v1/orders")
    served, _ = await client.order(**MARKET_BUY)

    assert (spoiled, served) == (503, 201)
    [counted] = await client.control("GET", "faults")
    assert counted["hit"] == 1


async def test_an_order_dropped_after_executing_is_found_and_one_dropped_before_is_not(
    sandbox: Sandbox, client: Client
) -> None:
    for name, fault in (
        ("lost", Fault(path="/v1/orders", drop_before=True, times=1)),
        ("made", Fault(path="/v1/orders", drop_after=True, times=1)),
    ):
        sandbox.faults.add(fault)
        with pytest.raises(aiohttp.ClientError):
            await client.order(**MARKET_BUY, identifier=name)

    statuses = [
        (await client.ask("GET", "/v1/order", identifier=name))[0] for name in ("lost", "made")
    ]

    assert statuses == [404, 200]


async def test_a_truncated_answer_breaks_off(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add(Fault(path="/v1/ticker", truncate=True))

    with pytest.raises(aiohttp.ClientPayloadError):
        await client.public("/v1/ticker", markets="KRW-BTC")


async def test_a_dripped_answer_comes_whole_however_slowly(
    sandbox: Sandbox, client: Client
) -> None:
    _, at_once = await client.public("/v1/market/all")
    sandbox.faults.add(Fault(path="/v1/market/all", drip_s=0.001))

    status, dripped = await client.public("/v1/market/all")

    assert (status, dripped) == (200, at_once)


async def test_a_careless_error_page_repeats_the_request_with_its_key(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.faults.add(Fault(path="/v1/accounts", status=502, echo=True))
    bearer = client.bearer()

    async with client.session.get(
        client.url + "/v1/accounts", headers={"Authorization": bearer}
    ) as response:
        page = await response.text()

    assert response.status == 502
    assert bearer in page


async def test_an_executed_answer_can_carry_other_headers(sandbox: Sandbox, client: Client) -> None:
    date = "Thu, 01 Jan 2026 00:00:00 GMT"
    sandbox.faults.add(Fault(path="/v1/market/all", headers={"Date": date}))

    async with client.session.get(client.url + "/v1/market/all") as response:
        markets = await response.json()

    assert response.headers["Date"] == date
    assert markets


async def _hits(sandbox: Sandbox) -> AsyncIterator[int]:
    for _ in range(100_000):
        yield sandbox.faults.plan()[0]["hit"]
        await asyncio.sleep(0)


async def test_a_delayed_answer_does_not_hold_up_the_end(session: aiohttp.ClientSession) -> None:
    async with open_sandbox(SandboxOptions()) as sandbox:
        sandbox.faults.add(Fault(delay_s=3600))
        asked = asyncio.create_task(Client(session, sandbox).public("/v1/market/all"))
        async with asyncio.timeout(20):
            await anext(hit async for hit in _hits(sandbox) if hit)

    async with asyncio.timeout(20):
        await asyncio.gather(asked, return_exceptions=True)


async def test_a_web_page_may_not_control_the_sandbox(client: Client) -> None:
    url = client.url + "/__sandbox__/ledger"

    async with client.session.get(url, headers={"Origin": "http://evil.example"}) as response:
        assert response.status == 403


async def test_an_order_is_executed_before_its_answer_is_delayed(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.faults.add(Fault(path="/v1/orders", delay_s=3600, phase="after", times=1))
    asked = asyncio.create_task(client.order(**MARKET_BUY, identifier="late"))
    async with asyncio.timeout(20):
        await anext(hit async for hit in _hits(sandbox) if hit and sandbox.engine.orders)

    status, _ = await client.ask("GET", "/v1/order", identifier="late")

    assert (status, asked.done()) == (200, False)
    asked.cancel()


@pytest.mark.parametrize("body", [b"", b"{}", b'[{"unknown": 1}]', b'[{"status": 7}]'])
async def test_a_plan_that_is_not_understood_is_a_400(client: Client, body: bytes) -> None:
    async with client.session.post(client.url + "/__sandbox__/faults", data=body) as response:
        assert response.status == 400


async def test_the_clock_can_be_followed_and_at_speed_zero_moved(client: Client) -> None:
    before = await client.control("GET", "clock")
    after = await client.control("POST", "clock", json={"advance_s": 60})

    moved = datetime.fromisoformat(after["now"]) - datetime.fromisoformat(before["now"])
    assert moved.total_seconds() == 60
    assert before["speed"] == "0"


async def test_limits_are_enforced_in_real_time_only(session: aiohttp.ClientSession) -> None:
    async def statuses(**options: Any) -> set[int]:
        async with open_sandbox(SandboxOptions(**options)) as sandbox:
            client = Client(session, sandbox)
            return {(await client.public("/v1/market/all"))[0] for _ in range(60)}

    assert 429 in await statuses()
    assert await statuses(speed=Decimal(60)) == {200}
    assert await statuses(rate_limits=False) == {200}


async def test_a_quotation_with_an_origin_is_answered_once_in_ten_seconds(
    session: aiohttp.ClientSession,
) -> None:
    async with open_sandbox(SandboxOptions()) as sandbox:
        url, page = f"{sandbox.upbit_url}/v1/market/all", {"Origin": "http://page.example"}
        answers = [await session.get(url, headers=page) for _ in range(3)]

    # The ten seconds may turn over between two of them.
    assert [answer.status for answer in answers].count(429) >= 1
    assert answers[0].headers["Remaining-Req"].startswith("group=origin;")


async def test_a_restart_keeps_accounts_orders_identifiers_keys_and_time(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    options = SandboxOptions(state_dir=tmp_path, speed=Decimal(60))
    async with open_sandbox(options) as sandbox:
        first = Client(session, sandbox)
        await first.order(**MARKET_BUY, identifier="mine")
        before = await first.control("GET", "ledger")

    async with open_sandbox(options) as sandbox:
        second = Client(session, sandbox)
        after = await second.control("GET", "ledger")
        status, body = await second.order(**MARKET_BUY, identifier="mine")

    assert (first.access, first.secret) == (second.access, second.secret)
    for name in ("opening", "accounts", "orders", "trades"):
        assert after[name] == before[name]
    assert after["now"] > before["now"]
    assert (status, body["error"]["name"]) == (400, "duplicated_identifier")


async def test_a_killed_sandbox_loses_nothing_it_has_answered(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    root = str(Path(__file__).parents[3])

    async def start() -> tuple[asyncio.subprocess.Process, Client]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ALONE, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=root
        )
        assert process.stdout is not None
        line = json.loads(await process.stdout.readline())
        client = Client.__new__(Client)
        client.session, client.url = session, line["upbit_rest"]
        client.access, client.secret = line["access_key"], line["secret_key"]
        return process, client

    async def kill(process: asyncio.subprocess.Process) -> None:
        process.send_signal(signal.SIGKILL)
        await process.communicate()

    async with asyncio.timeout(60):
        process, client = await start()
        for number in range(5):
            assert (await client.order(**MARKET_BUY, identifier=f"n{number}"))[0] == 201
        before = await client.control("GET", "ledger")
        shown = (await client.control("GET", "clock"))["now"]
        await kill(process)
        process, client = await start()
        after = await client.control("GET", "ledger")
        await kill(process)

    assert len(after["trades"]) >= 5
    for name in ("opening", "accounts", "orders", "trades"):
        assert after[name] == before[name]
    assert after["now"] >= shown


def test_the_ready_line_has_the_contract_s_names(sandbox: Sandbox) -> None:
    line = json.loads(ready_line(sandbox))

    assert list(line) == [
        "event",
        "upbit_rest",
        "upbit_ws",
        "gemini",
        "access_key",
        "secret_key",
    ]
    assert line["event"] == "sandbox"


def test_keys_do_not_show_when_a_sandbox_is_printed(sandbox: Sandbox) -> None:
    assert sandbox.secret_key not in repr(sandbox)
    assert sandbox.access_key not in repr(sandbox)


async def test_a_busy_port_is_one_sentence() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with open_sandbox(SandboxOptions(port=port)):
                pass


CANDLE = {
    "market": "KRW-ETH",
    "candle_date_time_utc": "2020-02-20T08:00:00",
    "opening_price": 300_000,
    "high_price": 301_000,
    "low_price": 299_000,
    "trade_price": 300_500,
    "candle_acc_trade_volume": 2.5,
    "unit": 1,
}


async def test_a_candle_file_sets_the_market_and_the_time(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    file = tmp_path / "eth.json"
    file.write_text(json.dumps([CANDLE]))
    options = SandboxOptions(candles=file, markets=(Market("KRW", "ETH"),), speed=Decimal(0))

    async with open_sandbox(options) as sandbox:
        client = Client(session, sandbox)
        now = (await client.control("GET", "clock"))["now"]
        await client.control("POST", "clock", json={"advance_s": 59})
        _, [candle] = await client.public("/v1/candles/minutes/1", market="KRW-ETH")
        _, past = await client.public("/v1/candles/days", market="KRW-ETH", count=100)

    assert now.startswith("2020-02-20T08:00:00")
    assert candle["unit"] == 1
    for name in ("high_price", "low_price", "trade_price", "candle_acc_trade_volume"):
        assert candle[name] == CANDLE[name]
    assert len(past) == 100


async def test_a_file_of_another_market_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "eth.json"
    file.write_text(json.dumps([CANDLE]))

    with pytest.raises(ConfigError, match="holds candles of KRW-ETH"):
        async with open_sandbox(SandboxOptions(candles=file)):
            pass


async def test_time_cannot_be_turned_back_by_an_older_candle_file(tmp_path: Path) -> None:
    file = tmp_path / "eth.json"
    file.write_text(json.dumps([CANDLE]))
    markets = (Market("KRW", "ETH"),)
    async with open_sandbox(SandboxOptions(markets=markets, state_dir=tmp_path / "state")):
        pass

    with pytest.raises(ConfigError, match="time cannot run backwards"):
        async with open_sandbox(
            SandboxOptions(markets=markets, candles=file, state_dir=tmp_path / "state")
        ):
            pass


async def test_a_market_in_other_money_is_refused() -> None:
    with pytest.raises(ConfigError, match="KRW markets only"):
        SandboxOptions(markets=(Market("BTC", "ETH"),))
