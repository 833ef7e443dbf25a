"""One order that the exchange never answers about holds up no other; an outage is no order's."""

import pytest

from service.domain.errors import BoundaryError, ExchangeRefused, ExchangeUnavailable
from service.domain.orders import ExchangeOrder, ListedOrder, Order, OrderStatus
from service.flows.leadership import Leadership
from tests.builders import KRW_BTC, an_exchange_order, an_intent, an_order
from tests.fakes.logs import Logs
from tests.fakes.state import FakeLease
from tests.unit.flows.conftest import House

S = OrderStatus
FAILS = ExchangeUnavailable("Upbit answered 500", code="http_500")


class Answers:
    """Answers about every order but those that fail."""

    def __init__(self, house: House, *failing: str) -> None:
        self.failing = set(failing)
        self.error: BoundaryError = FAILS
        self.asked: list[str] = []
        self.is_down = False
        house.exchange.find = self.find  # type: ignore[method-assign]

    async def find(self, identifier: str) -> ExchangeOrder | None:
        self.asked.append(identifier)
        if self.is_down or identifier in self.failing:
            raise self.error
        if identifier == "uat-none":
            return None
        return an_exchange_order(uuid=f"e-{identifier}", identifier=identifier)


def on_the_book(house: House, *identifiers: str) -> None:
    for number, identifier in enumerate(identifiers, 1):
        house.orders.hold(an_order(id=number, identifier=identifier, status=S.SUBMITTED))


def taking_over(house: House) -> Leadership:
    return Leadership(lease=FakeLease(), real_clock=house.clock, on_gain=house.reconciler.reconcile)


async def passes(house: House, leadership: Leadership, count: int) -> None:
    for _ in range(count):
        await leadership.renew()
        await leadership.settle()
        house.clock.pass_time(3)


async def looked(house: House) -> BoundaryError | None:
    """Make one pass; return what it raised."""
    try:
        await house.reconciler.reconcile()
    except BoundaryError as exc:
        return exc
    finally:
        house.clock.pass_time(20)
    return None


async def test_one_order_that_is_never_answered_about_does_not_stop_a_takeover_for_ever(
    house: House,
) -> None:
    """Regression: each pass ended at it, and no other order was looked up, nor any traded."""
    on_the_book(house, "uat-bad", "uat-2")
    Answers(house, "uat-bad")
    leadership = taking_over(house)

    await passes(house, leadership, 1)
    early = house.orders.rows[2].status, leadership.may_trade
    await passes(house, leadership, 25)

    assert early == (S.EXECUTED, False)
    bad = house.orders.rows[1]
    assert bad.quarantine is not None
    assert (bad.status, bad.quarantine.reason) == (S.UNKNOWN, "lookup_unanswered")
    assert [(halt.reason, halt.market) for halt in house.state.halts] == [
        ("order_contradicted", KRW_BTC)
    ]
    assert leadership.may_trade


async def test_the_only_open_order_is_told_from_an_outage_by_a_look_up_of_no_order(
    house: House,
) -> None:
    on_the_book(house, "uat-bad")
    answers = Answers(house, "uat-bad")
    leadership = taking_over(house)

    await passes(house, leadership, 25)

    assert leadership.may_trade
    assert house.orders.rows[1].quarantine is not None
    assert "uat-none" in answers.asked


async def test_in_an_outage_no_order_is_put_aside_and_few_are_asked_about(house: House) -> None:
    on_the_book(house, *(f"uat-{n}" for n in range(1, 9)))
    answers = Answers(house)
    answers.is_down = True

    for _ in range(20):
        answers.asked.clear()
        assert await looked(house) is FAILS
        assert len(answers.asked) == 3

    assert house.state.halts == []
    assert {row.status for row in house.orders.rows.values()} == {S.SUBMITTED}


