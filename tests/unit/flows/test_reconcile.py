"""Orders the exchange answers oddly about: none goes backwards, none holds up the others."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.domain.account import Absence
from service.domain.errors import BoundaryError, DomainError, ExchangeRefused, ExchangeUnavailable
from service.domain.orders import (
    ZERO,
    ExchangeOrder,
    ExchangeOrderState,
    ListedOrder,
    Order,
    OrderOrigin,
    OrderStatus,
    Quarantine,
    Side,
)
from service.domain.trading_states import TradingStatus
from tests.builders import (
    KRW_BTC,
    T0,
    a_fill,
    a_ticker,
    a_trade,
    an_exchange_order,
    an_intent,
    an_order,
)
from tests.fakes.logs import Logs
from tests.unit.flows.conftest import House

S = OrderStatus
NOTHING: dict[str, Any] = {
    "executed_volume": Decimal(0),
    "paid_fee": Decimal(0),
    "trades": (),
    "trades_count": 0,
}


def asked(house: House, **overrides: Any) -> Order:
    """Return an order on the exchange's book, as stored."""
    order = an_order(**{"status": S.SUBMITTED, "exchange_uuid": "e-1"} | overrides)
    house.orders.hold(order)
    return order


async def looked(house: House, answer: ExchangeOrder | None, *, seconds: float = 2.0) -> Order:
    """Let the exchange answer so from now on, look once, and return the order as stored."""
    if answer is None:
        house.exchange.orders.clear()
    else:
        house.exchange.orders["uat-1"] = answer
    await house.reconciler.reconcile()
    house.clock.pass_time(seconds)
    return house.orders.rows[1]


def reduced(house: House) -> list[tuple[str, object]]:
    assert all(halt.kind is TradingStatus.REDUCING for halt in house.state.halts)
    return [(halt.reason, halt.market) for halt in house.state.halts]


# --- no step back ----------------------------------------------------------------------------


async def test_an_order_whose_trades_trail_twice_does_not_go_backwards(house: House) -> None:
    order = asked(house, exchange_uuid=None)
    half = an_exchange_order(
        state=ExchangeOrderState.WAITING,
        executed_volume=Decimal("0.0005"),
        trades=(),
        trades_count=1,
    )
    done = an_exchange_order(trades=(), trades_count=1)

    order = await house.reconciler.absorb(order, half)
    order = await house.reconciler.absorb(order, done)

    assert order.status is S.PARTIALLY_FILLED
    order = await house.reconciler.absorb(order, an_exchange_order())
    assert order.status is S.EXECUTED


async def test_an_answer_older_than_the_last_one_takes_nothing_back(house: House) -> None:
    order = asked(house, status=S.PARTIALLY_FILLED)
    older = an_exchange_order(state=ExchangeOrderState.WAITING, **NOTHING)

    assert await house.reconciler.absorb(order, older) == order


# --- an answer that is not final (A3) --------------------------------------------------------


@pytest.mark.parametrize("state", [ExchangeOrderState.DONE, ExchangeOrderState.CANCELLED])
@pytest.mark.parametrize("executed", [NOTHING, {}])
async def test_the_answer_to_the_request_is_never_final(
    house: House, state: ExchangeOrderState, executed: dict[str, Any]
) -> None:
    """Regression: a POST answered done with nothing executed lost a filled order for good."""
    order = asked(house, status=S.PENDING, exchange_uuid=None)

    order = await house.reconciler.accepted(order, an_exchange_order(state=state, **executed))

    assert house.orders.booked == []
    assert (order.status, order.exchange_uuid) == (S.SUBMITTED, "e-1")
    settled = await looked(house, an_exchange_order())
    assert settled.status is S.EXECUTED
    assert settled.executed_volume == Decimal("0.001")


