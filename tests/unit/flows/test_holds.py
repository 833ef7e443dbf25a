"""While a server has asked for a wait, the flows ask nothing of it and note nothing (FR-010)."""

from decimal import Decimal

import pytest

from service.domain.errors import (
    BoundaryError,
    ExchangeUnavailable,
    ModelQuotaUsedUp,
    ModelUnavailable,
)
from service.domain.orders import OrderStatus, Side
from service.domain.signals import Action
from service.flows.circuit_breaker import Circuit
from service.loops.waits import asked_s
from tests.builders import KRW_BTC, a_proposal, an_answer, an_intent
from tests.fakes.clock import FakeClock
from tests.fakes.model import FakeModel
from tests.fakes.orders import FakeOrders
from tests.unit.flows.conftest import House

HELD = ModelUnavailable("wait", code="rate_limited", retry_after_s=25, sent=False)
QUOTA = ModelQuotaUsedUp("tomorrow", code="quota_exhausted", retry_after_s=3600, sent=False)
NO_ORDERS = ExchangeUnavailable("wait", code="too_many_requests", retry_after_s=5, sent=False)
TIMEOUT = ModelUnavailable("no answer", code="timeout")


@pytest.mark.parametrize("error", [HELD, QUOTA])
async def test_a_held_model_costs_nothing_and_leaves_no_row(
    house: House, error: BoundaryError
) -> None:
    house.model.held = error

    with pytest.raises(type(error)) as by_schedule:
        await house.pipeline.trade(KRW_BTC)
    with pytest.raises(type(error)) as job_control:
        await house.pipeline.generate(KRW_BTC)

    assert by_schedule.value is job_control.value is error
    assert (house.model.asked, house.exchange.calls, house.signals.calls) == ([], [], [])


class HeldMeanwhile(FakeModel):
    """Another caller's answer begins a hold after the check."""

    def check(self, model: str) -> None:
        super().check(model)
        self.held = HELD


async def test_a_hold_that_begins_after_the_check_leaves_no_row_either() -> None:
    house = House(model=HeldMeanwhile(), orders=FakeOrders())

    with pytest.raises(ModelUnavailable):
        await house.pipeline.trade(KRW_BTC)

    assert (house.model.asked, house.signals.calls) == ([], [])


def test_what_was_not_sent_neither_closes_a_circuit_nor_ends_a_row_of_failures() -> None:
    clock = FakeClock()
    circuit = Circuit("the model", error=ModelUnavailable, seconds=clock.monotonic)

    def ends_with(error: BoundaryError) -> None:
        clock.pass_time(2)
        with pytest.raises(type(error)), circuit.call():
            raise error

    for error in (TIMEOUT, TIMEOUT, HELD, TIMEOUT, TIMEOUT, HELD, TIMEOUT):
        ends_with(error)
    assert circuit.is_open, (
        "five failures in a row, the unsent calls between them count for nothing"
    )

    clock.pass_time(15)
    ends_with(HELD)  # the one call that finds out was not sent, so the next one finds out
    ends_with(TIMEOUT)
    assert circuit.is_open


def test_a_job_waits_for_a_hold_but_not_for_a_quota_that_another_model_escapes() -> None:
    assert (asked_s(HELD), asked_s(QUOTA)) == (25, 0)


@pytest.mark.proves("FR-010")
async def test_a_sale_that_meets_a_hold_of_orders_is_made_when_the_hold_is_over(
    house: House,
) -> None:
    """FR-010: no row ends FAILED, the model is not asked again, the same signal is sold upon."""
    await house.executor.execute(an_intent(funds=Decimal(100_000)), decision_id=None)
    house.model.then(an_answer(proposal=a_proposal(action=Action.SELL)))
    house.exchange.held = NO_ORDERS

    with pytest.raises(ExchangeUnavailable) as first:
        await house.pipeline.trade(KRW_BTC)
    during = [row.intent.side for row in house.orders.rows.values()]
    house.exchange.held = None
    house.clock.pass_time(5)
    await house.pipeline.trade(KRW_BTC)

    sale = list(house.orders.rows.values())[-1]
    assert first.value is NO_ORDERS
    assert during == [Side.BUY]
    assert (sale.intent.side, sale.status) == (Side.SELL, OrderStatus.EXECUTED)
    assert len(house.model.asked) == 1
