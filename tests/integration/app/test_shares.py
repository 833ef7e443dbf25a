"""Who has which connections: the composition root on a real server, its shares used up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest
from aiohttp import web
from pydantic import SecretStr

from service.app.keys import API_POOL, JOBS_POOL, POOL, STORE
from service.app.resources import database
from service.domain.portfolio import Equity
from service.store.database.pool import Pool
from service.web.keys import AUDIT, CONFIG, DATABASE, LISTS, ORDERS, PORTFOLIO, STATISTICS
from tests.builders import KRW_BTC, T0, a_ticker, an_intent
from tests.integration.store.seeds import a_stored_decision, an_allowed, the_epoch
from tests.unit.web.world import a_config

#: As docs/overload.md has them; written out, so that another number in the service is noticed.
CONNECTIONS: Final = 20
AT_THE_START: Final = 10
OF_THE_API_AT_ONCE: Final = 12
OF_THE_JOBS_AT_ONCE: Final = 3

SAFETY_S: Final = 20
DAY: Final = timedelta(days=1)

#: Whatever the API asks the database, by what it asks.
OF_THE_API: dict[str, Callable[[web.Application], Awaitable[object]]] = {
    "orders": lambda app: app[ORDERS].positions(),
    "lists": lambda app: app[LISTS].orders(limit=1),
    "audit": lambda app: app[AUDIT].add(
        actor="a", action="x", subject="s", detail={}, request_id=None, at=T0
    ),
    "portfolio": lambda app: app[PORTFOLIO].summary(quote="KRW", now=T0, days=(1,)),
    # A month of passes takes a second to add up: the heaviest of all.
    "statistics": lambda app: app[STATISTICS].jobs(since=T0 - 31 * DAY, until=T0),
}
OF_THE_JOBS: dict[str, Callable[[web.Application], Awaitable[object]]] = {
    "prices": lambda app: app[STORE].collected.add_tickers([a_ticker()], at=T0),
    "snapshots": lambda app: app[STORE].equities.add([an_equity()], at=T0),
    "measures": lambda app: app[STORE].metrics.drop_minutes(before=T0),
    "retention": lambda app: app[STORE].history.add_months("market_data", at=[T0]),
}


def an_equity() -> Equity:
    nothing = Decimal(0)
    return Equity(
        quote="KRW",
        cash=nothing,
        coins=nothing,
        realised_pnl=nothing,
        unrealised_pnl=nothing,
        fees_paid=nothing,
    )


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[web.Application]:
    made = web.Application()
    made[CONFIG] = a_config(database_url=SecretStr(dsn))
    opened = asynccontextmanager(database)(made)
    async with opened:
        yield made


@asynccontextmanager
async def held(gate: Pool, number: int) -> AsyncIterator[None]:
    """Hold `number` connections in hanging statements' stead."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            await stack.enter_async_context(gate.cursor())
        yield


@pytest.mark.proves("S1.3", "FR-001")
async def test_ten_connections_are_open_before_anything_else_is(app: web.Application) -> None:
    state = app[POOL].state()

    assert (state.size, state.free, state.max) == (AT_THE_START, AT_THE_START, CONNECTIONS)


@pytest.mark.proves("FR-001")
async def test_twenty_connections_are_lent_and_not_one_more(app: web.Application) -> None:
    assert not await waits_for(app[POOL], CONNECTIONS - 1, app[DATABASE].ping())
    assert app[POOL].state().size == CONNECTIONS
    assert await waits_for(app[POOL], CONNECTIONS, app[DATABASE].ping())


async def waits_for(share: Pool, places: int, asked: Awaitable[object]) -> bool:
    """Whether `asked` gets its connection only when one of so many places is free."""
    async with held(share, places):
        asking = asyncio.ensure_future(asked)
        async with asyncio.timeout(SAFETY_S):
            while not asking.done() and share.state().waiting < 1:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0)
        began_early = asking.done()
    await asking
    return not began_early


@pytest.mark.parametrize("name", OF_THE_API)
async def test_whatever_the_api_asks_waits_for_the_apis_twelve(
    app: web.Application, name: str
) -> None:
    asked, share = OF_THE_API[name], app[API_POOL]

    assert not await waits_for(share, OF_THE_API_AT_ONCE - 1, asked(app))
    assert await waits_for(share, OF_THE_API_AT_ONCE, asked(app))


@pytest.mark.parametrize("name", OF_THE_JOBS)
async def test_whatever_is_collected_and_measured_waits_for_the_jobs_three(
    app: web.Application, name: str
) -> None:
    asked, share = OF_THE_JOBS[name], app[JOBS_POOL]

    assert not await waits_for(share, OF_THE_JOBS_AT_ONCE - 1, asked(app))
    assert await waits_for(share, OF_THE_JOBS_AT_ONCE, asked(app))


async def test_with_the_shares_of_api_and_jobs_used_up_trading_has_four_connections_and_health_one(
    app: web.Application,
) -> None:
    gate, store = app[POOL], app[STORE]
    decision_id, epoch = await a_stored_decision(gate, an_allowed()), await the_epoch(gate)

    async with (
        held(app[API_POOL], OF_THE_API_AT_ONCE),
        held(app[JOBS_POOL], OF_THE_JOBS_AT_ONCE),
        held(gate, 3),
    ):
        order = await store.orders.add(
            an_intent(), identifier="o-1", decision_id=decision_id, epoch=epoch, at=T0
        )
        async with gate.cursor():
            await app[DATABASE].ping()

    assert order.market == KRW_BTC
    assert gate.state().waits == 0
