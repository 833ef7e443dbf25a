"""Many readers of the account are one question to the exchange."""

import asyncio
from collections.abc import Mapping

import pytest

from service.domain.errors import ExchangeUnavailable
from service.domain.markets import Balance
from service.flows.shown_balances import FRESH_S, ShownBalances
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange


class SlowExchange(FakeExchange):
    """Lets others run before it answers."""

    async def balances(self) -> Mapping[str, Balance]:
        await asyncio.sleep(0)
        return await super().balances()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def exchange() -> SlowExchange:
    return SlowExchange()


@pytest.fixture
def shown(exchange: SlowExchange, clock: FakeClock) -> ShownBalances:
    return ShownBalances(exchange=exchange, real_clock=clock)


async def test_forty_readers_at_once_are_one_question(
    shown: ShownBalances, exchange: SlowExchange
) -> None:
    answers = await asyncio.gather(*(shown.read() for _ in range(40)))

    assert exchange.calls == ["balances"]
    assert {answer.balances["KRW"].available for answer in answers} == {10_000_000}


async def test_an_answer_is_shown_with_its_age_and_asked_for_again_when_it_is_old(
    shown: ShownBalances, exchange: SlowExchange, clock: FakeClock
) -> None:
    first = await shown.read()
    clock.pass_time(FRESH_S - 0.1)
    aged = await shown.read()
    clock.pass_time(0.1)
    fresh = await shown.read()

    assert [first.age_s, aged.age_s, fresh.age_s] == pytest.approx([0.0, FRESH_S - 0.1, 0.0])
    assert exchange.calls == ["balances"] * 2


async def test_a_failure_is_told_to_all_who_waited_and_to_no_one_later(
    shown: ShownBalances, exchange: SlowExchange, clock: FakeClock
) -> None:
    exchange.fail_next("balances", ExchangeUnavailable("no answer"))

    failed = await asyncio.gather(*(shown.read() for _ in range(40)), return_exceptions=True)
    clock.pass_time(0.1)
    later = await shown.read()

    assert {type(one) for one in failed} == {ExchangeUnavailable}
    assert exchange.calls == ["balances"] * 2
    assert later.age_s == 0.0


async def test_a_reader_that_gives_up_does_not_take_the_answer_from_the_others(
    shown: ShownBalances,
) -> None:
    first, second = (asyncio.create_task(shown.read()) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()

    assert (await second).age_s == 0.0
