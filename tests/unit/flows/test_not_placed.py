"""An operator's word ends an order only when the exchange does not contradict it."""

from datetime import timedelta
from typing import Any

import pytest

from service.domain.errors import (
    AbsenceRefused,
    BoundaryError,
    ExchangeUnavailable,
    NotFound,
    NotLeader,
    StoreDown,
)
from service.domain.orders import ExchangeOrder, Order, OrderOrigin, OrderStatus
from service.flows.account_book import AccountBook
from service.flows.not_placed import BY_OPERATOR, NotPlacedOrders
from service.flows.order_sweep import OrderSweep
from tests.builders import KRW_BTC, T0, an_intent, an_order
from tests.fakes.account_books import FakeAccountBooks
from tests.fakes.exchange import FakeExchange
from tests.fakes.logs import Logs
from tests.fakes.order_sweep import FakeSweptOrders
from tests.unit.flows.conftest import House

S = OrderStatus


class ForgetfulExchange(FakeExchange):
    """Its look-up finds nothing, while its lists do."""

    async def find(self, identifier: str) -> ExchangeOrder | None:
        await super().find(identifier)
        return None


class Desk:
    """A house with an order of unknown outcome, sent five minutes ago."""

    def __init__(self, house: House, exchange: FakeExchange | None = None) -> None:
        self.house = house
        self.exchange = exchange or house.exchange
        self.account_book = AccountBook(
            books=FakeAccountBooks(),
            orders=house.orders,
            exchange=self.exchange,
            clock=house.clock,
        )
        self.not_placed_orders = NotPlacedOrders(
            orders=house.orders,
            exchange=self.exchange,
            account_book=self.account_book,
            reconciler=house.reconciler,
            leadership=house.leadership,
            clock=house.clock,
        )
        self.hold()
        house.clock.pass_time(300)

    def hold(self, **overrides: Any) -> None:
        self.house.orders.hold(an_order(**{"status": S.UNKNOWN} | overrides))

    async def arrive(self) -> None:
        """Let the exchange have the order after all."""
        await self.exchange.submit(an_intent(), identifier="uat-1", before_send=lambda: None)

    async def lead(self) -> None:
        """Renew the lease, which a fake clock outlives."""
        await self.house.leadership.renew()
        await self.house.leadership.settle()

    async def declare(self) -> Order:
        await self.lead()
        await self.not_placed_orders.declare(1, by="admin@here")
        return self.house.orders.rows[1]

    async def refused(self) -> str:
        """Return the rule that refuses; the order stays as it is."""
        with pytest.raises(AbsenceRefused) as refusal:
            await self.declare()
        assert self.house.orders.rows[1].status is not S.FAILED
        return refusal.value.rule


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


async def test_the_order_ends_and_its_market_is_free(desk: Desk, logs: Logs) -> None:
    order = await desk.declare()

    assert (order.status, order.reason) == (S.FAILED, BY_OPERATOR)
    assert await desk.house.orders.open(KRW_BTC) == ()
    [line] = [line for line in logs.of("order") if "never placed" in line["message"]]
    assert line["actor"] == "admin@here"


async def test_a_second_word_changes_nothing_and_is_no_error(desk: Desk) -> None:
    first = await desk.declare()
    calls = len(desk.exchange.calls)

    assert await desk.declare() == first
    assert "find" not in desk.exchange.calls[calls:]


async def test_an_order_that_the_exchange_has_is_taken_in_instead(desk: Desk) -> None:
    await desk.arrive()

    assert await desk.refused() == "on_the_exchange"
    assert desk.house.orders.rows[1].status is S.EXECUTED


async def test_an_order_of_which_only_the_look_up_knows_is_settled(house: House) -> None:
    class Unlisted(FakeExchange):
        async def find(self, identifier: str) -> ExchangeOrder | None:
            return await house.exchange.find(identifier)

    desk = Desk(house, Unlisted(clock=house.clock))
    await house.exchange.submit(an_intent(), identifier="uat-1", before_send=lambda: None)

    assert await desk.refused() == "on_the_exchange"
    assert house.orders.rows[1].status is S.EXECUTED


async def test_an_order_that_only_a_list_shows_is_not_ended(house: House) -> None:
    desk = Desk(house, ForgetfulExchange(clock=house.clock))
    await desk.arrive()

    assert await desk.refused() == "on_the_exchange"


