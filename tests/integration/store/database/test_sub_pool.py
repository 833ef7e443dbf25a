"""The API's share of the pool: however much it takes, orders and health keep theirs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from service.domain.errors import StoreBusy, StoreDown
from service.store.database.pool import Pool, SubPool, open_pool
from service.store.queries.lists import PgLists
from service.store.tables.orders import PgOrders
from service.store.tables.settings import PgSettingRows
from tests.builders import KRW_BTC, T0, an_intent
from tests.integration.store.seeds import BY_SIGNAL, a_stored_decision, an_allowed, the_epoch

SAFETY_S = 20
POOL, API = 5, 3


@pytest.fixture
async def whole(dsn: str) -> AsyncIterator[Pool]:
    """It never waits for a place: what it lends, it lends at once."""
    async with open_pool(dsn, minsize=1, maxsize=POOL, max_waiting=0) as opened:
        yield opened


@pytest.fixture
def api(whole: Pool) -> SubPool:
    return whole.sub_pool(API, max_waiting=10, wait_s=SAFETY_S)


@asynccontextmanager
async def held(pool: Pool, number: int) -> AsyncIterator[None]:
    """Hold `number` connections in statements' stead."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            cursor = await stack.enter_async_context(pool.cursor())
            await cursor.execute("SELECT 1")
        yield


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(SAFETY_S):
        while not true():  # noqa: ASYNC110 - the pool has no event to wait for
            await asyncio.sleep(0)


@pytest.mark.proves("S1.edge")
async def test_with_the_apis_share_exhausted_an_order_is_stored_and_health_answers_at_once(
    whole: Pool, api: SubPool
) -> None:
    decision_id, epoch = await a_stored_decision(whole, an_allowed()), await the_epoch(whole)

    async with held(api, API):
        reading = asyncio.get_running_loop().create_task(
            PgLists(api).orders(limit=1, before=None, market=None, status=None)
        )
        await until(lambda: whole.state().waiting == 1)
        order = await PgOrders(whole).add(
            an_intent(), identifier="o-1", decision_id=decision_id, epoch=epoch, at=T0, **BY_SIGNAL
        )
        await whole.ping()
        still_waiting = not reading.done()

    assert order.market == KRW_BTC
    assert still_waiting
    assert [row["id"] for row in json.loads((await reading).items)] == [order.id]


async def test_statements_that_hang_on_a_lock_take_no_more_than_the_share(
    whole: Pool, api: SubPool
) -> None:
    rows = PgSettingRows(whole, changing=api)
    await rows.change(
        {"min_confidence": 1}, defaults={"min_confidence": 0}, by="test", at=T0, request_id=None
    )

    async with (
        asyncio.timeout(SAFETY_S),
        asyncio.TaskGroup() as group,
        whole.transaction() as cursor,  # ends first, and lets the changes through
    ):
        await cursor.execute("SELECT * FROM system_configs FOR UPDATE")
        for number in range(API + 2):
            group.create_task(
                rows.change(
                    {"min_confidence": number},
                    defaults={"min_confidence": 0},
                    by="test",
                    at=T0,
                    request_id=None,
                )
            )
        await until(lambda: whole.state().waiting == 2)
        stored = await rows.load("min_confidence")

    assert stored == (1,)
    assert whole.state().waiting == 0


async def test_a_full_share_refuses_although_the_whole_has_connections(whole: Pool) -> None:
    share = whole.sub_pool(1, max_waiting=0)

    async with held(share, 1):
        with pytest.raises(StoreBusy):
            await share.ping()
        await whole.ping()

    await share.ping()


async def test_a_share_of_a_closed_gate_is_closed(dsn: str) -> None:
    async with open_pool(dsn, minsize=1, maxsize=2) as opened:
        share = opened.sub_pool(1)

    with pytest.raises(StoreDown):
        await share.ping()


async def test_closing_a_share_leaves_the_whole_open(whole: Pool, api: SubPool) -> None:
    await api.close()

    await whole.ping()
