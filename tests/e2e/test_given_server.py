"""DATABASE_URL: a server that is somebody else's, shared, slow, and never ours to stop."""

import asyncio
import json
from collections import Counter
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import psycopg2
import pytest

from service.store.database.dsn import connect, parameters
from tests.e2e.processes import SandboxProgram, Service, postmasters

KEYS = {"UPBIT_ACCESS_KEY": "dummy-access", "UPBIT_SECRET_KEY": "dummy-secret-of-some-length-1234"}
CROWD = 200
POOL = 20
WAITING = 4
BUSY = "The database is busy"


async def test_a_given_server_is_filled_used_and_left_running(folder: Path, empty_dsn: str) -> None:
    async with Service(folder, DATABASE_URL=empty_dsn, TRADER_SPEED="600") as service:
        await service.ready()
        await service.until("/api/v1/trading/fills", lambda page: page["items"])
        own = [path.name for path in (folder / "var").iterdir()]
        servers = postmasters(folder)
        code = await service.stop()

    with closing(connect(parameters(empty_dsn))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) > 0 FROM fills")
        assert cursor.fetchone() == (True,)
    assert code == 0
    assert sorted(own) == ["exits-sandbox.jsonl.lock", "sandbox"]
    assert [pid for pid in servers if pid != service.pid] == []


async def test_two_services_that_start_at_once_on_an_empty_database_trade_once(
    folder: Path, empty_dsn: str
) -> None:
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        variables = sandbox.for_service() | {"DATABASE_URL": empty_dsn}
        async with Service(folder / "a", **variables) as a, Service(folder / "b", **variables) as b:
            await asyncio.gather(a.ready(), b.ready())
            page = await a.until("/api/v1/trading/orders", lambda page: page["items"])
            states = Counter(
                [(await each.get("/health/detailed"))["trading"]["state"] for each in (a, b)]
            )

    assert len(page["items"]) == 1
    assert states == {"ACTIVE": 1, "STANDBY": 1}


async def test_play_money_and_real_money_are_refused_the_same_database(
    folder: Path, empty_dsn: str
) -> None:
    async with Service(folder / "play", DATABASE_URL=empty_dsn) as service:
        await service.ready()
        await service.stop()

    # Nobody listens there: whose database it is must be known before anybody is asked.
    live = {
        "TRADER_MODE": "live",
        "UPBIT_BASE_URL": "http://127.0.0.1:9",
        "GEMINI_BASE_URL": "http://127.0.0.1:9",
        "GEMINI_API_KEY": "dummy-gemini",
        "TRADER_ADMIN_TOKEN": "dummy-token-of-an-admin",
    }
    async with Service(folder / "real", DATABASE_URL=empty_dsn, **live, **KEYS) as real:
        code = await real.ended()

    assert code == 2
    assert real.stderr().strip() == (
        "This database holds the sandbox mode's orders and cannot serve live:"
        " name another one in DATABASE_URL, or another TRADER_DATA_DIR"
    )


@pytest.mark.proves("S1.edge")
async def test_a_crowd_is_served_or_told_to_come_back_and_the_pool_is_whole_again(
    folder: Path, empty_dsn: str
) -> None:
    """S1's edge over HTTP: every connection is taken by questions that wait for a lock."""
    variables = {"DATABASE_URL": empty_dsn, "TRADER_MAX_WAITING": str(WAITING)}
    async with Service(folder, **variables) as service:
        await service.ready()
        with closing(connect(parameters(empty_dsn))) as holder:
            answers = await asyncio.wait_for(_crowd(service, holder), timeout=60)
        whole = await service.until(
            "/api/v1/metrics/pool",
            lambda pool: pool["free"] == pool["size"] and pool["waiting"] == 0,
        )
        after, _ = await service.ask("GET", "/api/v1/trading/fills")

    causes: set[str] = set()
    statuses = Counter(status for status, _, _ in answers)
    assert statuses.keys() == {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}
    assert statuses[HTTPStatus.OK] <= POOL + WAITING
    for status, headers, body in answers:
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            assert headers["Content-Type"] == "application/problem+json"
            causes.add(body["title"])
            assert int(headers["Retry-After"]) >= 1
    assert {BUSY} <= causes <= {BUSY, "The service is busy"}
    assert whole["size"] <= whole["max"] == POOL
    assert after == HTTPStatus.OK
    events = [line for line in service.lines() if line["level"] in {"ERROR", "CRITICAL"}]
    assert [line for line in events if "bug" in line["message"]] == [], json.dumps(events)


async def _crowd(
    service: Service, holder: "psycopg2.extensions.connection"
) -> list[tuple[int, dict[str, str], Any]]:
    """Ask everything at once while the table is locked, and unlock it once the rest is told no."""
    refused = 0
    enough = asyncio.Event()
    with holder.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE fills IN ACCESS EXCLUSIVE MODE")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> tuple[int, dict[str, str], Any]:
            nonlocal refused
            async with session.get(f"{service.address}/api/v1/trading/fills") as answer:
                body = await answer.json(content_type=None)
            refused += answer.status == HTTPStatus.SERVICE_UNAVAILABLE
            if refused >= CROWD - POOL - WAITING:
                enough.set()
            return answer.status, dict(answer.headers), body

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one()) for _ in range(CROWD)]
            await enough.wait()
            with holder.cursor() as cursor:
                cursor.execute("ROLLBACK")
    return [task.result() for task in tasks]
