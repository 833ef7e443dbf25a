"""What the comparison of the books tells health."""

from dataclasses import replace
from typing import Any, cast

from service.app.jobs import compare
from service.bus import Bus
from service.domain.errors import DomainError
from service.domain.orders import OrderStatus
from service.flows.holdings_check import HoldingsCheck
from service.flows.leadership import Leadership
from service.flows.reconcile import Reconciler
from tests.builders import an_order
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.orders import FakeOrders
from tests.fakes.state import FakeLease, FakeTradingState
from tests.unit.app.house import House


class Health:
    def __init__(self) -> None:
        self.noted: list[tuple[str, str, bool]] = []

    def note(self, component: str, reason: str, *, holds: bool) -> None:
        self.noted.append((component, reason, holds))


async def test_what_the_exchange_contradicts_shows_until_another_process_leads() -> None:
    health = Health()
    orders, exchange, lease, clock = FakeOrders(), FakeExchange(), FakeLease(), FakeClock()
    orders.hold(an_order(status=OrderStatus.SUBMITTED))
    exchange.fail_next("find", DomainError("a trade belongs to another order"))
    reconciler = Reconciler(
        orders=orders,
        exchange=exchange,
        states=FakeTradingState(),
        bus=Bus(),
        clock=clock,
        real_clock=clock,
    )
    leadership = Leadership(lease=lease, real_clock=clock, on_gain=reconciler.reconcile)
    services = replace(
        House().services(),
        holdings_check=HoldingsCheck(orders=orders, exchange=exchange),
        reconciler=reconciler,
        leadership=leadership,
        health=cast("Any", health),
    )

    await leadership.renew()
    await leadership.settle()
    await compare(services)
    lease.epoch = None
    await leadership.renew()
    await leadership.settle()
    await compare(services)

    assert health.noted == [
        ("recent_order", "reconcile_mismatch", True),
        ("recent_order", "reconcile_mismatch", False),
    ]
