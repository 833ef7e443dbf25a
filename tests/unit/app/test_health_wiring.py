"""What the composition root gives the prober: each source must reach the component it is of."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from service.app.keys import (
    BUS,
    CIRCUITS,
    HEALTH_MONITOR,
    LEADERSHIP,
    MAINTENANCE,
    MODEL,
    POOL,
    RUNNER,
    STORE,
    Circuits,
)
from service.app.measures import COUNTERS
from service.app.story import health
from service.bus import Bus
from service.domain.errors import ExchangeUnavailable, ModelUnavailable
from service.flows.circuit_breaker import Circuit
from service.flows.leadership import Leadership
from service.loops.runner import Runner
from service.ops.health.monitor import HealthMonitor
from service.ops.metrics.counters import Counters
from service.ops.metrics.event_loop_lag import LoopLag
from service.settings.settings import Settings
from service.web.keys import CLOCK, CONFIG, EXCHANGE, SETTINGS
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.state import FakeLease, FakeTradingState
from tests.unit.web.world import FakeDatabase, a_config


class Stalls(FakeClock):
    """The process stands still for a while in each pause."""

    async def pause(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        await super().pause(seconds + 6, wake=wake)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def app(clock: FakeClock) -> AsyncIterator[web.Application]:
    """As much of the application as health looks at without being asked."""
    made = web.Application()
    made[CONFIG], made[CLOCK], made[BUS] = a_config(), clock, Bus()
    made[POOL] = cast("Any", FakeDatabase())
    made[EXCHANGE] = FakeExchange()
    made[MODEL] = made[SETTINGS] = cast("Any", object())
    made[RUNNER] = made[MAINTENANCE] = Runner(clock=clock, new_id=lambda: "1")
    made[COUNTERS] = meters = Counters(clock)
    meters.lag = LoopLag(Stalls())
    made[CIRCUITS] = Circuits(
        model=Circuit("the model", error=ModelUnavailable, seconds=clock.monotonic),
        purchases=Circuit("orders", error=ExchangeUnavailable, seconds=clock.monotonic),
    )
    async for _ in health(made):
        yield made


def reasons(health_monitor: HealthMonitor) -> dict[str, str | None]:
    return {name: part["reason"] for name, part in health_monitor.body()["components"].items()}


@pytest.mark.parametrize(
    ("name", "component"), [("model", "gemini_api"), ("purchases", "upbit_api")]
)
async def test_an_open_circuit_shows_on_what_it_leaves_alone(
    app: web.Application, clock: FakeClock, name: str, component: str
) -> None:
    circuit: Circuit = getattr(app[CIRCUITS], name)
    for _ in range(5):
        clock.pass_time(1)
        with pytest.raises(ModelUnavailable), circuit.call():
            raise ModelUnavailable("no answer")
    during = reasons(app[HEALTH_MONITOR])
    clock.pass_time(15)

    assert [name for name, reason in during.items() if reason == "circuit_open"] == [component]
    assert "circuit_open" not in reasons(app[HEALTH_MONITOR]).values()


async def test_trading_is_on_standby_for_the_lease_or_for_open_orders_and_says_which(
    app: web.Application, clock: FakeClock
) -> None:
    """A leader whose orders cannot be looked up does not blame another process."""
    lease, exchange_answers = FakeLease(epoch=None), False

    async def look_up_open_orders() -> None:
        if not exchange_answers:
            raise ExchangeUnavailable("no answer")

    app[STORE] = cast("Any", SimpleNamespace(state=FakeTradingState()))
    app[SETTINGS] = Settings(FakeSettingRows({"trading_enabled": True}), clock)
    app[LEADERSHIP] = Leadership(lease=lease, clock=clock, on_gain=look_up_open_orders)

    async def renewed() -> tuple[str, str | None]:
        await app[LEADERSHIP].renew()
        clock.pass_time(3)
        await app[HEALTH_MONITOR].probe()
        trading = app[HEALTH_MONITOR].body()["trading"]
        return trading["state"], trading["reason"]

    elsewhere = await renewed()
    lease.epoch = 2
    reconciling = await renewed()
    exchange_answers = True
    trading = await renewed()

    assert elsewhere == ("STANDBY", "no_trading_lease")
    assert reconciling == ("STANDBY", "reconciling_open_orders")
    assert trading == ("ACTIVE", None)


async def test_a_late_event_loop_shows_on_the_scheduler(app: web.Application) -> None:
    await app[COUNTERS].lag.measure(stopping=asyncio.Event())

    assert reasons(app[HEALTH_MONITOR])["scheduler"] == "event_loop_lag"
