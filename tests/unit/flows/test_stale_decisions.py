"""A decision is good for its moment: what stopped half-way is judged again before it is sent."""

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from service.domain.errors import ExchangeRefused, NotLeader, OrderRefused, StoreDown
from service.domain.markets import Balances, Market
from service.domain.orders import Intent, Order, OrderStatus, Side
from service.domain.risk.verdicts import Allowed, Refused
from service.domain.trading_states import OrderSource
from service.flows.lapsed_decisions import close_lapsed
from tests.builders import KRW_BTC, a_halt, an_intent, some_rules
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.logs import Logs
from tests.fakes.orders import FakeOrders
from tests.unit.flows.conftest import House

KRW_ETH = Market("KRW", "ETH")


async def cut_short_before_the_order(house: House) -> None:
    """Leave an allowed decision whose order could not be written."""
    house.signals.after_decision = lambda: setattr(house.orders, "fail", StoreDown("gone"))
    with pytest.raises(StoreDown):
        await house.pipeline.trade(KRW_BTC)
    house.signals.after_decision = None
    (made,) = house.signals.decisions
    assert isinstance(made.verdict, Allowed)
    assert house.orders.rows == {}


async def test_an_outage_between_decision_and_order_is_made_up_for_within_seconds(
    house: House,
) -> None:
    await cut_short_before_the_order(house)

    house.clock.pass_time(1)
    await house.pipeline.trade(KRW_BTC)

    (order,) = house.orders.rows.values()
    assert (order.decision_id, order.status) == (1, OrderStatus.EXECUTED)
    assert len(house.model.asked) == 1


async def test_an_allowed_order_is_not_sent_half_an_hour_later(house: House) -> None:
    await cut_short_before_the_order(house)

    house.clock.pass_time(1800)
    await house.leadership.renew()
    await house.pipeline.trade(KRW_BTC)

    assert {order.decision_id for order in house.orders.rows.values()} == {2}


async def test_an_allowed_order_is_not_sent_once_trading_was_switched_off(house: House) -> None:
    await cut_short_before_the_order(house)

    await house.allow(trading_enabled=False)
    await house.pipeline.trade(KRW_BTC)

    assert (house.orders.rows, house.exchange.sent) == ({}, [])
    assert house.orders.tables.lapsed == {1: "trading_enabled"}


async def test_a_switch_that_was_set_off_unheard_stops_the_next_decision(house: House) -> None:
    await house.pipeline.trade(KRW_BTC)
    sent = len(house.exchange.sent)

    house.settings.distrust()  # the connection for notifications is lost
    house.rows.stored["trading_enabled"] = False
    await house.pipeline.trade(KRW_BTC)

    verdict = house.signals.decisions[-1].verdict
    assert isinstance(verdict, Refused)
    assert (verdict.reason, len(house.exchange.sent)) == ("trading_enabled", sent)


async def test_an_allowed_order_is_not_sent_once_trading_was_halted(
    house: House, logs: Logs
) -> None:
    await cut_short_before_the_order(house)

    house.state.halts.append(a_halt(reason="daily loss"))
    await house.pipeline.trade(KRW_BTC)

    assert house.exchange.sent == []
    (line,) = [line for line in logs.of("risk") if line["message"].startswith("an allowed")]
    assert (line["decision_id"], line["reason"]) == (1, "trading_enabled")


async def test_an_allowed_order_is_cut_to_the_money_that_is_left_by_then(house: House) -> None:
    await house.allow(
        position_size_min_pct=100,
        position_size_max_pct=100,
        max_position_pct=100,
        max_exposure_pct=100,
    )
    await cut_short_before_the_order(house)

    house.exchange.available["KRW"] = Decimal(8_004)
    house.exchange.locked["KRW"] = Decimal(10_000_000 - 8_004)  # an order of the operator's own
    await house.pipeline.trade(KRW_BTC)

    (order,) = house.orders.rows.values()
    assert 7_900 < order.intent.most_funds <= 8_000


async def test_a_lease_lost_after_the_decision_ends_the_signal_without_an_order(
    house: House, logs: Logs
) -> None:
    house.signals.after_decision = lambda: house.clock.pass_time(9)

    signal = await house.pipeline.trade(KRW_BTC)
    house.signals.after_decision = None
    await house.leadership.renew()
    await house.pipeline.trade(KRW_BTC)

    assert signal is not None
    assert {order.decision_id for order in house.orders.rows.values()} == {2}
    assert house.orders.tables.lapsed == {1: "lease_lost"}
    assert "WARNING" in logs.levels


