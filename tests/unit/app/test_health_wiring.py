"""What the composition root gives the prober: each source must reach the component it is of."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import web

from service.app.keys import BUS, CIRCUITS, GATE, HOUSE, MODEL, PROBER, RUNNER, Circuits
from service.app.measures import METERS
from service.app.story import health
from service.bus import Bus
from service.domain.errors import ExchangeUnavailable, ModelUnavailable
from service.flows.circuit import Circuit
from service.loops.runner import Runner
from service.ops.health import Prober
from service.ops.lag import LoopLag
from service.ops.meters import Meters
from service.web.keys import CLOCK, CONFIG, EXCHANGE, SETTINGS
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
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


async def test_a_late_event_loop_shows_on_the_scheduler(app: web.Application) -> None:
    await app[METERS].lag.measure(stopping=asyncio.Event())

    assert reasons(app[PROBER])["scheduler"] == "event_loop_lag"
