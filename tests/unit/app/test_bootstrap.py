"""The composed flows: each is bound to the very thing that keeps it safe."""

import pytest

from service.app.services import Services
from service.domain.errors import ExchangeUnavailable, ModelRefused, ModelUnavailable
from service.domain.orders import OrderStatus
from service.domain.risk.verdicts import Allowed
from service.domain.trading_states import TradingStatus
from service.flows.circuit_breaker import Circuit
from service.ports.halt_journal import JournalEntry
from service.settings.table import AI_MODEL
from tests.builders import KRW_BTC, T0, a_halt, an_answer, an_intent, an_order
from tests.fakes.clock import FakeClock
from tests.fakes.halt_journal import FakeHaltJournal
from tests.fakes.signals import Decided
from tests.fakes.state import FakeLease
from tests.unit.app.house import House

OFTEN = 5  #: failures in a row open a circuit


async def leads(services: Services) -> None:
    await services.leadership.renew()
    await services.leadership.settle()
    assert services.leadership.may_trade


@pytest.mark.proves("S4.2")
async def test_a_new_leader_settles_what_the_last_one_left_open_before_it_trades() -> None:
    """S4.2: what became of an order is known before another one is made."""
    house = House()
    sent = await house.exchange.submit(an_intent(), identifier="uat-1")
    house.orders.hold(an_order(identifier="uat-1", status=OrderStatus.UNKNOWN))
    async with house.running(with_loops=False) as services:
        await leads(services)

    assert sent.identifier == "uat-1"
    assert house.orders.rows[1].status is OrderStatus.EXECUTED


async def test_an_order_without_a_row_is_taken_in_before_the_first_trade() -> None:
    house = House()
    house.clock = FakeClock()  # the exchange's time: the order is of today
    await house.exchange.submit(an_intent(), identifier="uat-lost")
    async with house.running(with_loops=False) as services:
        await leads(services)

    taken = await house.orders.find("uat-lost")
    assert taken is not None
    assert taken.status is OrderStatus.EXECUTED


async def test_a_new_owner_closes_what_was_allowed_and_not_ordered() -> None:
    """The process that allowed it was killed before it wrote the order."""
    house = House()
    house.signals.decisions.append(
        Decided(signal_id=1, verdict=Allowed(intent=an_intent(), checks=()), at=T0)
    )
    async with house.running(with_loops=False) as services:
        await leads(services)

    assert house.orders.tables.lapsed == {1: "process_ended"}


async def test_a_signal_goes_all_the_way_to_an_order_and_is_counted() -> None:
    house = House()
    house.clock = FakeClock()  # the exchange's time: the trades are of today
    async with house.running(with_loops=False) as services:
        await services.trading_switch.load()
        await leads(services)
        await services.pipeline.trade(KRW_BTC)
        told = services.metrics_text().decode()

    assert isinstance(house.signals.decisions[0].verdict, Allowed)
    assert [order.status for order in house.orders.rows.values()] == [OrderStatus.EXECUTED]
    assert 'trader_signals_total{action="BUY"} 1.0' in told
    assert 'trader_orders_total{status="EXECUTED"} 1.0' in told
    assert 'trader_decisions_total{reason="",verdict="ALLOWED"} 1.0' in told


async def opened(circuit: Circuit, clock: FakeClock) -> None:
    for _ in range(OFTEN):
        clock.pass_time(1)
        with pytest.raises(ModelUnavailable), circuit.call():
            raise ModelUnavailable("no answer")


async def test_while_the_models_circuit_is_open_no_question_is_asked() -> None:
    house, clock = House(), FakeClock()
    house.clock = house.real_clock = clock
    async with house.running(with_loops=False) as services:
        await opened(services.circuits.model.of(AI_MODEL.default), clock)
        await leads(services)
        with pytest.raises(ModelUnavailable):
            await services.pipeline.trade(KRW_BTC)

    assert house.model.asked == []


async def test_while_the_purchases_circuit_is_open_no_purchase_is_sent() -> None:
    house, clock = House(), FakeClock()
    house.clock = house.real_clock = clock
    async with house.running(with_loops=False) as services:
        await opened(services.circuits.purchases, clock)
        await leads(services)
        with pytest.raises(ExchangeUnavailable):
            await services.pipeline.trade(KRW_BTC)

    assert len(house.model.asked) == 1
    assert house.orders.rows == {}


@pytest.mark.proves("FR-012")
async def test_useless_answers_are_told_to_a_person() -> None:
    """FR-012: three in a row, through the model as health and alerts see it."""
    house = House()
    house.model.then(*(an_answer(proposal=None, why="finish:MAX_TOKENS") for _ in range(3)))
    async with house.running(with_loops=False) as services:
        await leads(services)
        for _ in range(3):
            await services.pipeline.trade(KRW_BTC)
        await services.alert_sender.step()

    assert "The model's answers are unusable" in [n.title for n in house.outbox.notices]


async def test_a_key_that_the_model_rejects_shows_in_health_at_once() -> None:
    house = House()
    house.model.then(ModelRefused("no", code="auth_rejected"))
    async with house.running(with_loops=False) as services:
        await leads(services)
        with pytest.raises(ModelRefused):
            await services.pipeline.trade(KRW_BTC)
        part = services.health.body()["components"]["gemini_api"]

    assert (part["status"], part["reason"]) == ("unhealthy", "auth_rejected")


@pytest.mark.parametrize(("skew_s", "drops"), [(0.0, True), (2 * 86_400.0, False)])
async def test_nothing_old_is_dropped_while_our_clock_is_days_ahead_of_the_exchanges(
    skew_s: float, *, drops: bool
) -> None:
    house = House()
    house.account.clock_skew_s = skew_s
    async with house.running(with_loops=False) as services:
        await services.retention.step()

    assert bool(house.history.asked) is drops


class AskingLease(FakeLease):
    """Notes how often the file of halts had been read at each request for the lease."""

    def __init__(self, journal: FakeHaltJournal) -> None:
        super().__init__()
        self._journal = journal
        self.reads_before: list[int] = []

    async def acquire(self) -> int | None:
        self.reads_before.append(self._journal.reads)
        return await super().acquire()


async def test_the_file_of_halts_is_read_before_the_lease_is_taken() -> None:
    house = House()
    house.halt_journal.entries.append(JournalEntry(id="h-1", halt=a_halt(), request_id=None))
    house.lease = lease = AskingLease(house.halt_journal)  # type: ignore[assignment]
    async with house.running() as services:
        status = services.trading_switch.status()

    assert lease.reads_before[0] == 1
    assert status is TradingStatus.HALTED
    assert [halt.reason for halt in house.state.halts] == ["by hand"]
