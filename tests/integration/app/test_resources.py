"""What the composition root opens: how it begins without the exchange, and that it is closed."""

import asyncio
import re
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestServer
from aiohttp.web import Application
from pydantic import SecretStr

from service.adapters.clock import SystemClock
from service.app.resources import (
    OpenedDatabase,
    OpenedMarket,
    Upstream,
    open_database,
    open_exchange,
    open_market,
    open_model,
    open_settings,
)
from service.config import Config, Mode
from service.domain.errors import StartError
from service.domain.orders import OrderStatus
from service.domain.trading_states import TradingStatus
from service.flows.looks import ABSENT
from service.ports.clock import MarketClock
from service.settings.table import TRADING_ENABLED
from service.store.database.pool import Pool
from tests.builders import T0, a_config, an_intent
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.integration.app.test_shares import waits_for
from tests.integration.store.seeds import BY_SIGNAL, a_stored_decision, an_allowed, rows, the_epoch

ROOT = Path(__file__).parents[3]
SHARES = re.compile(
    r"The connection pool has (\d+) connections.*?\| the API \| (\d+) \|"
    r".*?\| background jobs \| (\d+) \|",
    re.DOTALL,
)
NOBODY = "http://127.0.0.1:9"  #: nothing listens there


def a_market() -> OpenedMarket:
    clock = FakeClock()
    upstream = Upstream(
        quotation_url=NOBODY,
        exchange_url=NOBODY,
        stream_url="ws://127.0.0.1:9",
        gemini_url=NOBODY,
        access_key="dummy-access",
        secret_key="dummy-secret-of-some-length-1234",
        gemini_key="dummy-gemini",
        paced=True,
    )
    return OpenedMarket(upstream=upstream, clock=clock, speed=1.0, waiting_s=clock.monotonic)


def live(**overrides: Any) -> Config:
    keys = ("upbit_access_key", "upbit_secret_key", "gemini_api_key")
    return a_config(mode=Mode.LIVE, **{name: SecretStr("dummy") for name in keys}, **overrides)


async def test_a_loop_of_a_market_at_full_speed_holds_its_time_back(tmp_path: Path) -> None:
    async with open_market(a_config(data_dir=tmp_path, speed=0)) as market:
        # Made outside of the context: a task made inside would sleep for the loop.
        sleeping = asyncio.create_task(sleep_a_minute(market.clock))
        async with market.loop_context():
            for _ in range(20):
                await asyncio.sleep(0)
            held = sleeping.done()
        await sleeping

    assert not held
    assert (market.speed, market.upstream.paced) == (1.0, False)


async def sleep_a_minute(clock: MarketClock) -> None:
    await clock.sleep_market(60)


async def test_a_real_market_has_real_time_and_waits_by_a_clock_that_is_never_set_back() -> None:
    async with open_market(live()) as market:
        before, waited_s = SystemClock().monotonic(), market.waiting_s()

    assert before <= waited_s <= SystemClock().monotonic()
    assert (market.speed, market.upstream.paced) == (1.0, True)


@pytest.mark.proves("FR-005")
async def test_the_session_to_the_exchange_is_closed_with_what_uses_it() -> None:
    """FR-005: both, of trading and of what only looks."""
    async with open_exchange(a_config(), a_market()) as upbit:
        sessions = [one._client._session for one in (upbit.trading, upbit.watching)]
        were_closed = [session.closed for session in sessions]

    assert (were_closed, [session.closed for session in sessions]) == ([False] * 2, [True] * 2)


async def test_trading_shares_its_limits_but_no_connection_with_what_only_looks() -> None:
    async with open_exchange(a_config(), a_market()) as upbit:
        trading, watching = upbit.trading._client, upbit.watching._client

        assert trading._limiter is watching._limiter
        assert trading._session.connector is not watching._session.connector


async def test_the_kernel_gives_a_request_to_the_exchange_up_long_before_its_order_is() -> None:
    """It sent unacknowledged bytes again for a quarter of an hour: an order of two minutes ago."""
    async with open_exchange(a_config(), a_market()) as upbit, TestServer(Application()) as it:
        used: list[socket.socket] = []
        for one in (upbit.trading, upbit.watching):
            connector = one._client._session.connector
            assert connector is not None
            async with one._client._session.get(it.make_url("/")):
                pass
            [(kept, _)] = next(iter(connector._conns.values()))
            assert kept.transport is not None
            used.append(kept.transport.get_extra_info("socket"))
        dropped_ms = [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) for one in used]

    assert all(0 < after_ms < ABSENT.seconds * 1000 / 2 for after_ms in dropped_ms)


