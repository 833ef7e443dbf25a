"""What fails too often is left alone: purchases and questions to the model, and nothing else."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest

from service.domain.errors import (
    BoundaryError,
    ExchangeRefused,
    ExchangeUnavailable,
    ModelRefused,
    ModelUnavailable,
    OutcomeUnknown,
)
from service.domain.markets import Market
from service.domain.orders import Order, OrderStatus, Side
from service.domain.positions import Position
from service.domain.signals import Trigger
from service.flows.all_markets import AllMarkets
from service.flows.circuit_breaker import Circuit
from service.loops.loop import Loop, every
from service.loops.runner import Runner
from service.settings.table import AI_MODEL
from tests.builders import KRW_BTC, T0, an_intent
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.fakes.orders import FakeOrders
from tests.unit.flows.conftest import House

TIMEOUT = ModelUnavailable("no answer", code="timeout")


def a_circuit(clock: FakeClock) -> Circuit:
    return Circuit("the model", error=ModelUnavailable, seconds=clock.monotonic)


def ends_with(circuit: Circuit, clock: FakeClock, *errors: BaseException) -> None:
    """Make one call after the other, two seconds apart."""
    for error in errors:
        clock.pass_time(2)
        with pytest.raises(type(error)), circuit.call():
            raise error


def broken(circuit: Circuit, clock: FakeClock) -> None:
    ends_with(circuit, clock, *[TIMEOUT] * 5)
    assert circuit.is_open


# --- the circuit ---------------------------------------------------------------------------------


def test_while_it_is_open_nothing_is_asked_and_the_wait_is_told(logs: Logs) -> None:
    clock = FakeClock()
    circuit = a_circuit(clock)
    broken(circuit, clock)
    clock.pass_time(4)

    for _ in range(3):
        with pytest.raises(ModelUnavailable) as caught, circuit.call():
            pytest.fail("asked all the same")

    assert (caught.value.code, caught.value.retry_after_s) == ("circuit_open", 11)
    assert [(line["level"], line["event"], line["circuit"]) for line in logs.lines] == [
        ("WARNING", "app", "the model")
    ]


def test_one_call_finds_out_and_the_circuit_closes(logs: Logs) -> None:
    clock = FakeClock()
    circuit = a_circuit(clock)
    broken(circuit, clock)
    clock.pass_time(15)
    over = circuit.is_open

    with circuit.call(), pytest.raises(ModelUnavailable):
        circuit.check()

    assert not over, "who asks next finds out: health says no more than is known"
    assert not circuit.is_open
    assert logs.levels == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    ("error", "is_open"),
    [
        (TIMEOUT, True),
        (ExchangeUnavailable("x", code="unreachable"), True),
        (OutcomeUnknown("x", code="timeout"), True),
        (asyncio.CancelledError(), True),
        (ModelUnavailable("slow down", code="rate_limited", retry_after_s=3), False),
        (ExchangeUnavailable("blocked", code="banned", retry_after_s=60), False),
        (ModelRefused("x", code="auth_rejected"), False),
        (ExchangeRefused("x", code="insufficient_funds_bid"), False),
        (ValueError("a bug of ours"), False),
    ],
)
def test_only_silence_breaks_it_and_never_an_answer(error: BaseException, *, is_open: bool) -> None:
    clock = FakeClock()
    circuit = a_circuit(clock)

    ends_with(circuit, clock, *[error] * (5 if is_open else 20))

    assert circuit.is_open is is_open


# --- the one retry layer (FR-007) ----------------------------------------------------------------


class Markets:
    """Rounds over some markets whose questions take so long and fail until a certain one."""

    def __init__(self, clock: FakeClock, *, number: int, takes_s: float, fails: int) -> None:
        self.clock, self.takes_s, self.fails = clock, takes_s, fails
        self.circuit = a_circuit(clock)
        self.attempts: list[float] = []
        self.asked: list[float] = []
        self.markets = [Market("KRW", f"C{n}") for n in range(number)]
        self.all_markets = AllMarkets(trade=self.trade, markets=self.named)
        self.runner = Runner(clock=clock, real_clock=clock, new_id=lambda: "run-1")

    async def named(self) -> list[Market]:
        return self.markets

    async def trade(self, _: Market, *, trigger: Trigger) -> None:
        with self.circuit.call():
            self.asked.append(self.at)
            self.clock.pass_time(self.takes_s)
            if len(self.asked) <= self.fails:
                raise TIMEOUT

    @property
    def at(self) -> float:
        return (self.clock.now() - T0).total_seconds()

    async def passes(self, number: int, *, every_s: int) -> list[float]:
        """Return when each attempt began."""
        before = len(self.attempts)

        def begin(trigger: Trigger) -> None:
            self.all_markets.begin(trigger)
            self.left -= 1
            if self.left == 0:
                self.runner.stop()

        async def step() -> None:
            self.attempts.append(self.at)
            await self.all_markets.step()

        self.left = number + 1
        loop = Loop(name="signals", every=every(seconds=every_s), step=step, begin=begin)
        await self.runner.run(loop)
        return self.attempts[before:]


@pytest.mark.parametrize("number", [1, 5])
async def test_a_pass_is_tried_again_after_one_two_and_four_seconds_in_any_number_of_markets(
    number: int,
) -> None:
    clock = FakeClock()
    markets = Markets(clock, number=number, takes_s=0.01, fails=3 * number)

    attempts = await markets.passes(1, every_s=1800)

    assert [round(at) for at in attempts[:4]] == [0, 1, 3, 7]
    assert len(markets.asked) >= 4 * number, "the fourth attempt asks, and is answered"


async def test_pass_after_pass_in_vain_keeps_its_waits() -> None:
    clock = FakeClock()
    markets = Markets(clock, number=3, takes_s=0.01, fails=1000)

    attempts = await markets.passes(4, every_s=60)

    expected = [60 * turn + wait for turn in range(4) for wait in (0, 1, 3, 7)]
    assert [round(at) for at in attempts[:16]] == expected
    assert len(markets.asked) >= 16 * 3


async def test_where_every_question_hangs_the_next_ones_wait_once_and_do_not_spin() -> None:
    clock = FakeClock()
    markets = Markets(clock, number=3, takes_s=30, fails=1000)

    attempts = await markets.passes(1, every_s=1800)

    # The fifth failure in a row, at 151 s, opens the circuit: the third market is not asked.
    assert markets.asked[:5] == [0, 30, 60, 91, 121]
    # The next attempt comes when one may find out, not after two seconds; in vain, so twice as
    # long is waited.
    assert attempts[:4] == [0, 91, 166, 226]
    assert markets.asked[5:7] == [166, 226]


# --- what it guards ------------------------------------------------------------------------------


async def break_purchases(house: House) -> None:
    for _ in range(5):
        house.clock.pass_time(2)
        with pytest.raises(OutcomeUnknown), house.purchases.call():
            raise OutcomeUnknown("x", code="timeout")
    await house.leadership.renew()  # the lease is shorter than all that


async def test_a_model_that_is_left_alone_costs_nothing_and_leaves_no_row(house: House) -> None:
    broken(house.circuits.of(AI_MODEL.default), house.clock)

    with pytest.raises(ModelUnavailable) as caught:
        await house.pipeline.trade(KRW_BTC)

    assert caught.value.code == "circuit_open"
    assert (house.model.asked, house.exchange.calls, house.signals.calls) == ([], [], [])


class OrdersThatTakeLong(FakeOrders):
    """Much happens elsewhere while a position is read."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] = lambda: None

    async def position(self, market: Market) -> Position:
        self.meanwhile()
        return await super().position(market)


