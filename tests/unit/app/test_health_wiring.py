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
    GATE,
    HOUSE,
    LEADERSHIP,
    MODEL,
    PROBER,
    RUNNER,
    STORE,
    Circuits,
)
from service.app.measures import METERS
from service.app.story import health
from service.bus import Bus
from service.domain.errors import ExchangeUnavailable, ModelUnavailable
from service.flows.circuit import Circuit
from service.flows.leadership import Leadership
from service.loops.runner import Runner
from service.ops.health import Prober
from service.ops.lag import LoopLag
from service.ops.meters import Meters
from service.settings.settings import Settings
from service.web.keys import CLOCK, CONFIG, EXCHANGE, SETTINGS
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.state import FakeLease, FakeState
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
    made[GATE] = cast("Any", FakeDatabase())
    made[EXCHANGE] = FakeExchange()
    made[MODEL] = made[SETTINGS] = cast("Any", object())
    made[RUNNER] = made[HOUSE] = Runner(clock=clock, new_id=lambda: "1")
    made[METERS] = meters = Meters(clock)
    meters.lag = LoopLag(Stalls())
    made[CIRCUITS] = Circuits(
        model=Circuit("the model", error=ModelUnavailable, seconds=clock.monotonic),
        purchases=Circuit("orders", error=ExchangeUnavailable, seconds=clock.monotonic),
    )
    async for _ in health(made):
        yield made


def reasons(prober: Prober) -> dict[str, str | None]:
    return {name: part["reason"] for name, part in prober.body()["components"].items()}


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
    during = reasons(app[PROBER])
    clock.pass_time(15)

    assert [name for name, reason in during.items() if reason == "circuit_open"] == [component]
    assert "circuit_open" not in reasons(app[PROBER]).values()


@pytest.mark.proves("FR-010")
async def test_a_hold_of_orders_alone_shows_although_upbit_answers_all_that_health_asks(
    app: web.Application, clock: FakeClock
) -> None:
    """FR-010: no order goes out, and that must not look well."""
    app[STORE] = cast("Any", SimpleNamespace(state=FakeState()))
    app[LEADERSHIP] = cast("Any", SimpleNamespace(standby_reason=None))
    exchange = cast("FakeExchange", app[EXCHANGE])
    for market in app[CONFIG].markets:
        exchange.set_price(1000, market)
    exchange.held = ExchangeUnavailable("wait", code="too_many_requests", sent=False)
    for _ in range(2):
        await app[PROBER].probe()
        clock.pass_time(20)
    during = reasons(app[PROBER])["upbit_api"]
    exchange.held = None
    await app[PROBER].probe()

    assert (during, reasons(app[PROBER])["upbit_api"]) == ("rate_limited", None)


async def test_trading_is_on_standby_for_the_lease_or_for_open_orders_and_says_which(
    app: web.Application, clock: FakeClock
) -> None:
    """A leader whose orders cannot be looked up does not blame another process."""
    lease, exchange_answers = FakeLease(epoch=None), False

    async def look_up_open_orders() -> None:
        if not exchange_answers:
            raise ExchangeUnavailable("no answer")

    app[STORE] = cast("Any", SimpleNamespace(state=FakeState()))
    app[SETTINGS] = Settings(FakeSettingRows({"trading_enabled": True}), clock)
    app[LEADERSHIP] = Leadership(lease=lease, clock=clock, on_gain=look_up_open_orders)

    async def renewed() -> tuple[str, str | None]:
        await app[LEADERSHIP].renew()
        clock.pass_time(3)
        await app[PROBER].probe()
        trading = app[PROBER].body()["trading"]
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
    await app[METERS].lag.measure(stopping=asyncio.Event())

    assert reasons(app[PROBER])["scheduler"] == "event_loop_lag"
