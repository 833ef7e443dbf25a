"""What the stream tells of our orders is looked up at once, and after each gap all of them are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.domain.errors import BoundaryError, ExchangeUnavailable, StoreDown
from service.flows.live_orders import LiveOrders
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.fakes.streams import FakeConnection, FakeStreams


class Followed:
    def __init__(self) -> None:
        self.clock, self.streams = FakeClock(), FakeStreams()
        self.stopping = asyncio.Event()
        self.looked: list[str] = []
        self.failure: BoundaryError | None = None
        self.leads = True
        self.live = LiveOrders(
            streams=self.streams, look=self._look, look_at_all=lambda: self.looked.append("all"),
            real_clock=self.clock, leads=lambda: self.leads,
        )  # fmt: skip

    async def _look(self, identifier: str) -> None:
        self.looked.append(identifier)
        if self.failure is not None:
            raise self.failure

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FakeConnection]:
        self.streams.is_open.clear()
        self.step = asyncio.create_task(self.live.step(self.stopping))
        try:
            await self.streams.is_open.wait()
            await self.turn()
            yield self.streams.opened[-1]
        finally:
            self.stopping.set()
            self.streams.opened[-1].tell()  # wakes it up
            await self.step
            self.stopping.clear()

    async def turn(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
def followed() -> Followed:
    return Followed()


async def test_news_of_an_order_of_ours_has_it_looked_up_at_once(followed: Followed) -> None:
    async with followed.open() as connection:
        connection.tell("uat-1", "someone-elses", "uat-2")
        await followed.turn()

        assert followed.looked == ["all", "uat-1", "uat-2"]


async def test_each_connection_has_all_open_orders_looked_up(followed: Followed) -> None:
    """What happened between two connections is not told by either."""
    async with followed.open() as connection:
        connection.lose()
        await followed.step
    followed.clock.pass_time(1)
    async with followed.open():
        pass

    assert followed.looked == ["all", "all"]
    assert followed.live.state().reconnects == 1


@pytest.mark.parametrize(
    "failure", [ExchangeUnavailable("no", code="timeout"), StoreDown("no answer")]
)
async def test_a_look_up_that_fails_is_left_to_the_next_look_at_all_and_costs_no_news(
    followed: Followed, failure: BoundaryError, logs: Logs
) -> None:
    async with followed.open() as connection:
        followed.failure = failure
        connection.tell("uat-1", "uat-2")
        await followed.turn()

        assert followed.looked == ["all", "uat-1", "all", "uat-2", "all"]
    assert {line["level"] for line in logs.lines} == {"WARNING"}


async def test_a_process_that_may_not_trade_follows_no_orders(followed: Followed) -> None:
    followed.leads = False

    await followed.live.step(followed.stopping)

    assert followed.streams.opened == []


async def test_what_an_event_loop_that_was_busy_has_missed_is_still_told(
    followed: Followed,
) -> None:
    async with followed.open() as connection:
        for n in range(500):
            connection.tell(f"uat-{n}")
        connection.lose()
        await followed.step

    assert followed.looked[1:501] == [f"uat-{n}" for n in range(500)]