async def test_a_question_kept_back_at_the_last_moment_leaves_no_row_either() -> None:
    orders = OrdersThatTakeLong()
    house = House(orders=orders)
    orders.meanwhile = partial(broken, house.circuits.of(AI_MODEL.default), house.clock)

    with pytest.raises(ModelUnavailable) as caught:
        await house.pipeline.trade(KRW_BTC)

    assert caught.value.code == "circuit_open"
    assert (house.model.asked, house.signals.calls) == ([], [])


async def test_a_purchase_is_not_written_while_purchases_fail_and_is_made_up_for(
    house: House,
) -> None:
    await break_purchases(house)

    with pytest.raises(ExchangeUnavailable) as caught:
        await house.pipeline.trade(KRW_BTC)
    before = dict(house.orders.rows)
    house.clock.pass_time(15)
    await house.leadership.renew()
    await house.pipeline.trade(KRW_BTC)

    assert caught.value.retry_after_s == 15
    assert before == {}
    (order,) = house.orders.rows.values()
    assert order.status is OrderStatus.EXECUTED
    assert len(house.model.asked) == 1, "the same signal, judged again"
    assert not house.purchases.is_open


async def test_purchases_of_unknown_fate_stop_at_five(house: House) -> None:
    orders: list[Order] = []
    for _ in range(5):
        house.exchange.fail_next("submit", OutcomeUnknown("x", code="timeout"))
        house.exchange.fail_next("find", ExchangeUnavailable("x", code="timeout"))
        house.exchange.fail_next("find", ExchangeUnavailable("x", code="timeout"))
        house.exchange.fail_next("find", ExchangeUnavailable("x", code="timeout"))
        orders.append(await house.executor.execute(an_intent(), decision_id=None))
        await house.leadership.renew()

    with pytest.raises(ExchangeUnavailable):
        await house.executor.execute(an_intent(), decision_id=None)

    assert [order.status for order in orders] == [OrderStatus.UNKNOWN] * 5
    assert house.exchange.calls.count("submit") == 5


async def test_sales_cancels_and_reconciliation_pass_an_open_circuit(house: House) -> None:
    bought = await house.executor.execute(an_intent(), decision_id=None)
    await break_purchases(house)
    house.orders.hold(replace(bought, status=OrderStatus.SUBMITTED))

    moved = await house.reconciler.reconcile()
    sale = an_intent(side=Side.SELL, funds=None, volume=Decimal("0.001"))
    sold = await house.executor.execute(sale, decision_id=None)
    with pytest.raises(BoundaryError) as refused:
        await house.exchange.cancel(sold.identifier)

    assert house.purchases.is_open
    assert moved == 1
    assert sold.status is OrderStatus.EXECUTED
    assert refused.value.code == "order_not_found", "it went out and was answered"