@pytest.mark.parametrize(
    "odd",
    [
        NOTHING,
        NOTHING | {"trades_count": 1},
        NOTHING | {"state": ExchangeOrderState.CANCELLED},
        NOTHING | {"state": ExchangeOrderState.CANCELLED, "trades_count": 1},
        {"trades": ()},
        {"executed_volume": Decimal("0.0005")},
        {"paid_fee": Decimal(0)},
    ],
)
async def test_an_answer_that_does_not_add_up_once_loses_nothing(
    house: House, logs: Logs, odd: dict[str, Any]
) -> None:
    """Regression: `done` with executed_volume "0" was final, and never looked up again."""
    asked(house)

    after = await looked(house, an_exchange_order(**odd))
    settled = await looked(house, an_exchange_order())

    assert after.is_open
    assert settled.status is S.EXECUTED
    assert (settled.executed_volume, settled.paid_fee) == (Decimal("0.001"), Decimal(50))
    told = [one for one in logs.of("order") if "looked up again" in one["message"]]
    assert len(told) == 1
    assert house.state.halts == []


async def test_a_cancel_with_nothing_executed_is_believed_at_the_second_look(house: House) -> None:
    asked(house)
    empty = an_exchange_order(state=ExchangeOrderState.CANCELLED, **NOTHING)

    statuses = [(await looked(house, empty)).status for _ in range(2)]

    assert statuses == [S.SUBMITTED, S.CANCELLED]


async def test_an_answer_that_stays_odd_is_warned_of_once_and_put_aside(
    house: House, logs: Logs
) -> None:
    asked(house)

    for _ in range(31):
        order = await looked(house, an_exchange_order(**NOTHING))

    assert (order.status, order.quarantine and order.quarantine.reason) == (
        S.UNKNOWN,
        "nothing_executed",
    )
    assert reduced(house) == [("order_contradicted", KRW_BTC)]
    assert house.reconciler.contradicted
    assert len([one for one in logs.of("order") if "looked up again" in one["message"]]) == 1


async def test_fills_of_an_answer_that_does_not_add_up_are_not_booked(house: House) -> None:
    asked(house)

    await looked(house, an_exchange_order(executed_volume=Decimal("0.002"), trades_count=2))

    assert house.orders.booked == []


# --- fees (A9) -------------------------------------------------------------------------------


async def test_a_fee_that_trails_its_trades_is_booked_when_it_comes(house: House) -> None:
    """Regression: the order was final with fee 0, and the real fee was never booked."""
    asked(house)

    first = await looked(house, an_exchange_order(paid_fee=Decimal(0)))
    second = await looked(house, an_exchange_order(paid_fee=Decimal(50)))

    assert (first.status, first.paid_fee) == (S.PARTIALLY_FILLED, Decimal(0))
    assert (second.status, second.paid_fee) == (S.EXECUTED, Decimal(50))
    assert (await house.orders.position(KRW_BTC)).fees_paid == Decimal(50)


async def test_a_day_without_fees_is_believed_after_half_a_minute(house: House) -> None:
    asked(house)

    statuses = [
        (await looked(house, an_exchange_order(paid_fee=Decimal(0)))).status for _ in range(17)
    ]

    assert statuses[:15] == [S.PARTIALLY_FILLED] * 15
    assert statuses[-1] is S.EXECUTED


async def test_a_fee_that_shrinks_while_more_is_executed_puts_its_order_aside(
    house: House,
) -> None:
    order = an_order(status=S.PARTIALLY_FILLED, exchange_uuid="e-1", paid_fee=Decimal(50))
    first = {"volume": Decimal("0.0004"), "funds": Decimal(40_000)}
    house.orders.hold(order, a_fill(**first))
    second = a_trade(uuid="t-2", volume=Decimal("0.0006"), funds=Decimal(60_000))
    both = {"trades": (a_trade(**first), second), "trades_count": 2}

    after = await looked(house, an_exchange_order(paid_fee=Decimal(49), **both))

    assert after.quarantine is not None
    assert after.quarantine.reason == "fee_shrank"
    assert after.paid_fee == Decimal(50)


# --- fills that cannot be true (A9) ----------------------------------------------------------