@pytest.mark.parametrize(
    "error",
    [
        ExchangeUnavailable("slow down", code="too_many_requests", retry_after_s=1.0),
        ExchangeUnavailable("blocked", code="banned"),
        ExchangeUnavailable("no connection", code="unreachable"),
        ExchangeUnavailable("a wait lasts", code="held", sent=False),
        ExchangeRefused("no", code="expired_access_key", of_account=True),
    ],
)
async def test_what_concerns_every_request_ends_the_pass_at_once(
    house: House, error: BoundaryError
) -> None:
    on_the_book(house, "uat-bad", "uat-2")
    answers = Answers(house, "uat-bad")
    answers.error = error

    assert await looked(house) is error

    assert answers.asked == ["uat-bad"]


async def test_a_pass_that_two_orders_in_a_row_end_is_not_done(house: House) -> None:
    on_the_book(house, "uat-bad", "uat-worse", "uat-3")
    answers = Answers(house, "uat-bad", "uat-worse")

    first = await looked(house)
    asked_first = list(answers.asked)
    second = await looked(house)

    assert (first, second) == (FAILS, FAILS)
    assert asked_first == ["uat-bad", "uat-worse", "uat-none"]
    assert house.orders.rows[3].status is S.EXECUTED


async def test_an_answer_in_between_starts_the_count_again(house: House) -> None:
    waiting = an_order(id=1, identifier="uat-bad", intent=an_intent(), status=S.SUBMITTED)
    house.orders.hold(waiting)
    answers = Answers(house, "uat-bad")

    for look in range(12):
        answers.failing = set() if look % 4 == 3 else {"uat-bad"}
        house.orders.rows[1] = waiting
        house.orders.booked.clear()
        await looked(house)

    assert house.state.halts == []


# --- what the lists show and no look-up answers ----------------------------------------------


def listed(identifier: str) -> ListedOrder:
    return ListedOrder(
        order=an_exchange_order(uuid=f"e-{identifier}", identifier=identifier, trades=()),
        intent=an_intent(),
        executed_funds=None,
    )


async def test_a_listed_order_that_is_never_answered_about_is_put_aside(house: House) -> None:
    house.orders.hold(an_order(identifier="uat-bad", status=S.FAILED, reason="not_placed"))
    Answers(house, "uat-bad")
    found: Order | None = None

    for _ in range(4):
        with pytest.raises(ExchangeUnavailable):
            await house.reconciler.take_in(listed("uat-bad"))
        house.clock.pass_time(20)
    found = await house.reconciler.take_in(listed("uat-bad"))

    assert found is not None
    assert found.quarantine is not None
    assert found.quarantine.reason == "lookup_unanswered"


async def test_in_an_outage_a_listed_order_is_not_put_aside(house: House) -> None:
    house.orders.hold(an_order(identifier="uat-bad", status=S.FAILED, reason="not_placed"))
    Answers(house).is_down = True

    for _ in range(8):
        with pytest.raises(ExchangeUnavailable):
            await house.reconciler.take_in(listed("uat-bad"))
        house.clock.pass_time(20)

    assert house.orders.rows[1].status is S.FAILED
    assert house.state.halts == []


# --- an order under our prefix that was never sent here --------------------------------------


async def test_an_order_of_a_kind_never_sent_here_stops_its_markets_purchases_once(
    house: House, logs: Logs
) -> None:
    """Regression: it was a line in the log, and its market went on buying."""
    foreign = ListedOrder(
        order=an_exchange_order(identifier="uat-9", trades=()), intent=None, executed_funds=None
    )

    found = await house.reconciler.take_in(foreign)
    halts = [(halt.reason, halt.market) for halt in house.state.halts]
    house.state.halts.clear()  # as a resume does; the lists show it for a week
    await house.reconciler.take_in(foreign)

    assert found is None
    assert halts == [("order_recovered", KRW_BTC)]
    assert house.state.halts == []
    assert house.orders.rows == {}
    assert len([one for one in logs.of("order") if "cannot have sent" in one["message"]]) == 1
