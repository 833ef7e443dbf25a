"""The jobs as the composed service declares them, and how they begin and end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from service.app.jobs import SYNC, jobs, maintenance
from service.bus import OrderMoved
from service.domain.errors import StoreDown
from service.domain.markets import Ticker
from service.domain.orders import OrderStatus, Side
from service.domain.prices import PriceSource
from service.domain.signals import Action
from service.loops.loop import Loop
from service.loops.runner import Runner
from tests.builders import KRW_BTC, a_proposal, a_ticker, an_answer, an_order
from tests.fakes.logs import Logs
from tests.unit.app.house import FailingHistory, House

SAFETY_S = 20
#: As docs/jobs.md says them. `generate_trading_signal` has its setting's default.
PERIODS = {
    "collect_market_data": timedelta(seconds=10),
    "generate_trading_signal": timedelta(minutes=30),
    "check_volatility": timedelta(seconds=30),
    "sync_pending_orders": timedelta(minutes=5),
    "snapshot_equity": timedelta(minutes=1),
    "sweep_orders": timedelta(minutes=5),
    "verify_books": timedelta(hours=24),
    "cleanup_old_data": timedelta(hours=24),
    "send_alerts": timedelta(seconds=2),
}
#: Real time, and nothing an operator waits for; a longer one would be noticed late.
MAINTENANCE = {
    "leader.renew": timedelta(seconds=3),
    "leader.settle": timedelta(seconds=1),
    "prices.check": timedelta(seconds=1),
    "prices.limits": timedelta(seconds=1),
    "feed.prices": timedelta(seconds=1),
    "feed.orders": timedelta(seconds=1),
    "feed.watch": timedelta(seconds=1),
    "trading.state": timedelta(seconds=2),
    "limits.daily_loss": timedelta(seconds=2),
    "trading.cancel_entries": timedelta(seconds=1),
    "trading.flatten": timedelta(seconds=1),
    "exits.store": timedelta(seconds=1),
    "exits.watch": timedelta(seconds=1),
    "protection.sell": timedelta(seconds=1),
    "protection.watch": timedelta(seconds=1),
    "protection.keep": timedelta(seconds=1),
    "protection.ask": timedelta(seconds=1),
    "orders.compare": timedelta(minutes=1),
    "health.probe": timedelta(seconds=1),
    "settings.listen": timedelta(seconds=1),
    "metrics.flush": timedelta(seconds=10),
    "orders.cancel": timedelta(seconds=5),
    "metrics.lag": timedelta(seconds=1),
    "check.clock": timedelta(seconds=5),
    "check.rejections": timedelta(seconds=5),
    "check.machine": timedelta(hours=1),
    "check.key": timedelta(hours=1),
}


async def test_each_job_repeats_as_often_as_the_docs_say() -> None:
    house = House()
    async with house.running() as services:
        declared = {
            loop.name: await loop.every()
            for loop in (*jobs(services), *maintenance(services))
            if loop.is_job
        }

    assert declared == PERIODS


async def test_each_maintenance_loop_repeats_as_often_as_others_rely_on() -> None:
    house = House()
    async with house.running() as services:
        declared = {
            loop.name: await loop.every() for loop in maintenance(services) if not loop.is_job
        }

    assert declared == MAINTENANCE


async def test_the_context_of_the_market_surrounds_each_job_and_nothing_else() -> None:
    entered: list[str] = []

    @asynccontextmanager
    async def loop_context() -> AsyncIterator[None]:
        task = asyncio.current_task()
        entered.append(task.get_name() if task else "")
        yield

    house = House()
    house.loop_context = loop_context
    async with house.running() as services:
        names = [loop.name for loop in jobs(services)]
        await until(lambda: len(entered) >= len(names))

    assert sorted(entered) == sorted(names)


async def test_an_order_in_flight_is_followed_every_two_seconds() -> None:
    house = House()
    async with house.running(with_loops=False) as services:
        (sync,) = [loop for loop in jobs(services) if loop.name == "sync_pending_orders"]
        at_rest = await sync.every()
        house.orders.hold(an_order(status=OrderStatus.SUBMITTED))
        in_flight = await sync.every()

    assert (at_rest, in_flight) == (timedelta(minutes=5), timedelta(seconds=2))


@pytest.mark.parametrize("name", [name for name in PERIODS if name != "send_alerts"])
async def test_a_pass_of_a_standby_asks_nobody_anything(name: str) -> None:
    house = House(epoch=None)
    house.orders.hold(an_order(status=OrderStatus.SUBMITTED))
    async with house.running(with_loops=False) as services:
        await services.leadership.renew()
        await services.leadership.settle()
        (loop,) = [loop for loop in jobs(services) if loop.name == name]

        await loop.step()

    assert loop.needs_lease
    assert house.exchange.calls == []
    assert house.model.asked == []
    assert house.history.months == {}


async def test_an_order_that_is_sent_brings_the_next_look_at_orders_forward() -> None:
    house = House()
    house.model.default = an_answer(proposal=a_proposal(action=Action.HOLD))
    async with house.running() as services:
        runner = services.jobs
        await until(lambda: looks(runner) == 1)
        await services.bus.publish(
            OrderMoved(
                order_id=1,
                identifier="uat-1",
                market=KRW_BTC,
                side=Side.BUY,
                status=OrderStatus.SUBMITTED,
                executed_volume=Decimal(0),
                reason=None,
            )
        )
        await until(lambda: looks(runner) == 2)

    assert house.exchange.sent == [], "nothing else brought it forward"


async def test_a_jump_is_asked_about_while_the_database_is_away_and_the_lease_has_lapsed() -> None:
    """The limits in force are read by another loop: that one may hang."""
    house = House()
    async with house.running(with_loops=False) as services:
        await services.leadership.renew()
        services.leadership._held_until = 0.0
        house.setting_rows.fail = StoreDown("gone")
        for price in (100, 80):
            services.live_prices.hear(a_price(price), source=PriceSource.STREAM)
        house.exchange.set_price(80)
        steps = {loop.name: loop.step for loop in maintenance(services)}

        await steps["prices.check"]()

    assert "tickers" in house.exchange.calls


async def test_a_job_that_failed_has_not_recovered_by_a_pass_without_the_lease(logs: Logs) -> None:
    house = House(epoch=None)
    async with house.running(with_loops=False) as services:
        runner = services.jobs
        (loop,) = [loop for loop in jobs(services) if loop.name == "collect_market_data"]
        failed = replace(loop, step=partial(fail_and_stop, runner))
        await runner.run(failed)
        runner.stopping.clear()
        await runner.run(replace(loop, step=partial(step_and_stop, runner, loop)))
        failures = runner.state(loop.name).consecutive_failures
        await {one.name: one for one in maintenance(services)}["leader.renew"].step()

        assert "the job has recovered" not in [line["message"] for line in logs.lines]
        assert (failures, runner.state(loop.name).consecutive_failures) == (1, 0)


async def fail_and_stop(runner: Runner) -> None:
    runner.stop()
    raise StoreDown("gone")


async def step_and_stop(runner: Runner, loop: Loop) -> None:
    runner.stop()
    await loop.step()


async def test_the_stream_of_prices_is_kept_while_the_lease_has_only_lapsed() -> None:
    house = House()
    async with house.running(with_loops=False) as services:
        feed, leadership = services.live.feed, services.leadership
        before = feed._leads()
        await leadership.renew()
        leadership._held_until = 0.0
        lapsed = feed._leads()
        house.lease.epoch = None
        await leadership.renew()

        assert (before, lapsed, feed._leads()) == (False, True, False)


async def test_a_standby_that_takes_over_looks_at_open_orders_at_once() -> None:
    house = House(epoch=None)
    house.model.default = an_answer(proposal=a_proposal(action=Action.HOLD))
    async with house.running() as services:
        await until(lambda: looks(services.jobs) == 1)
        steps = {loop.name: loop.step for loop in maintenance(services)}
        house.lease.epoch = 1
        await steps["leader.renew"]()
        await steps["leader.settle"]()
        await until(lambda: looks(services.jobs) == 2)


def a_price(price: int) -> Ticker:
    value = Decimal(price)
    return a_ticker(price=value, low=value, high=value, traded_at=datetime.now(UTC))


def looks(runner: Runner) -> int:
    """Return how often orders were looked at; the loop may not have begun yet."""
    return sum(state.runs for state in runner.states() if state.name == SYNC)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(SAFETY_S):
        while not true():  # noqa: ASYNC110 - the runner tells nobody
            await asyncio.sleep(0)


@pytest.mark.proves("FR-005")
async def test_the_end_waits_for_the_pass_that_runs_and_gives_the_lease_back_after_it() -> None:
    """FR-005: what a pass uses is closed only once it is over."""
    house = House()
    house.market_data.let_go.clear()
    async with house.running():
        await house.market_data.asked.wait()

    assert house.told == ["prices stored", "lease given back"]
    passes = [run for run in house.metrics.runs if run.job == "collect_market_data"]
    assert [run.error for run in passes] == [None], "it has ended well, and that is on record"


@pytest.mark.proves("FR-012")
async def test_months_that_cannot_be_made_at_the_start_are_a_warning_and_no_failure(
    logs: Logs,
) -> None:
    """FR-012."""
    house = House()
    house.history = FailingHistory()

    async with house.running():
        pass

    (line,) = [row for row in logs.lines if "tables of the coming months" in row["message"]]
    assert (line["level"], line["error"]) == ("WARNING", "StoreDown")


@pytest.mark.proves("FR-012")
async def test_a_lease_that_cannot_be_given_back_is_a_warning_and_the_end_goes_on(
    logs: Logs,
) -> None:
    """FR-012."""
    house = House()
    house.lease.fail = StoreDown("PostgreSQL cannot be reached")

    async with house.running():
        await house.market_data.asked.wait()

    (line,) = [row for row in logs.lines if "lease could not be given back" in row["message"]]
    assert (line["level"], line["error"]) == ("WARNING", "StoreDown")
    assert house.metrics.runs, "what was measured is written after it"
