"""A cancel is accepted, not done: it is asked for until the order is final."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from service.domain.errors import (
    DomainError,
    ExchangeRefused,
    ExchangeUnavailable,
    NotFound,
    NotLeader,
    OutcomeUnknown,
)
from service.domain.orders import OrderStatus
from service.flows import order_cancels
from service.flows.order_cancels import BY_AGE
from tests.builders import T0, an_intent
from tests.fakes.logs import Logs
from tests.unit.flows.conftest import House
from tests.unit.flows.test_manual_orders import a_limit_order

S = OrderStatus


async def on_the_book(house: House) -> str:
    """Place a limit order; return its identifier."""
    placed = await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")
    return house.orders.rows[placed.id].identifier


async def followed(house: House) -> None:
    """Look once more, two seconds later: an empty cancel is not believed at once."""
    house.clock.pass_time(2)
    await lead_again(house)
    await house.order_cancels.step()


async def test_a_cancelled_order_is_followed_until_it_is_final(house: House) -> None:
    await on_the_book(house)

    await house.order_cancels.request(1, by="admin")
    await followed(house)

    assert house.orders.rows[1].status is S.CANCELLED
    assert [by for by, _ in house.order_requests.cancelled.values()] == ["admin"]


@pytest.mark.parametrize(
    "error",
    [
        OutcomeUnknown("no answer"),
        ExchangeUnavailable("slow down"),
        ExchangeRefused("no", code="order_not_found"),
    ],
)
async def test_a_cancel_that_got_lost_is_asked_for_again(house: House, error: Exception) -> None:
    await on_the_book(house)
    house.exchange.fail_next("cancel", error)

    await house.order_cancels.request(1, by="admin")
    before = house.orders.rows[1].status
    await house.order_cancels.step()
    await followed(house)

    assert (before, house.orders.rows[1].status) == (S.SUBMITTED, S.CANCELLED)


async def test_a_fill_that_crosses_the_cancel_is_booked(house: House) -> None:
    identifier = await on_the_book(house)
    house.exchange.fill(identifier, volume=Decimal("0.0004"))

    await house.order_cancels.request(1, by="admin")

    order = house.orders.rows[1]
    assert (order.status, order.executed_volume) == (S.CANCELLED, Decimal("0.0004"))


async def test_an_order_that_has_ended_otherwise_cannot_be_cancelled(house: House) -> None:
    await house.manual_orders.place(
        an_intent(funds=Decimal(10_000)), idempotency_key="k-1", actor="ann"
    )

    with pytest.raises(DomainError, match="order 1 is EXECUTED already"):
        await house.order_cancels.request(1, by="admin")
    with pytest.raises(NotFound):
        await house.order_cancels.request(2, by="admin")

    assert "cancel" not in house.exchange.calls


async def test_a_second_request_for_a_cancelled_order_changes_nothing(house: House) -> None:
    await on_the_book(house)
    await house.order_cancels.request(1, by="admin")
    await followed(house)
    asked = house.exchange.calls.count("cancel")

    await house.order_cancels.request(1, by="admin")

    assert house.exchange.calls.count("cancel") == asked


async def test_a_limit_order_is_cancelled_at_its_age_and_not_before(house: House) -> None:
    await on_the_book(house)
    await house.allow(limit_order_max_age_minutes=30)
    house.clock.pass_time(1790)
    await lead_again(house)
    await house.order_cancels.step()
    before = house.orders.rows[1].status

    house.clock.pass_time(10)
    await lead_again(house)
    await house.order_cancels.step()
    await followed(house)

    assert (before, house.orders.rows[1].status) == (S.SUBMITTED, S.CANCELLED)
    assert house.order_requests.cancelled[1][0] == BY_AGE


async def test_one_orders_trouble_leaves_the_others_their_turn(house: House) -> None:
    await on_the_book(house)
    first = house.orders.rows[1]
    await house.order_requests.request_cancel(1, by="admin", at=T0)
    house.exchange.fail_next("cancel", OutcomeUnknown("no answer"))
    house.exchange.fail_next("find", ExchangeUnavailable("down"))

    await house.order_cancels.step()
    await house.order_cancels.step()
    await followed(house)

    assert first.status is S.SUBMITTED
    assert house.orders.rows[1].status is S.CANCELLED


async def test_a_database_that_hangs_does_not_hold_up_an_exit_that_has_coins_freed(
    house: House, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """The order is asked to end first; only the wish is not stored. The wait is cut to nothing."""
    identifier = await on_the_book(house)

    async def hang(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(order_cancels, "STORE_WITHIN_S", 0)
    monkeypatch.setattr(house.orders, "find", hang)

    async with asyncio.timeout(20):
        await house.order_cancels.take_off([identifier], by="system:protection")

    assert house.exchange.calls.count("cancel") == 1
    assert "a cancel is asked for and cannot be stored right now" in [
        line["message"] for line in logs.lines
    ]


async def test_a_standby_cancels_nothing(house: House) -> None:
    await on_the_book(house)
    await house.order_requests.request_cancel(1, by="admin", at=T0)
    house.lease.epoch = None
    await house.leadership.renew()

    with pytest.raises(NotLeader):
        await house.order_cancels.request(1, by="admin")
    await house.order_cancels.step()

    assert "cancel" not in house.exchange.calls


async def lead_again(house: House) -> None:
    await house.leadership.renew()
    await house.leadership.settle()


def test_one_module_asks_the_exchange_to_cancel() -> None:
    """There were three; each followed, stored and told in its own way."""
    asking = {
        path.name
        for path in Path(order_cancels.__file__).parents[1].rglob("*.py")
        if "exchange.cancel(" in path.read_text(encoding="utf-8")
    }

    assert asking == {"order_cancels.py"}