async def test_a_lapse_that_cannot_be_written_is_written_by_the_next_pass(house: House) -> None:
    await cut_short_before_the_order(house)
    await house.allow(trading_enabled=False)
    house.signals.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await house.pipeline.trade(KRW_BTC)
    assert house.orders.tables.lapsed == {}
    await house.pipeline.trade(KRW_BTC)

    assert house.orders.tables.lapsed == {1: "trading_enabled"}


async def test_a_decision_whose_written_order_is_open_does_not_lapse(house: House) -> None:
    """The answer of the insert was lost; the rules then refuse a second order beside it."""
    house.orders.lose = StoreDown("the commit's answer was lost")
    with pytest.raises(StoreDown):
        await house.pipeline.trade(KRW_BTC)

    await house.pipeline.trade(KRW_BTC)

    assert (len(house.orders.rows), house.orders.tables.lapsed) == (1, {})


async def test_a_takeover_closes_what_was_allowed_and_not_ordered(house: House, logs: Logs) -> None:
    """The process that decided was killed; its successor says so and never orders it."""
    await cut_short_before_the_order(house)

    await close_lapsed(house.signals, house.clock)
    await close_lapsed(house.signals, house.clock)
    await house.pipeline.trade(KRW_BTC)  # the process was not killed, it lost the lease for a while

    assert house.orders.tables.lapsed == {1: "process_ended"}
    assert {order.decision_id for order in house.orders.rows.values()} <= {2}
    (line,) = [line for line in logs.of("risk") if "took over" in line["message"]]
    assert line["decision_ids"] == [1]


async def test_a_bug_in_one_decision_does_not_block_its_market_for_ever(house: House) -> None:
    house.signals.fail_decision = KeyError("bug")
    with pytest.raises(KeyError):
        await house.pipeline.trade(KRW_BTC)

    await house.pipeline.trade(KRW_BTC)

    assert len(house.exchange.sent) == 1


async def test_a_decision_whose_answer_was_lost_is_found_and_carried_out(house: House) -> None:
    house.signals.lose_decision = StoreDown("the commit's answer was lost")
    with pytest.raises(StoreDown):
        await house.pipeline.trade(KRW_BTC)

    await house.pipeline.trade(KRW_BTC)

    assert len(house.signals.decisions) == 1
    assert len(house.exchange.sent) == 1