@pytest.mark.proves("FR-005")
async def test_the_client_of_the_model_is_closed_with_what_uses_it() -> None:
    """FR-005."""
    async with open_model(a_market()) as gemini:
        client = gemini._client

    with pytest.raises(RuntimeError, match="closed"):
        client.models.get(model="m")


@pytest.mark.proves("FR-012")
async def test_an_exchange_that_cannot_tell_its_markets_is_a_warning_and_no_failed_start() -> None:
    """FR-012."""
    with Logs.captured() as logs:
        async with open_exchange(a_config(), a_market()):
            pass

    (line,) = [row for row in logs.lines if "asked for its markets" in row["message"]]
    assert (line["level"], line["error"]) == ("WARNING", "ExchangeUnavailable")


@pytest.mark.parametrize(("config", "trades"), [(a_config(), True), (live(), False)])
async def test_play_money_trades_from_the_first_minute_and_real_money_when_somebody_says_so(
    pool: Pool, config: Config, *, trades: bool
) -> None:
    database = cast("OpenedDatabase", SimpleNamespace(pool=pool, api_pool=pool, changes_pool=pool))
    async with open_settings(config, database, FakeClock()) as settings:
        assert await settings.get(TRADING_ENABLED) is trades


async def test_a_database_of_play_money_is_refused_to_real_money(dsn: str) -> None:
    url = {"database_url": SecretStr(dsn)}
    async with open_database(a_config(**url)):
        pass

    with pytest.raises(StartError, match="holds the sandbox mode's orders and cannot serve live"):
        async with open_database(live(**url)):
            pytest.fail("it was opened")


@pytest.mark.proves("FR-012")
async def test_what_becomes_of_an_order_a_halt_and_the_trading_switch_are_alerts(
    dsn: str, pool: Pool
) -> None:
    """FR-012: queued in the transaction that writes them, by what the composition root opens."""
    config = a_config(database_url=SecretStr(dsn))
    async with (
        open_database(config) as database,
        open_settings(config, database, FakeClock()) as settings,
    ):
        decision_id, epoch = await a_stored_decision(pool, an_allowed()), await the_epoch(pool)
        orders, state = database.store.orders, database.store.state
        order = await orders.add(
            an_intent(),
            identifier="uat-1",
            decision_id=decision_id,
            at=T0,
            epoch=epoch,
            **BY_SIGNAL,
        )
        unknown = order.moved_to(OrderStatus.UNKNOWN)
        await orders.advance(unknown, seen=OrderStatus.PENDING, at=T0)
        await state.halt(
            kind=TradingStatus.HALTED, reason="by hand", actor="admin", at=T0, detail={}
        )
        await settings.change({"trading_enabled": False}, by="admin")
        told = await rows(pool, "SELECT title FROM alerts ORDER BY id")

    assert [title for (title,) in told] == [
        "A BUY order for KRW-BTC may or may not be on the book",
        "Trading is halted",
        "Trading is switched off",
    ]


async def asked_once(pool: Pool) -> None:
    async with pool.cursor() as cursor:
        await cursor.execute("SELECT 1")


@pytest.mark.proves("FR-001")
async def test_the_composed_pool_and_its_shares_are_what_the_docs_say(dsn: str) -> None:
    """FR-001: 10 to 20 connections; of these the API has 12 at most, the collecting jobs 3."""
    words = (ROOT / "docs" / "overload.md").read_text(encoding="utf-8")
    said = SHARES.search(words)
    assert said is not None
    whole, of_the_api, of_the_jobs = map(int, said.groups())

    async with open_database(a_config(database_url=SecretStr(dsn))) as database:
        opened = database.pool.state().size
        # So many are lent without a wait, and the next one waits for one of them.
        for pool, number in (
            (database.api_pool, of_the_api),
            (database.jobs_pool, of_the_jobs),
            (database.pool, whole),
        ):
            assert await waits_for(pool, number, asked_once(pool)), number

    assert (opened, whole, of_the_api, of_the_jobs) == (10, 20, 12, 3)