FIVE: dict[str, Any] = {
    "trades": (a_trade(volume=Decimal(5), funds=Decimal(500_000_000)),),
    "executed_volume": Decimal(5),
    "paid_fee": Decimal(250_000),
}
A_MILLION: dict[str, Any] = {
    "trades": (a_trade(price=Decimal("0.000001"), volume=Decimal(10**6), funds=Decimal(1)),),
    "executed_volume": Decimal(10**6),
    "paid_fee": Decimal(0),
}


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (FIVE, "over_spent"),
        (A_MILLION, "price_out_of_range"),
        ({"paid_fee": Decimal(99_999_999)}, "fee_too_high"),
        ({"side": Side.SELL}, "other_side"),
    ],
)
async def test_fills_that_cannot_be_true_are_not_booked_and_stop_purchases_of_their_market(
    house: House, logs: Logs, lie: dict[str, Any], reason: str
) -> None:
    """Regression: 500,000,000 for 100,000, a million coins for 1 KRW: booked in silence."""
    await house.market_data.add_tickers([a_ticker()], at=T0)
    asked(house)

    after = await looked(house, an_exchange_order(**lie))

    assert after.status is S.UNKNOWN
    assert after.quarantine is not None
    assert after.quarantine.reason == reason
    assert house.orders.booked == []
    assert reduced(house) == [("order_contradicted", KRW_BTC)]
    (halt,) = house.state.halts
    assert halt.detail["identifier"] == "uat-1"
    assert halt.detail.keys() > {"identifier", "reason"}
    told = repr(logs.of("order"))
    assert reason in told
    assert "500000000" not in told
    assert "99999999" not in told


async def test_an_order_put_aside_is_looked_up_seldom_and_leaves_when_its_answer_makes_sense(
    house: House,
) -> None:
    asked(house)
    await looked(house, an_exchange_order(**FIVE))
    house.exchange.calls.clear()

    waiting = [await looked(house, an_exchange_order()) for _ in range(14)]
    calls_before = house.exchange.calls.count("find")
    settled = await looked(house, an_exchange_order())
    settled = await looked(house, an_exchange_order())

    assert {order.quarantine is None for order in waiting} == {False}
    assert calls_before == 0
    assert (settled.status, settled.quarantine) == (S.EXECUTED, None)
    assert not house.reconciler.contradicted
    # What was seen is the operator's to judge: the market is not free again by itself.
    assert reduced(house) == [("order_contradicted", KRW_BTC)]


# --- one order's trouble is its own (A5) -----------------------------------------------------


async def two_open_orders(house: House) -> None:
    """The first is held in our books; the second is on the exchange and executed."""
    second = await house.executor.execute(an_order().intent, decision_id=1)
    house.orders.rows.clear()
    house.orders.booked.clear()
    house.orders.hold(an_order(id=1, identifier="uat-odd", status=S.SUBMITTED))
    house.orders.hold(replace(second, id=2, status=S.SUBMITTED))


@pytest.mark.parametrize(
    "odd",
    [
        DomainError("a trade belongs to another order"),
        ExchangeRefused("no", code="invalid_parameter"),
        ExchangeUnavailable("odd", code="bad_answer"),
        ZeroDivisionError("a bug"),
        KeyError("a bug"),
    ],
)
async def test_one_odd_order_does_not_keep_the_next_from_being_settled(
    house: House, odd: Exception
) -> None:
    await two_open_orders(house)
    house.exchange.fail_next("find", odd)

    await house.reconciler.reconcile()

    assert house.orders.rows[1].is_open
    assert house.orders.rows[2].status is S.EXECUTED


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (DomainError("a table cannot hold it"), "against_our_rows"),
        (ZeroDivisionError("5000000"), "fault_of_ours"),
    ],
)
async def test_a_poisoned_order_is_put_aside_and_the_service_trades(
    house: House, logs: Logs, fault: Exception, reason: str
) -> None:
    """Regression: one order whose fee had shrunk ended every start with exit code 1."""
    await two_open_orders(house)
    house.exchange.fail_next("find", fault)
    house.lease.epoch = 2

    await house.leadership.renew()
    await house.leadership.settle()

    order = house.orders.rows[1]
    assert house.leadership.may_trade
    assert order.quarantine is not None
    assert order.quarantine.reason == reason
    assert house.orders.rows[2].status is S.EXECUTED
    assert reduced(house) == [("order_contradicted", KRW_BTC)]
    assert house.reconciler.contradicted
    assert "5000000" not in repr(logs.of("order"))


