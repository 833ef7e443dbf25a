"""What the real service answers on a real PostgreSQL has the form that the document says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from service.domain.instants import rfc3339
from service.store.database.pool import Pool
from service.web.contract.roles import READING
from tests.answers import Answers
from tests.api_document import rows
from tests.composed import composed
from tests.integration.store.seeds import a_stored_decision, an_allowed, execute

API: Final = "/api/v1"
ORDERS: Final = f"{API}/trading/orders"
SAFETY_S: Final = 60
KEYS: Final = count(1)
#: Nothing in this service's life fills them.
NEVER_FILLED: Final = {"list_external_orders"}
#: The exchange never gets the next order.
LOST: Final = {"method": "POST", "path": "/v1/orders", "drop_before": True, "times": 1}
SEEDS: Final = """
    INSERT INTO account_differences (currency, expected, actual, since)
    VALUES ('DOGE', 1.5, 0, clock_timestamp());
    INSERT INTO alerts (kind, key, severity, title, body, state, created_at, last_at,
                        next_attempt_at)
    VALUES ('PROBLEM', 'a_test', 'warning', 'A test', 'It is one.', 'PENDING',
            clock_timestamp(), clock_timestamp(), clock_timestamp() + interval '1 day')
"""


@dataclass
class Asked:
    """The service with its answers held against the document."""

    answers: Answers
    exchange_url: str

    async def get(self, path: str, **options: Any) -> Any:
        return await self.answers.ask("GET", path, **options)

    async def post(self, path: str, body: object = None, **headers: str) -> Any:
        return await self.answers.ask("POST", path, json=body or {}, headers=headers)

    async def patch(self, path: str, body: object) -> Any:
        return await self.answers.ask("PATCH", path, json=body)

    async def order(self, **body: str) -> Any:
        whole = {"market": "KRW-BTC", **body}
        return await self.post(ORDERS, whole, **{"Idempotency-Key": f"k-{next(KEYS)}"})


@pytest.fixture
async def service(tmp_path: Path, dsn: str, pool: Pool) -> AsyncIterator[Asked]:
    async with composed(tmp_path, dsn, speed=Decimal(20)) as one:
        await execute(pool, SEEDS)
        await a_stored_decision(pool, an_allowed())
        yield Asked(Answers(one.client), one.exchange_url)


async def filled(service: Asked, path: str) -> Any:
    """Return the answer once its list has an item."""
    async with asyncio.timeout(SAFETY_S):
        while not (body := await service.get(path))["items"]:
            pass
    return body


async def trade(service: Asked) -> int:
    """Buy, leave an order on the book, cancel it, ask for a signal; return an order's id."""
    await service.patch(f"{API}/config", {"disabled_jobs": ["generate_trading_signal"]})
    await service.patch(f"{API}/config/signal_cooldown_minutes", {"value": 1})
    price = Decimal((await service.get(f"{API}/market/latest"))["price"])
    low = (price / 2 // 10_000) * 10_000
    volume = (Decimal(20_000) / low).quantize(Decimal("0.00000001"))
    resting = await service.order(side="BUY", type="LIMIT", price=f"{low:f}", volume=f"{volume:f}")
    await service.post(f"{ORDERS}/{resting['id']}/cancel")
    async with asyncio.timeout(SAFETY_S):
        while (await service.get(f"{ORDERS}/{resting['id']}"))["status"] != "CANCELLED":
            pass
    bought = await service.order(side="BUY", type="MARKET", funds="50000")
    await filled(service, f"{API}/trading/fills")
    async with asyncio.timeout(SAFETY_S):
        # The first minute's own signal may have begun the cooldown.
        while "id" not in (signal := await service.post(f"{API}/signals/generate")):
            pass
    await service.get(f"{API}/signals/{signal['id']}")
    judged = (await service.get(f"{API}/signals"))["items"][-1]["id"]
    assert (await service.get(f"{API}/signals/{judged}"))["checks"]
    await service.post(f"{ORDERS}/sync")
    return int(bought["id"])


async def lose(service: Asked) -> None:
    """Lose an order on its way, and declare it as never placed once it is old enough."""
    async with (
        aiohttp.ClientSession(service.exchange_url) as control,
        control.post("/__sandbox__/faults", json=[LOST]) as answer,
    ):
        assert answer.ok, await answer.text()
    lost = await service.order(side="BUY", type="MARKET", funds="50000")
    assert lost["status"] == "UNKNOWN"
    async with asyncio.timeout(SAFETY_S):
        while "id" not in await service.post(f"{ORDERS}/{lost['id']}/not-placed"):
            pass


async def govern(service: Asked) -> None:
    """Halt, resume, flatten, tell of a deposit, acknowledge an alert, run jobs."""
    for job in ("snapshot_equity", "collect_market_data"):
        await service.post(f"{API}/admin/jobs/{job}/run")
    at = rfc3339(await _now(service))
    deposit = {"currency": "KRW", "amount": "1000", "at": at, "note": "a test"}
    await service.post(f"{API}/portfolio/deposits", deposit)
    alert = (await filled(service, f"{API}/alerts"))["items"][-1]["id"]
    await service.get(f"{API}/alerts/{alert}")
    await service.post(f"{API}/alerts/{alert}/acknowledge")
    await service.post(f"{API}/config/reset", {"keys": ["min_confidence"]})
    await service.post(f"{API}/risk/halt", {"reason": "a test"})
    await service.get(f"{API}/risk/status")
    await service.post(f"{API}/risk/resume")
    await service.post(f"{API}/risk/flatten", {"markets": None, "confirm": "FLATTEN"})


async def _now(service: Asked) -> datetime:
    body = await service.get(f"{API}/dashboard/summary")
    return datetime.fromisoformat(body["time"]) - timedelta(minutes=1)


async def look(service: Asked, order: int) -> None:
    """Ask every route that reads, lists until they have an item."""
    names = {"id": str(order), "key": "min_confidence"}
    for row in rows():
        if row.method not in READING or row.path.endswith(("signals/{id}", "alerts/{id}")):
            continue
        path = row.path.format(**names)
        body = await service.get(path)
        if isinstance(body, dict) and body.get("items") == [] and row.name not in NEVER_FILLED:
            await filled(service, path)


async def refused(service: Asked) -> None:
    """Ask for what is not there and what is malformed."""
    await service.get(f"{ORDERS}/999999")
    await service.get(f"{ORDERS}?cursor=x")
    await service.get(f"{ORDERS}?limit=0")
    await service.get(f"{API}/config/no_such_setting")
    await service.get(f"{API}/market?market=KRW-NO")
    await service.get(f"{API}/portfolio/daily?market=KRW-BTC")
    await service.patch(f"{API}/config", {"min_confidence": 7})
    await service.order(side="BUY", type="MARKET", funds="900000000000")
    await service.post(f"{API}/risk/halt", {})
    tag = {"If-None-Match": "*"}
    assert await service.get(f"{API}/config", headers=tag) is None


@pytest.mark.timeout(240)
async def test_every_route_answers_as_the_document_says(service: Asked) -> None:
    """To the field: a name that the document lacks fails as one does that the answer lacks."""
    order = await trade(service)
    await lose(service)
    await govern(service)
    await look(service, order)
    await refused(service)

    seen = service.answers.seen
    done = {name for name, status in seen if status < 300}
    assert {row.name for row in rows()} == done
    lists = {row.name for row in rows() if row.name.startswith("list_")}
    assert lists - service.answers.filled == NEVER_FILLED
    assert {status for _, status in seen} >= {200, 201, 202, 304, 400, 404, 409, 422}
