import asyncio
from decimal import Decimal

import pytest

from service.bus import OrderFilled, OrderMoved
from service.domain.errors import (
    ExchangeRefused,
    ExchangeUnavailable,
    NotLeader,
    OutcomeUnknown,
    StoreDown,
)
from service.domain.orders import OrderStatus
from service.domain.trading_states import OrderSource
from tests.builders import KRW_BTC, an_intent
from tests.fakes.logs import Logs
from tests.unit.flows.conftest import House

S = OrderStatus


async def test_a_market_buy_ends_executed_with_its_fills_and_position(house: House) -> None:
    order = await house.executor.execute(an_intent(funds=Decimal(100_000)), decision_id=1)

    position = await house.orders.position(KRW_BTC)
    assert order.status is S.EXECUTED
    assert position.volume == Decimal("0.001")
    assert position.fees_paid == Decimal(50)
    assert [status for _, status in house.orders.history] == [S.PENDING, S.SUBMITTED, S.EXECUTED]
    assert len(house.told(OrderFilled)) == 1


async def test_an_order_is_returned_as_its_row_has_it(house: House) -> None:
    order = await house.executor.execute(an_intent(funds=Decimal(100_000)), decision_id=None)

    assert order == house.orders.rows[order.id]
    assert order.executed_volume > 0


async def test_the_row_is_written_before_the_request_leaves(house: House) -> None:
    house.exchange.fail_next("submit", KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        await house.executor.execute(an_intent(), decision_id=1)

    (row,) = house.orders.rows.values()
    assert (row.status, row.sent_at) == (S.PENDING, house.clock.now())


async def test_nothing_is_sent_when_the_row_cannot_be_written(house: House) -> None:
    house.orders.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await house.executor.execute(an_intent(), decision_id=1)

    assert house.exchange.calls == []


async def test_a_process_without_the_lease_writes_and_sends_nothing(house: House) -> None:
    house.lease.epoch = None
    await house.leadership.renew()

    with pytest.raises(NotLeader):
        await house.executor.execute(an_intent(), decision_id=1)

    assert (house.orders.rows, house.exchange.sent) == ({}, [])


async def test_a_stale_lease_is_not_trusted_to_its_last_second(house: House) -> None:
    house.clock.pass_time(9)  # the database would still call it ours

    with pytest.raises(NotLeader):
        await house.executor.execute(an_intent(), decision_id=1)


async def test_a_refused_order_failed_for_the_exchanges_reason(house: House) -> None:
    house.exchange.fail_next("submit", ExchangeRefused("no", code="insufficient_funds_bid"))

    order = await house.executor.execute(an_intent(), decision_id=1)

    assert (order.status, order.reason) == (S.FAILED, "insufficient_funds_bid")


async def test_a_request_that_never_left_failed_and_is_not_sent_again(house: House) -> None:
    house.exchange.fail_next("submit", ExchangeUnavailable("refused"))

    order = await house.executor.execute(an_intent(), decision_id=1)

    assert (order.status, order.reason) == (S.FAILED, "not_sent")
    assert house.exchange.calls.count("submit") == 1


@pytest.mark.parametrize("took_effect", [True, False])
async def test_an_unknown_outcome_is_looked_up_and_never_sent_again(
    house: House, took_effect: bool
) -> None:
    house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=took_effect)

    order = await house.executor.execute(an_intent(), decision_id=1)

    assert house.exchange.calls.count("submit") == 1
    assert order.status is (S.EXECUTED if took_effect else S.UNKNOWN)


async def test_an_order_the_exchange_never_saw_fails_after_two_minutes_and_a_proof(
    house: House,
) -> None:
    house.exchange.fail_next("submit", OutcomeUnknown("no answer"))
    await house.executor.execute(an_intent(), decision_id=1)

    statuses = []
    for _ in range(4):
        house.clock.pass_time(40)
        await house.reconciler.reconcile()
        statuses.append(house.orders.rows[1].status)

    assert statuses == [S.UNKNOWN, S.UNKNOWN, S.FAILED, S.FAILED]
    assert house.orders.rows[1].reason == "not_placed"
    assert house.asked_absence == ["uat-1"]