async def test_an_order_that_cannot_even_be_put_aside_stays_open_and_stops_no_other(
    house: House, logs: Logs
) -> None:
    await two_open_orders(house)
    house.exchange.fail_next("find", DomainError("odd"))
    house.orders.poison = {1: DomainError("the table refuses it")}

    await house.reconciler.reconcile()

    assert house.orders.rows[1].status is S.SUBMITTED
    assert house.orders.rows[2].status is S.EXECUTED
    assert house.reconciler.contradicted
    assert [one["level"] for one in logs.of("order") if "neither" in one["message"]] == ["CRITICAL"]


async def test_a_pass_that_ends_early_leaves_the_rest_to_the_next_one(house: House) -> None:
    """Regression: with thousands of orders each pass began with the same ones and was cut off."""
    for n in range(1, 6):
        house.orders.hold(an_order(id=n, identifier=f"uat-{n}", status=S.SUBMITTED))
    seen: list[str] = []

    async def find(identifier: str) -> None:
        house.clock.pass_time(1.0)
        seen.append(identifier)

    house.exchange.find = find  # type: ignore[method-assign]

    for _ in range(3):
        await house.reconciler.reconcile(within_s=1.5)

    assert seen == ["uat-1", "uat-2", "uat-3", "uat-4", "uat-5", "uat-1"]


@pytest.mark.parametrize(
    "outage",
    [
        ExchangeUnavailable("no answer", code="timeout"),
        ExchangeRefused("no", code="expired_access_key", of_account=True),
    ],
)
async def test_an_outage_is_not_asked_about_order_by_order(
    house: House, outage: BoundaryError
) -> None:
    """A key that has expired is no fault of an order: none is put aside for it."""
    await two_open_orders(house)
    house.exchange.calls.clear()
    for _ in range(3):
        house.exchange.fail_next("find", outage)

    with pytest.raises(BoundaryError):
        await house.reconciler.reconcile()

    # Twice, and once about no order: tests/unit/flows/test_unanswered_looks.py
    most = 1 if isinstance(outage, ExchangeRefused) else 3
    assert house.exchange.calls == ["find"] * most
    assert house.orders.rows[1].quarantine is None


async def test_an_answer_that_stays_unreadable_puts_its_order_aside(house: House) -> None:
    asked(house)

    for _ in range(31):
        house.exchange.fail_next("find", ExchangeUnavailable("odd", code="bad_answer"))
        order = await looked(house, an_exchange_order())

    assert order.quarantine is not None
    assert order.quarantine.reason == "lookup_unreadable"


# --- what the exchange does not know (A2) ----------------------------------------------------


async def test_an_order_is_not_given_up_before_two_minutes_nor_without_a_proof(
    house: House,
) -> None:
    """Regression: a POST held 45 s executed after its row had become FAILED."""
    house.absence = Absence.UNCLEAR
    asked(house, status=S.UNKNOWN, exchange_uuid=None)

    early = [(await looked(house, None)).status for _ in range(60)]
    asked_early = list(house.asked_absence)
    late = [(await looked(house, None)).status for _ in range(100)]
    asked_late = len(house.asked_absence)
    house.absence = Absence.EXPLAINED
    for _ in range(16):
        given_up = await looked(house, None)

    assert {*early, *late} == {S.UNKNOWN}
    assert asked_early == []
    assert 5 <= asked_late <= 8  # seldom: lists are costly
    assert (given_up.status, given_up.reason) == (S.FAILED, "not_placed")


