"""The stream of prices is kept open, and found out when it does not tell what there is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from service.domain.errors import ExchangeUnavailable
from service.domain.markets import Market, Ticker
from service.domain.prices import PriceSource
from service.flows.live_feed import (
    BEHIND_S,
    QUIET_S,
    TOLD_AFTER_S,
    UNHEARD_S,
    LiveFeed,
)
from tests.builders import KRW_BTC, a_ticker, some_live_prices
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.logs import Logs
from tests.fakes.streams import FakeConnection, FakeStreams

KRW_ETH = Market("KRW", "ETH")
PRICE = Decimal(100_000_000)


class CountedExchange(FakeExchange):
    """Attributes: asked: how often for tickers."""

    asked = 0

    async def tickers(self, markets: Sequence[Market]) -> tuple[Ticker, ...]:
        self.asked += 1
        return await super().tickers(markets)


class Watched:
    """A live feed, and what is outside of it."""

    def __init__(self, *markets: Market) -> None:
        self.clock, self.streams = FakeClock(), FakeStreams()
        self.exchange = CountedExchange(clock=self.clock)
        self.exchange.set_price(PRICE, KRW_ETH)
        self.prices = some_live_prices(self.clock)
        self.stopping = asyncio.Event()
        self.leads = True
        self.feed = LiveFeed(
            streams=self.streams, exchange=self.exchange, live_prices=self.prices,
            markets=markets or (KRW_BTC,), real_clock=self.clock, leads=lambda: self.leads,
        )  # fmt: skip

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FakeConnection]:
        """One connection, heard beside the test until the test loses it or stops."""
        self.streams.is_open.clear()
        self.step = asyncio.create_task(self.feed.step(self.stopping))
        try:
            await self.streams.is_open.wait()
            await self.turn()
            yield self.streams.opened[-1]
        finally:
            self.stopping.set()
            self.streams.opened[-1].tell()  # wakes it up
            await self.step
            self.stopping.clear()

    async def tell(self, connection: FakeConnection, *markets: Market) -> None:
        at = self.clock.now()
        connection.tell(*(a_ticker(market=each, price=PRICE, traded_at=at) for each in markets))
        await self.turn()

    async def turn(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def watch(self, seconds: float) -> None:
        """Let `seconds` pass with a look each."""
        for _ in range(int(seconds)):
            self.clock.pass_time(1)
            await self.feed.watch()
            await self.turn()


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def test_what_the_stream_tells_is_heard_as_the_streams(watched: Watched) -> None:
    async with watched.open() as connection:
        await watched.tell(connection, KRW_BTC)

        latest = watched.prices.latest(KRW_BTC)
        assert latest is not None
        assert latest.source is PriceSource.STREAM
        assert watched.feed.state().connected
        assert watched.feed.state().frames == 1
    assert not watched.feed.state().connected


async def test_a_lost_stream_is_opened_again_and_said_once_and_its_return_once(
    watched: Watched, logs: Logs
) -> None:
    for _ in range(3):
        watched.streams.refusals.append(ExchangeUnavailable("no", code="unreachable"))
        watched.clock.pass_time(60)
        await watched.feed.step(watched.stopping)
    watched.clock.pass_time(60)
    async with watched.open() as connection:
        await watched.tell(connection, KRW_BTC)

    assert [line["level"] for line in logs.lines] == ["WARNING", "INFO"]


async def test_attempts_are_further_and_further_apart_up_to_half_a_minute(
    watched: Watched,
) -> None:
    tried: list[int] = []
    for second in range(200):
        watched.streams.refusals = [ExchangeUnavailable("no", code="unreachable")]
        await watched.feed.step(watched.stopping)
        if not watched.streams.refusals:
            tried.append(second)
        watched.clock.pass_time(1)

    gaps = [b - a for a, b in pairwise(tried)]
    assert gaps[:5] == [1, 2, 4, 8, 16]
    assert set(gaps[5:]) == {30}


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        (ExchangeUnavailable("slow", code="too_many_requests", retry_after_s=45), 45),
        (ExchangeUnavailable("stop", code="banned"), 60),
        (ExchangeUnavailable("stop", code="banned", retry_after_s=300), 300),
    ],
)
async def test_a_wait_that_the_exchange_asks_for_is_kept(
    watched: Watched, error: ExchangeUnavailable, wait_s: int
) -> None:
    watched.streams.refusals = [error]
    await watched.feed.step(watched.stopping)

    watched.streams.refusals = [error]
    watched.clock.pass_time(wait_s - 1)
    await watched.feed.step(watched.stopping)
    assert watched.streams.refusals
    watched.clock.pass_time(1)
    await watched.feed.step(watched.stopping)

    assert not watched.streams.refusals


async def test_a_second_block_is_waited_out_twice_as_long(watched: Watched) -> None:
    for _ in range(2):
        watched.streams.refusals = [ExchangeUnavailable("stop", code="banned")]
        watched.clock.pass_time(60)
        await watched.feed.step(watched.stopping)

    watched.streams.refusals = [ExchangeUnavailable("stop", code="banned")]
    watched.clock.pass_time(119)
    await watched.feed.step(watched.stopping)

    assert watched.streams.refusals


async def test_a_standby_opens_no_stream_and_misses_none(watched: Watched) -> None:
    watched.leads = False
    for _ in range(60):
        watched.clock.pass_time(1)
        await watched.feed.step(watched.stopping)

    assert watched.streams.opened == []
    assert not watched.feed.is_lost
    watched.leads = True
    assert not watched.feed.is_lost


async def test_a_stream_is_left_with_the_lease(watched: Watched) -> None:
    async with watched.open() as connection:
        watched.leads = False
        connection.tell(a_ticker())
        await watched.step

        assert not watched.feed.state().connected


async def test_a_stream_that_is_away_for_ten_seconds_is_lost(watched: Watched) -> None:
    watched.clock.pass_time(TOLD_AFTER_S)
    assert not watched.feed.is_lost
    watched.clock.pass_time(1)

    assert watched.feed.is_lost


async def test_a_stream_that_opens_again_and_tells_nothing_stays_lost(watched: Watched) -> None:
    async with watched.open() as connection:
        await watched.tell(connection, KRW_BTC)
    for _ in range(3):
        watched.clock.pass_time(TOLD_AFTER_S / 2)
        async with watched.open():
            pass
    assert watched.feed.is_lost

    async with watched.open() as connection:
        assert watched.feed.is_lost
        await watched.tell(connection, KRW_BTC)

        assert not watched.feed.is_lost


async def test_a_silent_stream_is_found_within_ten_seconds_by_a_trade_that_rest_knows(
    watched: Watched,
) -> None:
    """Pings may be answered all the while: by a proxy, or by a server that lost its feed."""
    async with watched.open() as connection:
        await watched.tell(connection, KRW_BTC)

        await watched.watch(QUIET_S + BEHIND_S + 2)

        assert connection.ended == "it is silent about a trade"


async def test_a_market_without_a_trade_is_quiet_and_no_fault_of_the_stream(
    watched: Watched,
) -> None:
    async with watched.open() as connection:
        await watched.tell(connection, KRW_BTC)
        traded_at = watched.clock.now()

        async def same(markets: Sequence[Market]) -> tuple[Ticker, ...]:
            watched.exchange.asked += 1
            return tuple(a_ticker(market=market, traded_at=traded_at) for market in markets)

        watched.exchange.tickers = same  # type: ignore[method-assign]  # no new trade
        await watched.watch(60)

        assert connection.ended is None
        assert 60 / QUIET_S - 2 <= watched.exchange.asked <= 60 / QUIET_S


async def test_a_stream_that_tells_is_not_held_against_rest(watched: Watched) -> None:
    async with watched.open() as connection:
        for _ in range(30):
            await watched.tell(connection, KRW_BTC)
            await watched.watch(1)

        assert watched.exchange.asked == 0
        assert connection.ended is None


async def test_one_silent_market_beside_a_lively_one_is_found_too() -> None:
    watched = Watched(KRW_BTC, KRW_ETH)
    async with watched.open() as connection:
        await watched.tell(connection, KRW_BTC, KRW_ETH)
        watched.clock.pass_time(1)
        # As `collect_market_data` does for a market whose price is not fresh.
        await watched.prices.ask(watched.exchange, [KRW_ETH])
        for _ in range(int(BEHIND_S) + 1):
            await watched.tell(connection, KRW_BTC)
            await watched.watch(1)

        assert connection.ended == "it is silent about a trade"


async def test_a_market_that_never_spoke_is_warned_about_once_and_shown(logs: Logs) -> None:
    watched = Watched(KRW_BTC, KRW_ETH)
    async with watched.open() as connection:
        for _ in range(int(UNHEARD_S) + 5):
            await watched.tell(connection, KRW_BTC)
            await watched.watch(1)

        assert watched.feed.unheard == {KRW_ETH}
        assert connection.ended is None
        await watched.tell(connection, KRW_ETH)
        await watched.watch(1)
        assert watched.feed.unheard == frozenset()
    assert [line["market"] for line in logs.lines] == ["KRW-ETH"]


async def test_a_stream_that_never_told_a_price_is_given_up(watched: Watched) -> None:
    async with watched.open() as connection:
        await watched.watch(UNHEARD_S)

        assert connection.ended == "it has told no price at all"


async def test_a_market_that_the_exchange_does_not_have_is_not_subscribed_to(logs: Logs) -> None:
    watched = Watched(KRW_BTC, Market("KRW", "GONE"))
    async with watched.open() as connection:
        assert connection.markets == [KRW_BTC]
    assert [line["market"] for line in logs.lines] == ["KRW-GONE"]


async def test_without_an_answer_about_the_markets_all_are_subscribed_to(
    watched: Watched,
) -> None:
    watched.exchange.fail_next("markets", ExchangeUnavailable("no", code="timeout"))
    async with watched.open() as connection:
        assert connection.markets == (KRW_BTC,)


async def test_a_connection_that_lasted_begins_the_waits_anew(watched: Watched) -> None:
    for _ in range(5):
        watched.streams.refusals = [ExchangeUnavailable("no", code="unreachable")]
        watched.clock.pass_time(60)
        await watched.feed.step(watched.stopping)
    watched.clock.pass_time(60)
    async with watched.open() as connection:
        await watched.tell(connection, KRW_BTC)
        watched.clock.pass_time(timedelta(minutes=5).total_seconds())
        connection.lose()
        await watched.step

    watched.clock.pass_time(1)
    async with watched.open():
        assert watched.feed.state().reconnects == 1
