"""The simulation is only worth what its loop is: the same seed, the same history; dead is dead."""

import asyncio
import random
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from service.domain.orders import OrderType
from tests.builders import T0, an_intent, an_order
from tests.simulation.coverage import STATES, expected
from tests.simulation.fates import FATES
from tests.simulation.history import run
from tests.simulation.invariants import hidden_by
from tests.simulation.loop import MACHINE, NothingLeft, SimulatedLoop
from tests.simulation.machine import Machine
from tests.simulation.runs import lived
from tests.simulation.switches import SWITCHES
from tests.simulation.world import World

PAGE = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
Work = Coroutine[Any, Any, None]


def simulated(main: Callable[[SimulatedLoop], Work]) -> SimulatedLoop:
    loop = SimulatedLoop(random.Random(1))
    try:
        loop.run_until_complete(main(loop))
    finally:
        loop.close()
    return loop


@contextmanager
def in_machine(loop: SimulatedLoop, machine: Machine, work: Work) -> Iterator[None]:
    context = copy_context()
    context.run(MACHINE.set, machine)
    task = loop.create_task(work, context=context)
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    yield
    work.close()


def a_machine() -> Machine:
    return Machine("one", on_death=lambda _: None)


# --- the loop -----------------------------------------------------------------------------------


def test_an_hour_of_sleep_passes_at_once() -> None:
    async def main(_: SimulatedLoop) -> None:
        async with asyncio.timeout(7200):
            await asyncio.sleep(3600)

    assert simulated(main).time() == 3600


def test_a_wait_for_what_never_comes_is_an_error() -> None:
    async def main(_: SimulatedLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingLeft):
        simulated(main)


def test_a_killed_machine_runs_nothing_more_not_even_finally() -> None:
    ran: list[str] = []

    async def work() -> None:
        try:
            ran.append("began")
            await asyncio.sleep(1)
            ran.append("went on")
        finally:
            ran.append("cleaned up")

    async def main(loop: SimulatedLoop) -> None:
        machine = a_machine()
        with in_machine(loop, machine, work()):
            await asyncio.sleep(0.5)
            machine.kill()
            await asyncio.sleep(10)
            assert ran == ["began"]

    simulated(main)


@pytest.mark.parametrize("steps", range(4))
def test_a_kill_comes_between_any_two_awaits(steps: int) -> None:
    taken: list[int] = []

    async def work() -> None:
        for step in range(10):
            taken.append(step)
            await asyncio.sleep(0)

    async def main(loop: SimulatedLoop) -> None:
        machine = a_machine()
        machine.kill_after(steps)
        with in_machine(loop, machine, work()):
            await asyncio.sleep(1)

    simulated(main)
    assert taken == list(range(steps))


def test_a_stopped_machine_goes_on_where_it_stood() -> None:
    at: list[float] = []

    async def work(loop: SimulatedLoop) -> None:
        for _ in range(2):
            await asyncio.sleep(1)
            at.append(loop.time())

    async def main(loop: SimulatedLoop) -> None:
        machine = a_machine()
        with in_machine(loop, machine, work(loop)):
            await asyncio.sleep(0.5)
            machine.stop()
            await asyncio.sleep(4.5)
            assert at == []
            loop.resumed(machine)
            await asyncio.sleep(5)

    simulated(main)
    assert at == [5, 6]


# --- what hides that an order never arrived ------------------------------------------------------


@pytest.fixture
def world() -> Iterator[World]:
    world = World(1)
    yield world
    world.loop.close()


@pytest.mark.parametrize(
    ("moved", "kind", "reason"),
    [
        ((), OrderType.MARKET, None),
        (("KRW",), OrderType.MARKET, None),
        (("BTC", "ETH"), OrderType.MARKET, None),
        (("KRW", "BTC"), OrderType.MARKET, "money and coins moved beside it"),
        (("KRW",), OrderType.LIMIT, None),
        (("BTC",), OrderType.LIMIT, "coins moved beside a limit order"),
        (("BTC",), OrderType.LIMIT_IOC, "coins moved beside a limit order"),
    ],
)
def test_only_what_moved_its_own_market_hides_an_absence(
    world: World, moved: tuple[str, ...], kind: OrderType, reason: str | None
) -> None:
    limit = {"type": kind, "price": Decimal(1), "volume": Decimal(1), "funds": None}
    order = an_order(intent=an_intent(**({} if kind is OrderType.MARKET else limit)))
    before = hidden_by(world, order)
    world.account_books.began_at = T0
    world.deposits.extend((currency, Decimal(1)) for currency in moved)

    assert before == "the books had not begun"
    assert hidden_by(world, order) == reason


def test_a_word_about_an_order_of_the_exchange_breaks_the_history(world: World) -> None:
    world.declared("uat-1")
    fine = list(world.violations)
    world.exchange.accepted["uat-2"] = 0.0
    world.declared("uat-2")

    assert fine == []
    assert len(world.violations) == 1


# --- the histories ------------------------------------------------------------------------------


def test_a_seed_gives_the_same_history_every_time() -> None:
    first, second = ([run(seed, tracing=True) for seed in range(5)] for _ in range(2))

    assert [outcome.trace for outcome in first] == [outcome.trace for outcome in second]
    assert sum(outcome.orders for outcome in first) > 0


def test_some_histories_with_orders_keep_every_invariant() -> None:
    tally = lived(range(40))

    assert tally.broken == {}
    assert tally.orders >= tally.histories


@pytest.mark.parametrize("switch", ["commit after POST", "cancel read as nothing bought"])
def test_a_safeguard_that_is_taken_out_is_missed_and_comes_back(switch: str) -> None:
    assert lived(range(20), switch=switch, first_only=True).broken
    assert not lived(range(3)).broken


# --- the page -----------------------------------------------------------------------------------


def test_the_page_lists_every_fate_and_every_switch() -> None:
    listed = re.findall(r"`([^`]+)`", PAGE.partition("## The fates")[2])

    assert set(FATES) <= set(listed)
    assert set(SWITCHES) <= set(listed)


def test_every_cell_of_the_table_is_of_a_known_state() -> None:
    assert {state for _, state, _ in expected()} <= {str(state) for state in STATES}