async def test_a_listed_order_is_not_ended_though_the_look_up_fails(desk: Desk) -> None:
    await desk.arrive()
    desk.exchange.fail_next("find", ExchangeUnavailable("gone"))

    assert await desk.refused() == "on_the_exchange"


async def test_an_order_younger_than_five_minutes_may_still_arrive(desk: Desk) -> None:
    desk.hold(created_at=T0 + timedelta(seconds=1))

    assert await desk.refused() == "too_young"


@pytest.mark.parametrize("status", [S.PENDING, S.SUBMITTED, S.PARTIALLY_FILLED, S.EXECUTED])
async def test_only_an_unknown_order_is_ended(desk: Desk, status: OrderStatus) -> None:
    await desk.lead()
    desk.hold(status=status)

    with pytest.raises(AbsenceRefused) as refusal:
        await desk.not_placed_orders.declare(1, by="admin")

    assert refusal.value.rule == "not_unknown"
    assert desk.house.orders.rows[1].status is status


async def test_an_order_that_failed_for_another_reason_is_no_repeat(desk: Desk) -> None:
    desk.hold(status=S.FAILED, reason="insufficient_funds_bid")
    await desk.lead()

    with pytest.raises(AbsenceRefused) as refusal:
        await desk.not_placed_orders.declare(1, by="admin")

    assert refusal.value.rule == "not_unknown"


async def test_an_order_that_the_exchange_accepted_once_is_not_ended(desk: Desk) -> None:
    desk.hold(exchange_uuid="e-1")

    assert await desk.refused() == "acknowledged"


@pytest.mark.parametrize("method", ["find", "open_orders", "closed_orders"])
async def test_without_the_exchanges_answer_nothing_is_stored(desk: Desk, method: Any) -> None:
    await desk.lead()
    desk.exchange.fail_next(method, ExchangeUnavailable("gone"))

    with pytest.raises(BoundaryError):
        await desk.not_placed_orders.declare(1, by="admin")

    assert desk.house.orders.rows[1].status is S.UNKNOWN


async def test_a_process_that_does_not_trade_asks_and_ends_nothing(desk: Desk) -> None:
    asked = list(desk.exchange.calls)

    with pytest.raises(NotLeader):
        await desk.not_placed_orders.declare(1, by="admin")

    assert desk.exchange.calls == asked
    assert desk.house.orders.rows[1].status is S.UNKNOWN


async def test_a_lease_that_is_lost_while_the_exchange_answers_ends_nothing(house: House) -> None:
    class Slow(FakeExchange):
        async def find(self, identifier: str) -> ExchangeOrder | None:
            house.clock.pass_time(60)
            return await super().find(identifier)

    desk = Desk(house, Slow(clock=house.clock))

    with pytest.raises(NotLeader):
        await desk.declare()

    assert house.orders.rows[1].status is S.UNKNOWN


async def test_an_order_that_another_pass_settles_meanwhile_is_not_ended(house: House) -> None:
    class Meanwhile(FakeExchange):
        async def find(self, identifier: str) -> ExchangeOrder | None:
            house.orders.hold(an_order(status=S.SUBMITTED))
            return None

    assert await Desk(house, Meanwhile(clock=house.clock)).refused() == "not_unknown"


async def test_an_order_that_does_not_exist_is_not_found(desk: Desk) -> None:
    await desk.lead()

    with pytest.raises(NotFound):
        await desk.not_placed_orders.declare(2, by="admin")


async def test_an_outage_of_the_database_is_told(desk: Desk) -> None:
    await desk.lead()
    desk.house.orders.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await desk.not_placed_orders.declare(1, by="admin")


async def test_an_order_that_turns_up_after_the_word_is_recovered(desk: Desk) -> None:
    """The word was wrong: the order gets its fills, and its market may only be reduced."""
    await desk.declare()
    await desk.arrive()
    sweep = OrderSweep(
        account_book=desk.account_book,
        rows=FakeSweptOrders(desk.house.orders),
        take_in=desk.house.reconciler.take_in,
        clock=desk.house.clock,
    )

    await sweep.begin()

    order = desk.house.orders.rows[1]
    assert (order.status, order.origin) == (S.EXECUTED, OrderOrigin.RECOVERED)
    assert [(h.reason, h.market) for h in desk.house.state.halts] == [("order_recovered", KRW_BTC)]
