"""Who has which connections: the composition root on a real server, its shares used up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest
from pydantic import SecretStr

from service.app.resources import OpenedDatabase, open_database, open_settings
from service.domain.portfolio import Equity
from service.domain.trading_states import TradingStatus
from service.settings.table import TRADING_ENABLED
from service.store.database.pool import Pool
from tests.builders import KRW_BTC, T0, a_config, a_ticker, an_intent
from tests.fakes.clock import FakeClock
from tests.integration.store.seeds import BY_SIGNAL, a_stored_decision, an_allowed, the_epoch

#: As docs/overload.md has them; written out, so that another number in the service is noticed.
CONNECTIONS: Final = 20
AT_THE_START: Final = 10
OF_THE_API_AT_ONCE: Final = 12
OF_THE_JOBS_AT_ONCE: Final = 3

SAFETY_S: Final = 20
DAY: Final = timedelta(days=1)

#: Whatever the API asks the database, by what it asks.
OF_THE_API: dict[str, Callable[[OpenedDatabase], Awaitable[object]]] = {
    "orders": lambda opened: opened.api.orders.positions(),
    "lists": lambda opened: opened.api.lists.orders(limit=1),
    "audit": lambda opened: opened.api.audit.add(
        actor="a", action="x", subject="s", detail={}, request_id=None, at=T0
    ),
    "portfolio": lambda opened: opened.api.portfolio.summary(quote="KRW", now=T0, days=(1,)),
    # A month of passes takes a second to add up: the heaviest of all.
    "statistics": lambda opened: opened.api.statistics.jobs(since=T0 - 31 * DAY, until=T0),
}
OF_THE_JOBS: dict[str, Callable[[OpenedDatabase], Awaitable[object]]] = {
    "prices": lambda opened: opened.store.collected.add_tickers([a_ticker()], at=T0),
    "snapshots": lambda opened: opened.store.equities.add([an_equity()], at=T0),
    "measures": lambda opened: opened.store.metrics.drop_minutes(before=T0),
    "retention": lambda opened: opened.store.history.add_months("market_data", at=[T0]),
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
async def opened(dsn: str) -> AsyncIterator[OpenedDatabase]:
    async with open_database(a_config(database_url=SecretStr(dsn))) as database:
        yield database


@asynccontextmanager
async def held(pool: Pool, number: int) -> AsyncIterator[None]:
    """Hold `number` connections in hanging statements' stead."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            await stack.enter_async_context(pool.cursor())
        yield


@pytest.mark.proves("S1.3", "FR-001")
async def test_ten_connections_are_open_before_anything_else_is(opened: OpenedDatabase) -> None:
    state = opened.pool.state()

    assert (state.size, state.free, state.max) == (AT_THE_START, AT_THE_START, CONNECTIONS)


@pytest.mark.proves("FR-001")
async def test_twenty_connections_are_lent_and_not_one_more(opened: OpenedDatabase) -> None:
    assert not await waits_for(opened.pool, CONNECTIONS - 1, opened.pool.ping())
    assert opened.pool.state().size == CONNECTIONS
    assert await waits_for(opened.pool, CONNECTIONS, opened.pool.ping())


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
    opened: OpenedDatabase, name: str
) -> None:
    asked, share = OF_THE_API[name], opened.api_pool

    assert not await waits_for(share, OF_THE_API_AT_ONCE - 1, asked(opened))
    assert await waits_for(share, OF_THE_API_AT_ONCE, asked(opened))


@pytest.mark.parametrize("name", OF_THE_JOBS)
async def test_whatever_is_collected_and_measured_waits_for_the_jobs_three(
    opened: OpenedDatabase, name: str
) -> None:
    asked, share = OF_THE_JOBS[name], opened.jobs_pool

    assert not await waits_for(share, OF_THE_JOBS_AT_ONCE - 1, asked(opened))
    assert await waits_for(share, OF_THE_JOBS_AT_ONCE, asked(opened))


async def test_with_the_shares_of_api_and_jobs_used_up_trading_has_four_connections_and_health_one(
    opened: OpenedDatabase,
) -> None:
    pool, store = opened.pool, opened.store
    decision_id, epoch = await a_stored_decision(pool, an_allowed()), await the_epoch(pool)

    async with (
        held(opened.api_pool, OF_THE_API_AT_ONCE),
        held(opened.jobs_pool, OF_THE_JOBS_AT_ONCE),
        held(pool, 3),
    ):
        order = await store.orders.add(
            an_intent(), identifier="o-1", decision_id=decision_id, epoch=epoch, at=T0, **BY_SIGNAL
        )
        async with pool.cursor():
            await opened.pool.ping()

    assert order.market == KRW_BTC
    assert pool.state().waits == 0


@pytest.mark.parametrize("is_on", [True, False])
async def test_readers_who_hold_all_of_the_apis_connections_do_not_keep_the_off_switch_out(
    opened: OpenedDatabase, is_on: bool
) -> None:
    """Changes of settings used the API's twelve: the switch was answered 503 `store-busy`."""
    config, clock = a_config(), FakeClock()
    async with (
        open_settings(config, opened, clock) as settings,
        held(opened.api_pool, OF_THE_API_AT_ONCE),
    ):
        await settings.change({"trading_enabled": is_on}, by="admin")
        stored = await settings.stored(TRADING_ENABLED)

    assert stored is is_on
    assert opened.pool.state().refused == 0


async def test_a_halt_and_its_end_use_no_connection_of_the_apis(opened: OpenedDatabase) -> None:
    async with held(opened.api_pool, OF_THE_API_AT_ONCE):
        await opened.store.audit.add(
            actor="admin", action="risk.halt", subject="x", detail={}, request_id=None, at=T0
        )
        await opened.store.state.halt(
            kind=TradingStatus.HALTED, reason="fire", actor="admin", at=T0, detail={}
        )
        ended = await opened.store.state.release(actor="admin", at=T0)

    assert [halt.reason for halt in ended] == ["fire"]