async def test_one_currency_that_has_not_moved_is_a_proof_after_ten_minutes(house: House) -> None:
    """A deposit beside a lost order left it UNKNOWN for ever, and its market blocked."""
    house.absence = Absence.ONE_SIDED
    asked(house, status=S.UNKNOWN, exchange_uuid=None)

    early = [(await looked(house, None)).status for _ in range(300)]  # the last at 598 s
    late = [(await looked(house, None)).status for _ in range(20)]

    assert {*early} == {S.UNKNOWN}
    assert late[-1] is S.FAILED
    assert house.orders.rows[1].reason == "not_placed"


async def test_ten_minutes_without_a_look_are_no_ten_minutes(house: House) -> None:
    """A process that starts again, or stood still, has looked once."""
    house.absence = Absence.ONE_SIDED
    asked(house, status=S.UNKNOWN, exchange_uuid=None)

    statuses = [(await looked(house, None, seconds=600)).status for _ in range(9)]

    assert {*statuses} == {S.UNKNOWN}
    assert (await looked(house, None)).status is S.FAILED


@pytest.mark.parametrize("absence", [Absence.UNCLEAR, Absence.CONTRADICTED])
async def test_no_time_makes_a_proof_of_what_is_unclear(house: House, absence: Absence) -> None:
    house.absence = absence
    asked(house, status=S.UNKNOWN, exchange_uuid=None)

    for _ in range(200):
        order = await looked(house, None, seconds=60)

    assert order.status is S.UNKNOWN


async def test_an_order_that_was_answered_about_needs_both_currencies(house: House) -> None:
    house.absence = Absence.ONE_SIDED
    aside = Quarantine(at=T0, reason="over_fill", detail={})
    asked(house, status=S.UNKNOWN, exchange_uuid=None, quarantine=aside)

    for _ in range(30):
        order = await looked(house, None, seconds=60)

    assert order.status is S.UNKNOWN


async def test_without_lists_an_order_is_never_given_up(house: House) -> None:
    house.reconciler._explains_absence = None
    asked(house, status=S.UNKNOWN, exchange_uuid=None)

    for _ in range(200):
        order = await looked(house, None)

    assert order.status is S.UNKNOWN


async def test_a_row_about_to_be_sent_becomes_unknown_when_nothing_is_found(house: House) -> None:
    """Health and alerts see UNKNOWN; PENDING for two days was healthy."""
    house.absence = Absence.UNCLEAR
    asked(house, status=S.PENDING, exchange_uuid=None)

    statuses = [(await looked(house, None)).status for _ in range(17)]

    assert statuses[0] is S.PENDING
    assert statuses[-1] is S.UNKNOWN


async def test_an_order_that_the_exchange_had_accepted_and_knows_no_more_is_put_aside(
    house: House,
) -> None:
    asked(house)

    for _ in range(31):
        order = await looked(house, None)

    assert order.quarantine is not None
    assert order.quarantine.reason == "order_gone"
    for _ in range(200):
        order = await looked(house, None)
    assert order.status is S.UNKNOWN
    assert house.asked_absence == []


async def test_an_order_put_aside_after_it_was_accepted_is_never_given_up(house: House) -> None:
    asked(house)
    await looked(house, an_exchange_order(**FIVE))

    for _ in range(200):
        order = await looked(house, None)

    assert order.status is S.UNKNOWN


# --- what turns up after all (A2, A4) --------------------------------------------------------


def listed(order: ExchangeOrder, **overrides: Any) -> ListedOrder:
    values: dict[str, Any] = {
        "order": replace(order, trades=()),
        "intent": an_intent(),
        "executed_funds": None,
    }
    return ListedOrder(**values | overrides)


