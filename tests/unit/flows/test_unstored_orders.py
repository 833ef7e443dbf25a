"""Sales by a rule while the database is away: written down first, sent once, stored once."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.domain.errors import (
    DomainError,
    DuplicateOrder,
    ExchangeRefused,
    ExchangeUnavailable,
    JournalDown,
    NotLeader,
    OutcomeUnknown,
    StoreBusy,
    StoreDown,
    TradingStopped,
)
from service.domain.orders import (
    Breach,
    ExchangeOrder,
    ExchangeOrderState,
    ExitRule,
    Intent,
    Order,
    OrderOrigin,
    OrderStatus,
    OrderType,
    Side,
)
from service.domain.trading_states import OrderSource, TradingStatus
from service.flows.exits import Exits
from service.flows.leadership import LEASE_TTL_S
from service.flows.unstored_orders import (
    JOURNAL_DOWN,
    LEASE_LAPSED,
    NO_ROW,
    TOLD_FOR_S,
    TRADING_STOPPED,
    UnstoredOrders,
)
from service.ports.exit_journal import JournaledExit
from service.ports.store import TRADING_STATE
from tests.builders import KRW_BTC, an_intent
from tests.fakes.logs import Logs
from tests.unit.flows.conftest import KRW_ETH, House

S = OrderStatus
BREACH = Breach(rule=ExitRule.STOP_LOSS, price=Decimal(94), limit=Decimal(95))
HELD = Decimal("0.001")
SALE = Intent(market=KRW_BTC, side=Side.SELL, type=OrderType.MARKET, volume=HELD)
AWAY = StoreDown("gone")


@pytest.fixture
async def house(house: House) -> House:
    """A leader that holds coins, has the journal, and has just lost the database."""
    await house.executor.execute(an_intent(funds=Decimal(100_000)), decision_id=None)
    await house.unstored_orders.begin()
    return house


def alone(house: House) -> UnstoredOrders:
    """Return what a process on the embedded server has."""
    house.is_alone = True
    return house.new_unstored_orders()


async def stopped_out(house: House, unstored: UnstoredOrders | None = None) -> Order:
    """Have the stop sell while the database refuses the row."""
    house.orders.fail = AWAY
    exits = Exits(executor=house.executor, unstored_orders=unstored or house.unstored_orders)
    try:
        return await exits.sell(
            KRW_BTC, HELD, rule=BREACH.rule, price=BREACH.price, limit=BREACH.limit
        )
    finally:
        house.orders.fail = None


async def restarted(house: House) -> UnstoredOrders:
    """Return what the next process has read from the file, before the database is looked at."""
    house.exit_journal.taken_by = None
    house.reconciler._in_hand.clear()
    house.open_sales = type(house.open_sales)()
    unstored = house.new_unstored_orders()
    await unstored.load()
    return unstored


# --- selling without the database -----------------------------------------------------------------


async def test_a_stop_sells_with_the_database_away_and_has_its_row_once_it_is_back(
    house: House,
) -> None:
    order = await stopped_out(house)

    assert (order.id, order.status, order.rule) == (NO_ROW, S.EXECUTED, ExitRule.STOP_LOSS)
    assert order.executed_volume == HELD
    assert len(house.orders.rows) == 1

    await house.unstored_orders.step()
    await house.unstored_orders.step()

    row = house.orders.rows[2]
    assert (row.identifier, row.status, row.rule) == (order.identifier, S.EXECUTED, BREACH.rule)
    assert (row.created_at, row.sent_at) == (order.created_at, order.created_at)
    assert (await house.orders.position(KRW_BTC)).volume == 0
    assert house.orders.tables.exits == [(2, BREACH)]
    assert len(house.orders.rows) == 2
    assert len(house.exchange.sent) == 2
    assert house.exit_journal.orders == {}
    assert house.unprotected == []


@pytest.mark.parametrize("error", [StoreDown("gone"), StoreBusy("full")])
async def test_it_is_on_the_disk_before_it_is_sent(house: House, error: StoreDown) -> None:
    on_disk: list[int] = []
    submit = house.exchange.submit

    async def looking(*args: Any, **more: Any) -> Any:
        on_disk.append(len(house.exit_journal.appended))
        return await submit(*args, **more)

    house.exchange.submit = looking  # type: ignore[method-assign]
    await stopped_out(house)

    assert on_disk == [1]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ExchangeRefused("no", code="market_offline"), S.FAILED, "market_offline"),
        (ExchangeUnavailable("refused"), S.FAILED, "not_sent"),
        (OutcomeUnknown("no answer"), S.UNKNOWN, None),
    ],
)
async def test_what_is_known_of_its_request_is_in_the_file_and_in_its_row(
    house: House, error: Exception, status: OrderStatus, reason: str | None
) -> None:
    house.exchange.fail_next("submit", error)

    order = await stopped_out(house)
    (entry,) = house.exit_journal.orders.values()
    await house.unstored_orders.step()

    assert (order.status, order.reason) == (status, reason)
    assert entry.sent is not None
    assert entry.sent.reason == reason
    row = house.orders.rows[2]
    assert (row.status, row.reason) == (status, reason)
    assert house.exchange.calls.count("submit") == 2


async def test_an_unknown_outcome_is_looked_up_and_never_sent_again(house: House) -> None:
    house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    house.exchange.fail_next("find", ExchangeUnavailable("no answer"))
    for _ in range(2):
        house.exchange.fail_next("find", ExchangeUnavailable("no answer"))

    order = await stopped_out(house)
    house.orders.fail = AWAY
    with pytest.raises(StoreDown):
        await house.unstored_orders.step()

    assert order.status is S.UNKNOWN
    (unstored,) = house.unstored_orders._unstored.values()
    assert unstored.order.status is S.EXECUTED
    assert house.exchange.calls.count("submit") == 2


async def test_without_the_database_a_market_has_one_open_order(house: House) -> None:
    house.exchange.fail_next("submit", OutcomeUnknown("no answer"))
    await stopped_out(house)

    with pytest.raises(DuplicateOrder):
        await stopped_out(house)

    assert len(house.exit_journal.appended) == 1
    assert house.unprotected == []


async def test_coins_that_were_sold_without_a_row_are_not_there_to_be_sold(house: House) -> None:
    await stopped_out(house)

    assert house.open_sales.volume(KRW_BTC) == HELD
    with pytest.raises(ExchangeUnavailable):
        await house.executor.execute(SALE, decision_id=1, source=OrderSource.SIGNAL)

    await house.unstored_orders.step()
    assert house.open_sales.volume(KRW_BTC) == 0
    assert len(house.exchange.sent) == 2


async def test_coins_that_were_certainly_not_sold_are_free_for_the_next_try(house: House) -> None:
    house.exchange.fail_next("submit", ExchangeUnavailable("refused"))
    await stopped_out(house)
    assert house.open_sales.volume(KRW_BTC) == 0

    order = await stopped_out(house)
    await house.unstored_orders.step()

    assert order.status is S.EXECUTED
    assert [row.status for row in house.orders.rows.values()] == [S.EXECUTED, S.FAILED, S.EXECUTED]


async def test_what_an_ended_sale_left_is_free_while_the_database_is_away(house: House) -> None:
    """Its fills are booked later; what it sold stays taken until then."""
    house.exchange.depth = HELD / 4
    order = await stopped_out(house)

    assert (order.is_open, order.executed_volume) == (False, HELD / 4)
    assert house.open_sales.volume(KRW_BTC) == HELD / 4


async def test_an_order_that_is_being_sent_is_not_stored_meanwhile(house: House) -> None:
    """The database may be back already. A look-up before it arrives would not find it."""
    seen: list[int] = []
    submit = house.exchange.submit

    async def looking(*args: Any, **more: Any) -> Any:
        house.orders.fail = None
        await house.unstored_orders.step()
        seen.append(len(house.orders.rows))
        return await submit(*args, **more)

    house.exchange.submit = looking  # type: ignore[method-assign]
    order = await stopped_out(house)
    await house.unstored_orders.step()

    assert seen == [1]
    assert house.orders.rows[2].identifier == order.identifier
    assert house.orders.rows[2].status is S.EXECUTED


async def test_nothing_but_a_sale_leaves_without_the_database(house: House) -> None:
    with pytest.raises(ValueError, match="bought"):
        await house.unstored_orders.sell(an_intent(), identifier="uat-x", breach=BREACH)

    assert house.exit_journal.appended == []


async def test_an_order_of_a_signal_never_takes_this_way(house: House) -> None:
    house.orders.fail = AWAY

    with pytest.raises(StoreDown):
        await house.executor.execute(SALE, decision_id=1, source=OrderSource.SIGNAL)

    assert house.exit_journal.appended == []
    assert len(house.exchange.sent) == 1


async def test_an_insert_whose_answer_was_lost_is_the_same_order(house: House) -> None:
    house.orders.lose = StoreDown("the answer was lost")
    exits = Exits(executor=house.executor, unstored_orders=house.unstored_orders)

    order = await exits.sell(KRW_BTC, HELD, rule=BREACH.rule, price=Decimal(1), limit=Decimal(2))
    await house.unstored_orders.step()

    assert house.orders.rows[2].identifier == order.identifier
    assert house.orders.rows[2].status is S.EXECUTED
    assert len(house.orders.rows) == 2
    assert len(house.exchange.sent) == 2


# --- the lease ------------------------------------------------------------------------------------


async def test_on_a_given_server_nothing_leaves_after_the_lease_has_lapsed(house: House) -> None:
    house.clock.pass_time(LEASE_TTL_S)

    with pytest.raises(NotLeader):
        await stopped_out(house)

    assert house.exit_journal.appended == []
    assert len(house.exchange.sent) == 1
    assert house.unprotected == [{KRW_BTC: LEASE_LAPSED}]


async def test_on_the_embedded_server_it_leaves_however_long_ago_the_lease_lapsed(
    house: House,
) -> None:
    unstored = alone(house)
    house.clock.pass_time(10 * LEASE_TTL_S)

    order = await stopped_out(house, unstored)

    assert order.status is S.EXECUTED


async def test_on_the_embedded_server_too_a_lease_that_was_lost_is_anothers(house: House) -> None:
    unstored = alone(house)
    house.lease.epoch = None
    await house.leadership.renew()

    with pytest.raises(NotLeader):
        await unstored.sell(SALE, identifier="uat-x", breach=BREACH)


async def test_a_lease_that_lapses_while_the_file_is_written_sends_nothing(house: House) -> None:
    append = house.exit_journal.append

    async def slow(order: JournaledExit) -> None:
        await append(order)
        house.clock.pass_time(LEASE_TTL_S)

    house.exit_journal.append = slow  # type: ignore[method-assign]
    order = await stopped_out(house)

    assert (order.status, order.reason) == (S.FAILED, "lease_lost")
    assert len(house.exchange.sent) == 1


async def test_a_new_epoch_meanwhile_sends_nothing(house: House) -> None:
    append = house.exit_journal.append

    async def slow(order: JournaledExit) -> None:
        await append(order)
        house.lease.epoch = 2
        await house.leadership.renew()
        await house.leadership.settle()

    house.exit_journal.append = slow  # type: ignore[method-assign]
    order = await stopped_out(house)

    assert (order.status, order.reason) == (S.FAILED, "lease_lost")


async def test_a_new_leader_of_the_embedded_server_waits_for_the_old_ones_file(
    house: House,
) -> None:
    unstored = alone(house)
    house.exit_journal.taken_by = object()

    with pytest.raises(JournalDown):
        await unstored.begin()


async def test_a_new_leader_of_a_given_server_trades_without_the_file(
    house: House, logs: Logs
) -> None:
    house.exit_journal.taken_by = object()

    await house.new_unstored_orders().begin()

    assert "WARNING" in logs.levels


async def test_a_standby_lets_the_file_go_once_it_is_empty(house: House) -> None:
    await stopped_out(house)

    await house.unstored_orders.stand_by()
    kept = house.exit_journal.taken_by
    await house.unstored_orders.step()
    await house.unstored_orders.stand_by()

    assert kept is house.exit_journal
    assert house.exit_journal.taken_by is None


async def test_at_the_stop_the_file_is_the_next_processs_with_what_is_in_it(house: House) -> None:
    await stopped_out(house)

    await house.unstored_orders.close()

    assert house.exit_journal.taken_by is None
    assert len(house.exit_journal.orders) == 1


# --- the other checks -----------------------------------------------------------------------------


async def test_a_full_halt_stops_it_too(house: House) -> None:
    await house.trading_switch.halt(kind=TradingStatus.HALTED, reason="test", actor="test")

    with pytest.raises(TradingStopped):
        await house.unstored_orders.sell(SALE, identifier="uat-x", breach=BREACH)

    assert house.exit_journal.appended == []
    assert house.unprotected == [{KRW_BTC: TRADING_STOPPED}]


@pytest.mark.parametrize("name", [TRADING_STATE, "trading_enabled"])
async def test_a_doubt_about_the_trading_state_does_not_stop_a_stop(
    house: House, name: str
) -> None:
    """A change that failed with the database away: whether it was stored is not known."""
    house.state.fail = AWAY
    await house.settings.invalidate(name)

    order = await stopped_out(house)

    assert order.status is S.EXECUTED
    assert house.unprotected == []


async def test_a_position_that_a_halt_keeps_from_being_sold_is_unprotected(house: House) -> None:
    unstored = alone(house)
    await house.trading_switch.halt(
        kind=TradingStatus.HALTED, reason="test", actor="test", market=KRW_BTC
    )
    house.clock.pass_time(LEASE_TTL_S)

    await unstored.watch([KRW_BTC, KRW_ETH])

    assert house.unprotected == [{KRW_BTC: TRADING_STOPPED}]


async def test_with_the_lease_a_halted_position_is_not_told_of(house: House) -> None:
    await house.trading_switch.halt(kind=TradingStatus.HALTED, reason="test", actor="test")

    await house.unstored_orders.watch([KRW_BTC])

    assert house.unprotected == []


async def test_a_halt_while_the_file_is_written_sends_nothing(house: House) -> None:
    append = house.exit_journal.append

    async def slow(order: JournaledExit) -> None:
        await append(order)
        await house.trading_switch.halt(kind=TradingStatus.HALTED, reason="test", actor="test")

    house.exit_journal.append = slow  # type: ignore[method-assign]
    order = await stopped_out(house)

    assert (order.status, order.reason) == (S.FAILED, "trading_stopped")
    assert len(house.exchange.sent) == 1


async def test_a_request_that_would_leave_late_is_not_sent(house: House) -> None:
    submit = house.exchange.submit

    async def slow(*args: Any, **more: Any) -> Any:
        house.clock.pass_time(1.5)  # e.g. in the wait for the exchange's rate limit
        return await submit(*args, **more)

    house.exchange.submit = slow  # type: ignore[method-assign]
    order = await stopped_out(house)

    assert (order.status, order.reason) == (S.FAILED, "too_late")


async def test_a_hold_of_the_exchange_is_waited_for_without_a_line_in_the_file(
    house: House,
) -> None:
    house.exchange.held = ExchangeUnavailable("wait", sent=False)

    with pytest.raises(ExchangeUnavailable):
        await house.unstored_orders.sell(SALE, identifier="uat-x", breach=BREACH)

    assert house.exit_journal.appended == []


async def test_what_cannot_be_written_down_is_not_sent_and_the_operator_is_told(
    house: House,
) -> None:
    house.exit_journal.fail = JournalDown("full")

    with pytest.raises(JournalDown):
        await stopped_out(house)

    assert len(house.exchange.sent) == 1
    await house.unstored_orders.watch([KRW_BTC])
    assert house.unprotected == [{KRW_BTC: JOURNAL_DOWN}]
    assert house.open_sales.volume(KRW_BTC) == 0
    house.exit_journal.fail = None
    assert (await stopped_out(house)).status is S.EXECUTED
    assert house.unprotected[1:] == [{}]


async def test_an_outcome_that_cannot_be_written_down_is_looked_up(
    house: House, logs: Logs
) -> None:
    append = house.exit_journal.append

    async def last(order: JournaledExit) -> None:
        await append(order)
        house.exit_journal.fail = JournalDown("full")

    house.exit_journal.append = last  # type: ignore[method-assign]
    order = await stopped_out(house)
    await house.unstored_orders.step()

    assert order.status is S.EXECUTED
    assert house.orders.rows[2].status is S.EXECUTED
    assert "WARNING" in logs.levels
    assert len(house.exit_journal.orders) == 1  # settled, and the file does not say so


# --- the next process -----------------------------------------------------------------------------


Crash = Callable[[House], None]


def not_sent(house: House) -> None:
    house.exchange.fail_next("submit", KeyboardInterrupt())


def sent_without_a_word(house: House) -> None:
    house.exchange.fail_next("submit", KeyboardInterrupt(), after=True)


@pytest.mark.parametrize(
    ("crash", "status"), [(not_sent, S.PENDING), (sent_without_a_word, S.EXECUTED)]
)
async def test_the_next_process_stores_what_the_dead_one_left_before_it_trades(
    house: House, crash: Crash, status: OrderStatus
) -> None:
    crash(house)
    with pytest.raises(KeyboardInterrupt):
        await stopped_out(house)

    unstored = await restarted(house)
    await unstored.begin()

    assert house.orders.rows[2].status is status
    assert house.exit_journal.orders == {}
    assert house.exchange.calls.count("submit") == 2


async def test_a_crash_between_row_and_file_is_harmless(house: House) -> None:
    await stopped_out(house)
    left = dict(house.exit_journal.orders)
    await house.unstored_orders.step()
    house.exit_journal.orders = left

    await (await restarted(house)).begin()

    assert len(house.orders.rows) == 2
    assert house.orders.rows[2].status is S.EXECUTED
    assert house.exit_journal.orders == {}


async def test_the_sweep_does_not_adopt_what_has_no_row_yet(house: House) -> None:
    order = await stopped_out(house)
    await restarted(house)

    (listed,) = [
        one
        for one in (await house.exchange.closed_orders(order.created_at, house.clock.now())).orders
        if one.order.identifier == order.identifier
    ]
    assert await house.reconciler.take_in(listed) is None
    assert len(house.orders.rows) == 1


async def test_an_order_that_another_process_has_adopted_stays_as_that_one_stored_it(
    house: House,
) -> None:
    order = await stopped_out(house)
    await house.orders.adopt(
        SALE,
        identifier=order.identifier,
        exchange_uuid=order.exchange_uuid or "",
        made_at=order.created_at,
        at=house.clock.now(),
    )

    await house.unstored_orders.step()

    assert house.orders.rows[2].origin is OrderOrigin.RECOVERED
    assert house.orders.rows[2].status is S.EXECUTED
    assert house.exit_journal.orders == {}


async def test_what_the_dead_process_knew_of_the_request_is_not_asked_again(house: House) -> None:
    house.exchange.fail_next("submit", ExchangeRefused("no", code="market_offline"))
    await stopped_out(house)
    calls = len(house.exchange.calls)

    await (await restarted(house)).begin()

    assert (house.orders.rows[2].status, house.orders.rows[2].reason) == (
        S.FAILED,
        "market_offline",
    )
    assert len(house.exchange.calls) == calls


async def test_a_damaged_file_is_said_and_put_aside_once_what_can_be_read_is_stored(
    house: House, logs: Logs
) -> None:
    await stopped_out(house)
    house.exit_journal.fault = "ValueError"

    unstored = await restarted(house)
    said = list(logs.levels)
    await unstored.begin()

    assert house.damages == ["ValueError"]
    assert "ERROR" in said
    assert house.orders.rows[2].status is S.EXECUTED
    assert house.exit_journal.fault is None


async def test_a_torn_last_line_is_no_damage(house: House, logs: Logs) -> None:
    house.exit_journal.is_torn = True

    await restarted(house)

    assert house.damages == []
    assert "WARNING" in logs.levels


async def test_an_order_that_no_table_holds_stops_no_other(house: House, logs: Logs) -> None:
    await stopped_out(house)
    (entry,) = house.exit_journal.orders.values()
    add_sent = house.orders.add_sent

    async def choosy(intent: Intent, **more: Any) -> Order:
        if more["identifier"] == "uat-odd":
            raise DomainError("a table cannot hold it")
        return await add_sent(intent, **more)

    house.orders.add_sent = choosy  # type: ignore[method-assign]
    house.exit_journal.orders = {
        "uat-odd": replace(entry, identifier="uat-odd"),
        **house.exit_journal.orders,
    }

    await (await restarted(house)).begin()

    assert house.orders.rows[2].status is S.EXECUTED
    assert "ERROR" in logs.levels


async def test_without_the_exchange_the_row_is_written_and_the_job_follows_it(
    house: House,
) -> None:
    house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    for _ in range(4):
        house.exchange.fail_next("find", ExchangeUnavailable("no answer"))
    await stopped_out(house)

    await house.unstored_orders.step()
    stored = house.orders.rows[2].status
    await house.reconciler.reconcile()

    assert stored is S.UNKNOWN
    assert house.orders.rows[2].status is S.EXECUTED


# --- the alert ------------------------------------------------------------------------------------


async def test_with_the_lease_lapsed_each_open_position_is_unprotected_until_it_is_ours_again(
    house: House,
) -> None:
    await house.unstored_orders.watch([KRW_BTC, KRW_ETH])
    assert house.unprotected == []

    house.clock.pass_time(LEASE_TTL_S)
    await house.unstored_orders.watch([KRW_BTC])
    await house.unstored_orders.watch([KRW_BTC, KRW_ETH])
    await house.unstored_orders.watch([KRW_BTC])
    await house.leadership.renew()
    await house.unstored_orders.watch([KRW_BTC])

    one, other = {KRW_BTC: LEASE_LAPSED}, {KRW_ETH: LEASE_LAPSED}
    assert house.unprotected == [one, one | other, one, {}]


async def test_on_the_embedded_server_a_position_is_unprotected_without_the_file_only(
    house: House,
) -> None:
    unstored = alone(house)
    house.clock.pass_time(LEASE_TTL_S)

    await unstored.watch([KRW_BTC])
    assert house.unprotected == []
    house.exit_journal.fail = JournalDown("full")
    await unstored.watch([KRW_BTC])

    assert house.unprotected == [{KRW_BTC: JOURNAL_DOWN}]


async def test_a_sale_that_could_not_leave_is_told_of_for_a_while(house: House) -> None:
    house.exit_journal.fail = JournalDown("full")
    with pytest.raises(JournalDown):
        await stopped_out(house)

    house.clock.pass_time(TOLD_FOR_S - 1)
    await house.leadership.renew()
    await house.unstored_orders.watch([KRW_BTC])
    house.clock.pass_time(2)
    await house.unstored_orders.watch([KRW_BTC])

    assert house.unprotected == [{KRW_BTC: JOURNAL_DOWN}, {}]


async def test_a_position_that_another_process_protects_is_not_told_of(house: House) -> None:
    house.lease.epoch = None
    await house.leadership.renew()

    await house.unstored_orders.watch([KRW_BTC])

    assert house.unprotected == []


@pytest.mark.parametrize(
    "odd",
    [
        {"executed_volume": Decimal(0), "trades": ()},
        {"executed_volume": Decimal("0.0004"), "state": ExchangeOrderState.CANCELLED},
        {"executed_volume": Decimal(0), "trades": (), "state": ExchangeOrderState.CANCELLED},
    ],
    ids=["done-and-empty", "cancel-that-trails-its-trades", "cancel-and-empty"],
)
async def test_an_end_that_does_not_add_up_frees_no_coins_while_the_database_is_away(
    house: House, odd: dict[str, Any]
) -> None:
    find = house.exchange.find

    async def oddly(identifier: str) -> ExchangeOrder | None:
        seen = await find(identifier)
        return None if seen is None else replace(seen, **odd)

    house.exchange.find = oddly  # type: ignore[method-assign]
    order = await stopped_out(house)
    house.orders.fail = AWAY
    with pytest.raises(StoreDown):
        await house.unstored_orders.step()

    assert order.is_open
    assert house.open_sales.volume(KRW_BTC) == HELD
    with pytest.raises(DuplicateOrder):
        await stopped_out(house)

    house.exchange.find = find  # type: ignore[method-assign]
    house.orders.fail = AWAY
    with pytest.raises(StoreDown):
        await house.unstored_orders.step()
    (unstored,) = house.unstored_orders._unstored.values()
    assert (unstored.order.status, unstored.order.executed_volume) == (S.EXECUTED, HELD)
