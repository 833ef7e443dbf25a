"""What the composition root gives the prober: each source must reach the component it is of."""

import asyncio
from collections.abc import Callable

import pytest

from service.app.health_wiring import health_monitor as monitor_of
from service.app.health_wiring import trading_body
from service.app.services import Circuits, Services
from service.domain.errors import ExchangeUnavailable, ModelUnavailable
from service.flows.circuit_breaker import Circuit
from service.flows.leadership import Leadership
from service.ops.health.monitor import HealthMonitor
from service.ops.metrics.event_loop_lag import LoopLag
from service.settings.table import AI_MODEL
from tests.fakes.clock import FakeClock
from tests.fakes.state import FakeLease
from tests.unit.app.house import House


class Stalls(FakeClock):
    """The process stands still for a while in each pause."""

    async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        await super().sleep_real(seconds + 6, wake=wake)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def house(clock: FakeClock) -> House:
    house = House()
    house.clock = house.real_clock = clock
    house.counters.lag = LoopLag(Stalls())
    return house


@pytest.fixture
def services(house: House) -> Services:
    return house.services()


def reasons(health_monitor: HealthMonitor) -> dict[str, str | None]:
    return {name: part["reason"] for name, part in health_monitor.body()["components"].items()}


@pytest.mark.parametrize(
    ("circuit_of", "component"),
    [
        (lambda circuits: circuits.model.of(AI_MODEL.default), "gemini_api"),
        (lambda circuits: circuits.purchases, "upbit_api"),
    ],
)
async def test_an_open_circuit_shows_on_what_it_leaves_alone(
    services: Services,
    clock: FakeClock,
    circuit_of: Callable[[Circuits], Circuit],
    component: str,
) -> None:
    circuit = circuit_of(services.circuits)
    for _ in range(5):
        clock.pass_time(1)
        with pytest.raises(ModelUnavailable), circuit.call():
            raise ModelUnavailable("no answer")
    during = reasons(services.health)
    clock.pass_time(15)

    assert [name for name, reason in during.items() if reason == "circuit_open"] == [component]
    assert "circuit_open" not in reasons(services.health).values()


async def test_a_traded_currency_that_cannot_be_read_makes_the_exchange_unhealthy(
    services: Services, house: House, clock: FakeClock
) -> None:
    for market in house.config.markets:
        house.exchange.set_price(1000, market)
    seen = []
    for unreadable in ({"ODD"}, {"KRW"}, set[str]()):
        house.exchange.unreadable_currencies = unreadable
        for _ in range(2):
            await services.health.probe()
            clock.pass_time(20)
        seen.append(reasons(services.health)["upbit_api"])

    assert (seen[0], seen[1] is None, seen[2]) == (None, False, None)


@pytest.mark.proves("FR-010")
async def test_a_hold_of_orders_alone_shows_although_upbit_answers_all_that_health_asks(
    services: Services, house: House, clock: FakeClock
) -> None:
    """FR-010: no order goes out, and that must not look well."""
    for market in house.config.markets:
        house.exchange.set_price(1000, market)
    house.exchange.held = ExchangeUnavailable("wait", code="too_many_requests", sent=False)
    for _ in range(2):
        await services.health.probe()
        clock.pass_time(20)
    during = reasons(services.health)["upbit_api"]
    house.exchange.held = None
    await services.health.probe()

    assert (during, reasons(services.health)["upbit_api"]) == ("rate_limited", None)


async def test_trading_is_on_standby_for_the_lease_or_for_open_orders_and_says_which(
    services: Services, clock: FakeClock
) -> None:
    """A leader whose orders cannot be looked up does not blame another process."""
    lease, exchange_answers = FakeLease(epoch=None), False

    async def look_up_open_orders() -> None:
        if not exchange_answers:
            raise ExchangeUnavailable("no answer")

    leadership = Leadership(lease=lease, real_clock=clock, on_gain=look_up_open_orders)
    monitor = monitor_of(
        services.process,
        services.ports,
        leadership=leadership,
        switch=services.trading_switch,
        circuits=services.circuits,
        budget=services.budget,
        runners=(),
        chance=lambda: 0.5,
    )

    await services.trading_switch.step()

    async def renewed() -> tuple[str, str | None]:
        await leadership.renew()
        await leadership.settle()
        clock.pass_time(3)
        await monitor.probe()
        trading = monitor.body()["trading"]
        return trading["state"], trading["reason"]

    elsewhere = await renewed()
    lease.epoch = 2
    reconciling = await renewed()
    exchange_answers = True
    trading = await renewed()

    assert elsewhere == ("STANDBY", "no_trading_lease")
    assert reconciling == ("STANDBY", "reconciling_open_orders")
    assert trading == ("ACTIVE", None)


async def test_a_late_event_loop_shows_on_the_scheduler(services: Services) -> None:
    await services.process.counters.lag.measure(stopping=asyncio.Event())

    assert reasons(services.health)["scheduler"] == "event_loop_lag"


async def leading(clock: FakeClock) -> Leadership:
    async def nothing_is_open() -> None:
        return

    leadership = Leadership(lease=FakeLease(), real_clock=clock, on_gain=nothing_is_open)
    await leadership.renew()
    await leadership.settle()
    return leadership


async def test_a_trading_state_read_long_ago_is_not_shown_as_if_it_held(
    services: Services, clock: FakeClock
) -> None:
    switch, leadership = services.trading_switch, await leading(clock)
    await switch.step()
    told = []
    for wait_s in (0, 9, 2):
        clock.pass_time(wait_s)
        await leadership.renew()
        body = await trading_body(switch, leadership)
        told.append((body["state"], body["reason"], body["age_seconds"]))

    assert told == [("ACTIVE", None, 0), ("ACTIVE", None, 9), ("UNKNOWN", "state_unknown", 11)]


async def test_active_ends_with_the_lease_when_the_database_is_away(
    services: Services, clock: FakeClock
) -> None:
    switch, leadership = services.trading_switch, await leading(clock)
    await switch.step()
    clock.pass_time(30)

    body = await trading_body(switch, leadership)

    assert (body["state"], body["reason"]) == ("STANDBY", "no_trading_lease")
    assert body["age_seconds"] == 30