async def test_an_order_that_turns_up_after_it_counted_as_failed_is_taken_in(
    house: House, logs: Logs
) -> None:
    asked(house, status=S.FAILED, reason="not_placed", exchange_uuid=None, decision_id=7)
    house.exchange.orders["uat-1"] = an_exchange_order()

    found = await house.reconciler.take_in(listed(an_exchange_order()))

    assert found is not None
    assert (found.status, found.reason, found.origin) == (
        S.EXECUTED,
        "recovered",
        OrderOrigin.RECOVERED,
    )
    assert (await house.orders.position(KRW_BTC)).volume == Decimal("0.001")
    assert reduced(house) == [("order_recovered", KRW_BTC)]
    assert [one["level"] for one in logs.of("order") if one["message"] == "order"] == ["ERROR"]


async def test_an_order_of_ours_without_a_row_gets_one_with_its_fills(house: House) -> None:
    house.exchange.orders["uat-1"] = an_exchange_order()

    found = await house.reconciler.take_in(listed(an_exchange_order()))
    again = await house.reconciler.take_in(listed(an_exchange_order()))

    assert found is not None
    assert again == house.orders.rows[1]
    assert (found.status, found.origin) == (S.EXECUTED, OrderOrigin.RECOVERED)
    assert (await house.orders.position(KRW_BTC)).volume == Decimal("0.001")
    assert reduced(house) == [("order_recovered", KRW_BTC)]


async def test_a_final_order_gets_the_fill_and_the_fee_that_it_lacks(house: House) -> None:
    order = an_order(
        status=S.EXECUTED, exchange_uuid="e-1", executed_volume=Decimal("0.0004"), paid_fee=ZERO
    )
    first = a_fill(volume=Decimal("0.0004"), funds=Decimal(40_000), fee=ZERO)
    house.orders.hold(order, first)
    whole = an_exchange_order(
        trades=(
            a_trade(volume=Decimal("0.0004"), funds=Decimal(40_000)),
            a_trade(uuid="t-2", volume=Decimal("0.0006"), funds=Decimal(60_000)),
        ),
        trades_count=2,
    )
    house.exchange.orders["uat-1"] = whole

    found = await house.reconciler.take_in(listed(whole))

    assert found is not None
    assert found.status is S.EXECUTED
    row = house.orders.rows[1]
    assert (row.executed_volume, row.paid_fee) == (Decimal("0.001"), Decimal(50))


async def test_an_order_being_sent_and_one_that_we_cannot_have_sent_are_left_alone(
    house: House,
) -> None:
    house.reconciler.take("uat-1")
    in_hand = await house.reconciler.take_in(listed(an_exchange_order()))
    house.reconciler.let_go("uat-1")

    foreign = await house.reconciler.take_in(listed(an_exchange_order(), intent=None))

    assert (in_hand, foreign) == (None, None)
    assert house.orders.rows == {}


async def test_a_fill_that_meets_a_row_which_failed_meanwhile_is_not_dropped(house: House) -> None:
    """Regression: the answer was found, the row was FAILED by then, and the fill went nowhere."""
    order = asked(house, status=S.UNKNOWN, exchange_uuid=None)
    await house.reconciler.unsent(order, reason="not_placed")
    house.exchange.orders["uat-1"] = an_exchange_order()

    found = await house.reconciler.absorb(order, an_exchange_order())

    assert (found.status, found.origin) == (S.EXECUTED, OrderOrigin.RECOVERED)
    assert len(house.orders.booked) == 1
    assert reduced(house) == [("order_recovered", KRW_BTC)]


@pytest.mark.parametrize(
    "move",
    [
        lambda house, order: house.reconciler.unknown(order),
        lambda house, order: house.reconciler.accepted(order, an_exchange_order()),
        lambda house, order: house.reconciler.unsent(order),
    ],
)
async def test_a_move_that_comes_second_returns_the_row_as_it_is(
    house: House, move: Callable[[House, Order], Any]
) -> None:
    order = asked(house, status=S.PENDING, exchange_uuid=None)
    await looked(house, an_exchange_order())

    after = await move(house, order)

    assert after == house.orders.rows[1]
    assert after.status is S.EXECUTED
