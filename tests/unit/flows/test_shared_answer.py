"""However many readers ask, the exchange is asked once."""

import asyncio
from decimal import Decimal

import pytest

from service.domain.errors import ExchangeUnavailable
from service.flows.shared_answer import SharedAnswer
from service.web import keys
from tests.fakes.clock import FakeClock
from tests.unit.web.world import World


class Asked:
    def __init__(self) -> None:
        self.times = 0
        self.fail: ExchangeUnavailable | None = None

    async def __call__(self) -> int:
        self.times += 1
        await asyncio.sleep(0)
        if self.fail is not None:
            raise self.fail
        return self.times


async def test_readers_at_once_share_one_answer() -> None:
    asked, clock = Asked(), FakeClock()
    shared = SharedAnswer(asked, max_age_s=2, seconds=clock.monotonic)

    answers = await asyncio.gather(*[shared.get() for _ in range(40)])

    assert answers == [(1, 0.0)] * 40
    assert asked.times == 1


async def test_an_answer_ages_and_is_asked_for_again() -> None:
    asked, clock = Asked(), FakeClock()
    shared = SharedAnswer(asked, max_age_s=2, seconds=clock.monotonic)
    await shared.get()

    clock.pass_time(1.5)
    aged = await shared.get()
    clock.pass_time(0.5)
    new = await shared.get()

    assert (aged, new) == ((1, 1.5), (2, 0.0))


async def test_readers_share_a_failure_too_and_get_no_old_answer() -> None:
    asked, clock = Asked(), FakeClock()
    shared = SharedAnswer(asked, max_age_s=2, seconds=clock.monotonic)
    await shared.get()
    clock.pass_time(2)
    asked.fail = ExchangeUnavailable("down")

    for _ in range(3):
        with pytest.raises(ExchangeUnavailable):
            await shared.get()
    failed_times, asked.fail = asked.times, None
    clock.pass_time(2)

    assert (failed_times, await shared.get()) == (2, (3, 0.0))


async def test_a_reader_that_gives_up_does_not_take_the_answer_from_the_others() -> None:
    asked, clock = Asked(), FakeClock()
    shared = SharedAnswer(asked, max_age_s=2, seconds=clock.monotonic)
    first, second = (asyncio.create_task(shared.get()) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()

    assert (await second)[1] == 0.0


async def test_the_balances_and_the_open_orders_of_the_api_are_such_answers() -> None:
    world = World()
    app = world.app()
    world.exchange.calls.clear()

    for _ in range(2):
        balances, age_s = await app[keys.BALANCES]()
        await app[keys.EXTERNAL_ORDERS]()

    assert world.exchange.calls == ["balances", "open_orders"]
    assert (balances["KRW"].available, age_s) == (Decimal(10_000_000), 0.0)