async def test_an_order_that_shows_up_late_is_found_before_it_is_given_up(house: House) -> None:
    house.exchange.fail_next("submit", OutcomeUnknown("no answer"))
    order = await house.executor.execute(an_intent(), decision_id=1)
    house.clock.pass_time(20)
    await house.reconciler.reconcile()

    house.exchange.used.discard(order.identifier)
    await house.exchange.submit(an_intent(), identifier=order.identifier)
    house.clock.pass_time(20)
    await house.reconciler.reconcile()

    assert house.orders.rows[1].status is S.EXECUTED


@pytest.mark.proves("FR-012")
async def test_a_lost_lookup_is_warned_of_and_leaves_the_order_to_the_next_pass(
    house: House, logs: Logs
) -> None:
    """FR-012: each look in vain is a line."""
    for _ in range(3):
        house.exchange.fail_next("find", ExchangeUnavailable("no answer"))

    order = await house.executor.execute(an_intent(), decision_id=1)
    moved = await house.reconciler.reconcile()

    told = [line for line in logs.of("order") if line["level"] == "WARNING"]
    assert [line["error"] for line in told] == ["ExchangeUnavailable"] * 3
    assert {line["identifier"] for line in told} == {order.identifier}
    assert order.status is S.SUBMITTED
    assert moved == 1
    assert house.orders.rows[1].status is S.EXECUTED


async def test_the_reconciler_leaves_a_request_on_the_wire_alone(house: House) -> None:
    house.exchange.fail_next("find", AssertionError("must not be asked"))

    async def meanwhile() -> None:
        house.reconciler.take("uat-1")
        await house.orders.add(
            an_intent(),
            identifier="uat-1",
            decision_id=1,
            at=house.clock.now(),
            epoch=1,
            source=OrderSource.SIGNAL,
            most_per_hour=None,
        )
        await house.reconciler.reconcile()

    await meanwhile()

    assert house.orders.rows[1].status is S.PENDING


async def test_a_cancelled_pass_leaves_the_order_to_be_looked_up(house: House) -> None:
    house.exchange.fail_next("submit", asyncio.CancelledError(), after=True)

    with pytest.raises(asyncio.CancelledError):
        await house.executor.execute(an_intent(), decision_id=1)
    await house.reconciler.reconcile()

    assert house.orders.rows[1].status is S.EXECUTED


async def test_every_move_is_told_once(house: House) -> None:
    await house.executor.execute(an_intent(), decision_id=1)

    moves = [event.status for event in house.told(OrderMoved)]  # type: ignore[union-attr]
    assert moves == [S.SUBMITTED, S.EXECUTED]


async def test_an_order_whose_outcome_cannot_be_stored_is_told_as_open_so_that_it_is_looked_up(
    house: House,
) -> None:
    """The job at rest would look in five minutes, and until then its coins would have no stop."""
    house.orders.poison[1] = StoreDown("PostgreSQL dropped the connection")

    with pytest.raises(StoreDown):
        await house.executor.execute(an_intent(), decision_id=None)

    moves = [event.status for event in house.told(OrderMoved)]  # type: ignore[union-attr]
    assert moves == [OrderStatus.PENDING]


async def test_fills_are_booked_once_however_often_the_order_is_looked_up(house: House) -> None:
    order = await house.executor.execute(an_intent(), decision_id=1)
    seen = await house.exchange.find(order.identifier)
    assert seen is not None

    again = await house.reconciler.absorb(order, seen)

    assert again == order
    assert len(house.orders.booked) == 1


async def test_a_fresh_order_is_followed_by_one_and_not_raced_by_the_job_it_wakes(
    house: House,
) -> None:
    waits: list[float] = []

    async def pause(seconds: float, *, wake: asyncio.Event | None = None) -> None:
        waits.append(seconds)
        await house.reconciler.reconcile()  # the job has its pass meanwhile

    house.clock.sleep_real = pause  # type: ignore[method-assign]
    order = await house.executor.execute(an_intent(), decision_id=1)

    assert order.status is S.EXECUTED
    assert house.exchange.calls.count("find") == 1
    assert waits == [0.2]


async def test_an_order_that_outlasts_its_follow_up_is_the_jobs_to_settle(house: House) -> None:
    for _ in range(3):
        house.exchange.fail_next("find", ExchangeUnavailable("no answer"))
    await house.executor.execute(an_intent(), decision_id=1)

    await house.reconciler.reconcile()

    assert house.orders.rows[1].status is S.EXECUTED