async def test_a_cancelled_pass_is_taken_up_where_it_stopped(house: House) -> None:
    house.exchange.fail_next("balances", asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await house.pipeline.trade(KRW_BTC)

    await house.pipeline.trade(KRW_BTC)

    assert len(house.model.asked) == 1
    assert len(house.exchange.sent) == 1


async def test_two_markets_at_once_cannot_both_take_the_hours_last_order(house: House) -> None:
    await house.allow(max_orders_per_hour=1)
    house.exchange.set_price(1_000_000, KRW_ETH)
    house.exchange.market_rules[KRW_ETH] = some_rules(market=KRW_ETH)

    await asyncio.gather(house.pipeline.trade(KRW_BTC), house.pipeline.trade(KRW_ETH))

    verdicts = [made.verdict for made in house.signals.decisions]
    assert len(house.exchange.sent) == 1
    assert [v.reason for v in verdicts if isinstance(v, Refused)] == ["order_rate"]


class SlowExchange(FakeExchange):
    """Takes its time over the balances."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.takes_s = 0.0
        self._slow = clock

    async def balances(self) -> Balances:
        self._slow.pass_time(self.takes_s)
        return await super().balances()


async def test_a_signal_that_grows_old_while_the_rules_look_around_is_refused(
    house: House,
) -> None:
    slow = SlowExchange(house.clock)
    slow.takes_s = 20.0
    house.decider._situations = replace(house.decider._situations, exchange=slow)
    await house.allow(signal_max_age_seconds=10)

    await house.pipeline.trade(KRW_BTC)

    (made,) = house.signals.decisions
    assert isinstance(made.verdict, Refused)
    assert made.verdict.reason == "signal_age"


@dataclass
class SlowOrders(FakeOrders):
    """Writes, and then the process stands still: a stopped machine, a busy disk."""

    clock: FakeClock = field(default_factory=FakeClock)
    takes_s: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()

    async def add(self, intent: Intent, **rest: object) -> Order:
        order = await super().add(intent, **rest)  # type: ignore[arg-type]
        self.clock.pass_time(self.takes_s)
        return order


@pytest.mark.parametrize("takes_s", [1.1, 60.0])
async def test_a_request_that_would_leave_late_is_not_sent(takes_s: float) -> None:
    """Meanwhile another process may have found no such order and gone on."""
    clock = FakeClock()
    house = House(clock=clock, orders=SlowOrders(clock=clock, takes_s=takes_s))
    await house.allow(trading_enabled=True)
    await house.leadership.renew()
    await house.leadership.settle()

    order = await house.executor.execute(an_intent(), decision_id=1)

    assert house.exchange.sent == []
    assert (order.status, order.reason) == (OrderStatus.FAILED, "too_late")


async def test_a_process_whose_lease_was_lost_while_it_wrote_sends_nothing() -> None:
    clock = FakeClock()
    house = House(clock=clock, orders=SlowOrders(clock=clock, takes_s=0.9))
    await house.allow(trading_enabled=True)
    await house.leadership.renew()
    await house.leadership.settle()
    clock.pass_time(7.5)  # half a second of trust is left

    order = await house.executor.execute(an_intent(), decision_id=1)

    assert house.exchange.sent == []
    assert (order.status, order.reason) == (OrderStatus.FAILED, "lease_lost")


async def test_a_refusal_of_the_key_is_no_bug_and_the_signal_is_refused_for_its_age_later(
    house: House,
) -> None:
    house.exchange.fail_next("balances", ExchangeRefused("no", code="expired_access_key"))
    with pytest.raises(ExchangeRefused):
        await house.pipeline.trade(KRW_BTC)

    house.clock.pass_time(1800)
    await house.leadership.renew()
    await house.pipeline.trade(KRW_BTC)

    first, second = house.signals.decisions
    assert isinstance(first.verdict, Refused)
    assert isinstance(second.verdict, Allowed)


async def test_no_lease_is_said_before_anything_is_written(house: House) -> None:
    house.clock.pass_time(9)

    with pytest.raises(NotLeader):
        await house.executor.execute(an_intent(), decision_id=1)

    assert house.orders.rows == {}


async def test_an_order_that_the_rules_refuse_as_it_is_written_ends_its_signal(
    house: House, logs: Logs
) -> None:
    """The switch was set off after the verdict; the order is neither written nor tried again."""
    house.signals.after_decision = lambda: house.rows.stored.update(trading_enabled=False)

    signal = await house.pipeline.trade(KRW_BTC)
    house.signals.after_decision = None
    house.rows.stored["trading_enabled"] = True
    await house.pipeline.trade(KRW_BTC)

    (line,) = [line for line in logs.of("risk") if "as it was written" in line["message"]]
    assert signal is not None
    assert (line["signal_id"], line["reason"]) == (signal.id, "trading_enabled")
    assert house.orders.tables.refusals == [("trading_enabled", "DISABLED")]
    assert {order.decision_id for order in house.orders.rows.values()} == {2}


class CrowdedOrders(FakeOrders):
    """Counts how many inserts run at the same time."""

    at_work, most_at_work = 0, 0

    async def add(self, intent: Intent, **rest: object) -> Order:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        await asyncio.sleep(0)  # others run, as during a statement
        try:
            return await super().add(intent, **rest)  # type: ignore[arg-type]
        finally:
            self.at_work -= 1


async def test_orders_are_written_one_at_a_time() -> None:
    """PostgreSQL counts the hour's orders as they were before a wait: two would miss each other."""
    orders = CrowdedOrders()
    house = House(orders=orders)
    await house.allow(trading_enabled=True, max_orders_per_hour=1)
    await house.leadership.renew()
    await house.leadership.settle()

    results = await asyncio.gather(
        *(house.executor.execute(an_intent(), decision_id=n) for n in (1, 2)),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [Order, OrderRefused]
    assert orders.most_at_work == 1


async def test_a_protective_sale_is_not_one_order_too_many(house: House) -> None:
    await house.allow(max_orders_per_hour=1)
    bought = await house.executor.execute(an_intent(), decision_id=1)

    sale = an_intent(side=Side.SELL, volume=bought.executed_volume or Decimal("0.001"), funds=None)
    sold = await house.executor.execute(sale, decision_id=None, source=OrderSource.RULE)

    assert sold.status is OrderStatus.EXECUTED
