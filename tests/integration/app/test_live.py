"""The whole service hears the sandbox's streams over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.domain.prices import PriceSource
from tests.builders import KRW_BTC
from tests.composed import Composed, composed

PATIENCE_S = 60.0


@pytest.fixture
async def service(tmp_path: Path, dsn: str) -> AsyncIterator[Composed]:
    async with composed(tmp_path, dsn, speed=60) as service:
        yield service


async def control(service: Composed, path: str, body: Any) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{service.exchange_url}/__sandbox__/{path}", json=body) as answer,
    ):
        assert answer.ok, await answer.text()
        return await answer.json() if answer.content_type == "application/json" else None


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - it lies in the service, which has no event for it
            await asyncio.sleep(0.01)


def hears_the_stream(service: Composed) -> bool:
    latest = service.services.live_prices.latest(KRW_BTC)
    return latest is not None and latest.source is PriceSource.STREAM


async def test_prices_and_orders_are_streamed_and_come_again_after_a_reset(
    service: Composed,
) -> None:
    live = service.services.live
    await until(lambda: live.feed.state().connected and live.orders.state().connected)
    await until(lambda: hears_the_stream(service))

    assert await control(service, "stream", {"do": "drop"}) == {"connections": 2}
    await until(lambda: live.feed.state().reconnects == 1 == live.orders.state().reconnects)
    before = live.feed.state().frames
    await until(lambda: live.feed.state().frames > before + 1)

    shown = (await service.get("/api/v1/market/collector/stats"))["streams"]
    assert shown["prices"]["connected"]
    assert (await service.exposed())["trader_stream_connected", "prices"] == 1


async def test_open_orders_are_looked_up_once_the_stream_is_back(service: Composed) -> None:
    """Nothing of the time between is told again. At rest the job comes every five minutes."""
    live, jobs = service.services.live, service.services.jobs
    await until(lambda: live.orders.state().connected)
    before = jobs.state("sync_pending_orders").runs

    await control(service, "stream", {"do": "drop", "side": "private"})
    await until(lambda: live.orders.state().reconnects == 1)

    await until(lambda: jobs.state("sync_pending_orders").runs > before)


async def test_a_lost_stream_is_a_warning_of_the_exchange_and_prices_come_over_rest(
    service: Composed,
) -> None:
    live, health = service.services.live, service.services.health
    await until(lambda: live.feed.state().connected)

    await control(service, "faults", [{"path": "/websocket/v1", "status": 503}])
    await control(service, "stream", {"do": "drop", "side": "public"})
    await until(lambda: health.body()["components"]["upbit_api"]["reason"] == "feed_lost")
    part, whole = health.body()["components"]["upbit_api"], health.body()["status"]
    await until(lambda: not hears_the_stream(service))

    assert (part["status"], whole) == ("warning", "degraded")
    assert service.services.live_prices.latest(KRW_BTC).price > Decimal(0)  # type: ignore[union-attr]  # heard


async def test_a_stream_that_is_open_and_silent_is_opened_again(service: Composed) -> None:
    live = service.services.live
    await until(lambda: hears_the_stream(service))

    await control(service, "stream", {"do": "silence"})
    await until(lambda: live.feed.state().reconnects == 1)
    await control(service, "stream", {"do": "speak"})

    await until(lambda: hears_the_stream(service))
