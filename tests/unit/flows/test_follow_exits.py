"""An exit goes on until the coins are sold; none is sold twice, and none that is not ours."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from service.bus import OrderFilled
from service.domain.errors import (
    ExchangeRefused,
    ExchangeUnavailable,
    OutcomeUnknown,
    StoreDown,
)
from service.domain.orders import ExchangeOrder, Intent, Order, OrderStatus, OrderType, Side
from service.domain.trading_states import OrderSource
from service.flows.follow_exits import ACTOR, FREE_AGAIN_S, LONGEST_WAIT_S, LOOK_AGAIN_S
from tests.builders import KRW_BTC, an_intent, some_rules
from tests.fakes.logs import Logs
from tests.unit.flows.conftest import KRW_ETH, House
from tests.unit.flows.protecting import Guard

D = Decimal
HELD = D("0.001")


@pytest.fixture
async def guard(house: House) -> Guard:
    """One position of 0.001 coins, bought at 100 million, stop at 95 million."""
    made = Guard(house)
    await made.protector.load()
    await made.buy()
    return made


def a_limit_sale(volume: Decimal = HELD) -> Intent:
    return an_intent(
        side=Side.SELL, type=OrderType.LIMIT, volume=volume, price=D(110_000_000), funds=None
    )


def a_market_sale(volume: Decimal = HELD) -> Intent:
    return an_intent(side=Side.SELL, type=OrderType.MARKET, volume=volume, funds=None)


@dataclass
class _HeldUp:
    """A read of the exchange whose answer comes late."""

    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)


def _held_up(guard: Guard, method: str) -> _HeldUp:
    exchange, held_up = guard.house.exchange, _HeldUp()
    answer = getattr(exchange, method)

    async def late(*arguments: Any) -> Any:
        found = await answer(*arguments)
        held_up.is_asked.set()
        await held_up.goes_on.wait()
        return found

    setattr(exchange, method, late)
    guard.positions[KRW_BTC].rules = None
    return held_up


class _Between:
    """Books what is open between the next two reads of the table, unheard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.done = False
        for name in ("open", "positions"):
            self._end_after(name, getattr(guard.house.orders, name))

    def _end_after(self, name: str, read: Callable[[], Awaitable[Any]]) -> None:
        async def then_end() -> Any:
            found = await read()
            if not self.done:
                self.done = True
                self._guard.house.orders.lose_fills = StoreDown("the answer was lost")
                with suppress(StoreDown):
                    await self._guard.house.reconciler.reconcile()
            return found

        setattr(self._guard.house.orders, name, then_end)


def fail_after_the_loss(guard: Guard, times: int) -> None:
    """Let look-ups go unanswered, from the lost answer on."""
    orders, find = guard.house.orders, guard.house.exchange.find
    failed: list[str] = []

    async def answer(identifier: str) -> ExchangeOrder | None:
        if orders.booked[1:] and len(failed) < times:
            failed.append(identifier)
            raise ExchangeUnavailable("no answer")
        return await find(identifier)

    guard.house.exchange.find = answer  # type: ignore[method-assign]


async def by_hand(guard: Guard, intent: Intent) -> Order:
    return await guard.house.executor.execute(intent, decision_id=None, source=OrderSource.HAND)


async def settle(guard: Guard) -> None:
    guard.house.clock.pass_time(1)
    await guard.house.leadership.renew()
    await guard.house.reconciler.reconcile()


async def test_what_a_partly_filled_exit_leaves_is_sold_by_the_next_order(guard: Guard) -> None:
    guard.house.exchange.depth = D("0.0004")
    await guard.fall(94_000_000)

    await guard.follow(passes=2)

    assert guard.sold == [D("0.001"), D("0.0006"), D("0.0002")]
    assert len(guard.positions) == 0


async def test_an_exit_goes_on_although_the_price_has_risen_again(guard: Guard) -> None:
    guard.house.exchange.depth = D("0.0004")
    await guard.fall(94_000_000)
    guard.house.exchange.depth = None

    await guard.fall(99_000_000)

    assert guard.sold == [D("0.001"), D("0.0006")]


async def test_a_refused_exit_is_tried_again_after_longer_and_longer_waits(guard: Guard) -> None:
    for _ in range(9):
        guard.house.exchange.fail_next("submit", ExchangeRefused("no", code="validation_error"))
    tried: list[int] = []

    guard.hear(94_000_000)
    for _ in range(260):
        await guard.house.leadership.renew()
        before = len(guard.house.orders.rows)
        await guard.follow(seconds=0.5)
        if len(guard.house.orders.rows) > before:
            tried.append(before)
        if not guard.positions:
            break

    assert [row.status for row in guard.house.orders.rows.values()][1:] == [
        *[OrderStatus.FAILED] * 9,
        OrderStatus.EXECUTED,
    ]
    # 0.5, 1, 2, 4, 8, 16, 30, 30, 30: there would be room for many more.
    assert guard.house.clock.now().minute == 2


async def test_a_server_that_asks_for_a_wait_gets_it(guard: Guard) -> None:
    guard.house.exchange.held = ExchangeUnavailable("later", retry_after_s=20)
    await guard.fall(94_000_000)
    guard.house.exchange.held = None
    await guard.house.leadership.renew()

    await guard.follow(seconds=7)
    await guard.house.leadership.renew()
    early = list(guard.sold)
    await guard.follow(seconds=7)
    await guard.house.leadership.renew()
    await guard.follow(seconds=7)

    assert (early, guard.sold) == ([], [HELD])


async def test_an_exit_of_unknown_outcome_is_settled_before_anything_is_sold_again(
    guard: Guard,
) -> None:
    guard.house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    for _ in range(3):
        guard.house.exchange.fail_next("find", ExchangeUnavailable("no answer"))

    await guard.fall(94_000_000)
    await guard.follow(passes=3, seconds=2)
    await settle(guard)
    await guard.follow(passes=3, seconds=2)

    assert guard.sold == [HELD]
    assert len(guard.positions) == 0


async def test_an_unknown_exit_that_never_arrived_is_followed_by_another(guard: Guard) -> None:
    guard.house.exchange.fail_next("submit", OutcomeUnknown("no answer"))
    await guard.fall(94_000_000)

    for _ in range(5):
        guard.house.clock.pass_time(40)
        await settle(guard)
    await guard.follow()

    rows = list(guard.house.orders.rows.values())
    assert [row.status for row in rows[1:]] == [OrderStatus.FAILED, OrderStatus.EXECUTED]
    assert guard.sold == [HELD]


async def test_a_lost_answer_of_the_database_after_the_request_sells_nothing_twice(
    guard: Guard,
) -> None:
    async def gone(*_: Any, **__: Any) -> bool:
        raise StoreDown("gone")

    advance, guard.house.orders.advance = guard.house.orders.advance, gone  # type: ignore[method-assign]
    await guard.fall(94_000_000)
    await guard.follow(passes=3, seconds=2)
    guard.house.orders.advance = advance  # type: ignore[method-assign]
    await settle(guard)
    await guard.follow(passes=3, seconds=2)

    assert guard.sold == [HELD]
    assert len(guard.positions) == 0


@pytest.mark.parametrize("unanswered_looks", [0, 3])
async def test_the_lost_answer_of_the_commit_that_books_its_fills_sells_nothing_twice(
    guard: Guard, unanswered_looks: int
) -> None:
    """No fill is heard: memory holds the coins until it is compared with the table."""
    guard.house.exchange.available["BTC"] += D(5)
    guard.house.orders.lose_fills = StoreDown("the answer of the COMMIT was lost")
    fail_after_the_loss(guard, unanswered_looks)

    await guard.fall(94_000_000)
    held = guard.positions[KRW_BTC].position.volume
    for _ in range(40):
        await guard.wait(1)
        await guard.follow()

    assert held == HELD
    assert guard.sold == [HELD]
    assert guard.house.exchange.available["BTC"] == D(5)
    assert len(guard.positions) == 0
    assert guard.house.open_sales.names() == frozenset()


async def test_what_an_exit_left_is_sold_although_its_fills_were_not_heard(guard: Guard) -> None:
    guard.house.exchange.available["BTC"] += D(5)
    guard.house.exchange.depth = D("0.0004")
    guard.house.orders.lose_fills = StoreDown("the answer of the COMMIT was lost")
    await guard.fall(94_000_000)
    guard.house.exchange.depth = None

    await guard.follow(seconds=1)
    at_once = list(guard.sold)
    for _ in range(40):
        await guard.wait(1)
        await guard.follow()

    assert at_once == [HELD, D("0.0006")]
    assert guard.sold == at_once
    assert len(guard.positions) == 0


async def test_a_sale_that_ends_between_two_reads_of_the_table_is_counted(guard: Guard) -> None:
    """Its fills are in the second read alone, and the answer of their COMMIT is lost."""
    guard.house.exchange.available["BTC"] += D(5)
    guard.house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    for _ in range(3):
        guard.house.exchange.fail_next("find", ExchangeUnavailable("no answer"))
    await guard.fall(94_000_000)
    ends = _Between(guard)

    await guard.wait(1)
    await guard.follow()
    counted = guard.house.open_sales.volume(KRW_BTC)
    await guard.wait(32)
    await guard.follow()

    assert (ends.done, counted) == (True, HELD)
    assert guard.sold == [HELD]
    assert len(guard.positions) == 0
    assert guard.house.open_sales.names() == frozenset()


@pytest.mark.parametrize("asks", ["balances", "rules"])
async def test_a_sale_that_begins_while_an_exit_waits_for_an_answer_is_counted(
    guard: Guard, asks: str
) -> None:
    exchange = guard.house.exchange
    exchange.available["BTC"] += D(1)  # the owner's
    exchange.fail_next("submit", ExchangeRefused("no", code="validation_error"))
    await guard.fall(94_000_000)
    guard.house.clock.pass_time(2)
    await guard.house.leadership.renew()
    held_up = _held_up(guard, asks)
    ((watched, one),) = guard.follower.due()

    exit_of_it = asyncio.ensure_future(guard.follower.attempt(watched, one))
    await held_up.is_asked.wait()
    by_hand_of_it = asyncio.ensure_future(by_hand(guard, a_market_sale()))
    await asyncio.sleep(0)  # its coins are counted before it waits for anything
    held_up.goes_on.set()
    await asyncio.gather(exit_of_it, by_hand_of_it)

    assert guard.sold == [HELD]


async def test_coins_that_were_sold_while_an_exit_waited_for_an_answer_are_not_sold_again(
    guard: Guard,
) -> None:
    exchange = guard.house.exchange
    exchange.available["BTC"] += D(1)  # the owner's
    resting = await by_hand(guard, a_limit_sale(D("0.0001")))
    held_up = _held_up(guard, "rules")
    guard.hear(94_000_000)
    ((watched, one),) = guard.follower.due()

    exit_of_it = asyncio.ensure_future(guard.follower.attempt(watched, one))
    await held_up.is_asked.wait()
    await by_hand(guard, a_market_sale(D("0.0009")))
    exchange.fill(resting.identifier)
    await settle(guard)
    held_up.goes_on.set()
    await exit_of_it

    assert guard.sold == [D("0.0001"), D("0.0009")]
    assert exchange.available["BTC"] == D(1)


async def test_coins_that_were_sold_by_hand_are_not_sold_again(guard: Guard) -> None:
    """The account is read after a refusal, and what is left of our position is sold."""
    guard.house.exchange.available["BTC"] = D("0.0004")
    await guard.fall(94_000_000)
    await guard.follow(seconds=1)

    assert guard.sold == [D("0.0004")]


async def test_an_account_without_the_coins_is_asked_again_and_said(
    guard: Guard, logs: Logs
) -> None:
    guard.house.exchange.available["BTC"] = D(0)
    await guard.fall(94_000_000)
    await guard.follow(seconds=1)
    guard.house.exchange.available["BTC"] = HELD
    for _ in range(8):
        await guard.house.leadership.renew()
        await guard.follow(seconds=LONGEST_WAIT_S / 6)

    assert guard.sold == [HELD]
    assert any("too few of the coins" in line["message"] for line in logs.of("risk"))


async def test_coins_of_the_owner_are_never_sold(guard: Guard) -> None:
    guard.house.exchange.available["BTC"] += D(5)

    await guard.fall(94_000_000)
    await guard.follow(passes=3, seconds=2)

    assert guard.sold == [HELD]
    assert guard.house.exchange.available["BTC"] == D(5)


async def test_dust_is_left_told_once_and_stored(guard: Guard, logs: Logs) -> None:
    guard.house.exchange.depth = D("0.00099")
    await guard.fall(94_000_000)
    await guard.follow()
    for _ in range(3):
        guard.hear(90_000_000)
        await guard.wait(6)
        await guard.follow()

    assert guard.sold == [HELD]
    assert guard.rows.dust == [KRW_BTC]
    said = [line for line in logs.of("risk") if "smallest order" in line["message"]]
    assert len(said) == 1
    assert guard.told() == []


async def test_more_of_the_coin_makes_dust_a_position_again(guard: Guard) -> None:
    guard.house.exchange.depth = D("0.00099")
    await guard.fall(94_000_000)
    await guard.follow()
    guard.house.exchange.depth = None

    await guard.buy()
    await guard.fall(80_000_000)

    assert guard.sold[-1] == D("0.00101")


async def test_coins_that_another_order_has_locked_make_no_dust_of_their_position(
    guard: Guard, logs: Logs
) -> None:
    """The owner sells at the site, beside the service: what is free is worth a thousand."""
    guard.house.exchange.available["BTC"] = D("0.00001")
    await guard.fall(94_000_000)
    await guard.follow(passes=2, seconds=1)
    is_dust, sold = guard.positions[KRW_BTC].is_dust, list(guard.sold)
    for _ in range(32):
        await guard.wait(1)
        await guard.follow()
    undone = guard.told()
    guard.house.exchange.available["BTC"] = HELD  # the owner cancels
    for _ in range(32):
        await guard.wait(1)
        await guard.follow()

    assert (is_dust, sold) == (False, [])
    assert "position:KRW-BTC:exit" in undone
    assert any("too few of the coins" in line["message"] for line in logs.of("risk"))
    assert guard.sold == [HELD]


async def test_dust_that_is_worth_an_order_again_is_protected_again(guard: Guard) -> None:
    await left_as_dust(guard)

    await guard.house.allow(trailing_stop_pct="10")
    guard.hear(150_000_000)
    is_dust = guard.positions[KRW_BTC].is_dust
    await guard.fall(135_000_000)

    assert not is_dust
    assert guard.sold[1:] == [D("0.00005")]
    assert len(guard.positions) == 0


async def test_dust_stays_dust_while_it_is_worth_less_than_an_order(guard: Guard) -> None:
    await left_as_dust(guard)

    guard.hear(95_000_000)  # 4,750 KRW

    watched = guard.positions[KRW_BTC]
    assert (watched.is_dust, watched.exit) == (True, None)


async def test_dust_of_before_a_restart_is_protected_once_it_is_worth_an_order(
    guard: Guard,
) -> None:
    await left_as_dust(guard)
    await guard.wait(6)
    after = Guard(guard.house, rows=guard.rows)
    await after.protector.load()
    before = after.positions[KRW_BTC].is_dust

    await after.protector.ask()  # for the market's rules
    after.hear(110_000_000)

    assert (before, after.positions[KRW_BTC].is_dust) == (True, False)


async def left_as_dust(guard: Guard) -> None:
    """Leave 0.00005 coins: at the price, 4,700 KRW of an order's smallest 5,000."""
    guard.house.exchange.depth = D("0.00095")
    await guard.fall(94_000_000)
    guard.house.exchange.depth = None
    await guard.follow(passes=2, seconds=1)
    assert guard.positions[KRW_BTC].is_dust


async def test_a_position_beyond_the_largest_order_is_sold_in_parts(guard: Guard) -> None:
    guard.house.exchange.market_rules[KRW_BTC] = some_rules(max_funds=D(50_000))

    await guard.fall(94_000_000)
    await guard.follow()

    assert guard.sold == [D("0.00053191"), D("0.00046809")]


@pytest.mark.parametrize("failure", [ExchangeUnavailable("no"), ExchangeRefused("no", code="x")])
async def test_without_the_markets_rules_the_exit_leaves_all_the_same(
    guard: Guard, failure: Exception
) -> None:
    guard.house.exchange.fail_next("rules", failure)

    await guard.fall(94_000_000)

    assert guard.sold == [HELD]


async def test_an_open_purchase_holds_no_exit_up_and_is_left_alone(guard: Guard) -> None:
    waiting = await by_hand(
        guard,
        an_intent(type=OrderType.LIMIT, price=D(50_000_000), volume=D("0.01"), funds=None),
    )

    await guard.fall(94_000_000)

    assert guard.sold[-1] == HELD
    assert waiting.identifier not in _cancelled(guard)


async def test_a_resting_sale_keeps_its_coins_until_it_has_ended_for_the_exit(
    guard: Guard,
) -> None:
    resting = await by_hand(guard, a_limit_sale(D("0.0004")))

    await guard.fall(94_000_000)
    at_once = list(guard.sold)
    for _ in range(30):  # until the end of a cancelled order without fills is believed
        await settle(guard)
        await guard.follow()

    assert at_once == [D("0.0004"), D("0.0006")]
    assert guard.sold == [D("0.0004"), D("0.0006"), D("0.0004")]
    assert guard.house.order_requests.cancelled[resting.id][0] == ACTOR


@pytest.mark.parametrize("is_refused_first", [False, True])
async def test_a_resting_sale_is_asked_to_end_while_the_exit_cannot_leave(
    guard: Guard, *, is_refused_first: bool
) -> None:
    """The exchange asked for a wait with orders, or does not tell what the account holds."""
    exchange = guard.house.exchange
    resting = await by_hand(guard, a_limit_sale(D("0.0004")))
    exchange.held = ExchangeUnavailable("later", retry_after_s=20)
    guard.hear(94_000_000)
    ((watched, one),) = guard.follower.due()
    if is_refused_first:
        one.reads_account = True
        exchange.fail_next("balances", ExchangeUnavailable("later", retry_after_s=20))

    await guard.follower.attempt(watched, one)

    assert guard.house.order_requests.cancelled[resting.id][0] == ACTOR
    assert one.not_before == guard.house.clock.monotonic() + 20


async def test_a_process_without_the_lease_asks_no_resting_sale_to_end(guard: Guard) -> None:
    await by_hand(guard, a_limit_sale(D("0.0004")))
    guard.hear(94_000_000)
    guard.house.clock.pass_time(30)

    await guard.follow()

    assert _cancelled(guard) == []
    assert "cancel" not in guard.house.exchange.calls


async def test_a_resting_sale_stays_once_the_exit_has_ended_meanwhile(guard: Guard) -> None:
    await by_hand(guard, a_limit_sale(D("0.0004")))
    held_up = _held_up(guard, "rules")
    guard.hear(94_000_000)
    ((watched, one),) = guard.follower.due()

    attempt = asyncio.ensure_future(guard.follower.attempt(watched, one))
    await held_up.is_asked.wait()
    watched.exit = None
    held_up.goes_on.set()
    await attempt

    assert "cancel" not in guard.house.exchange.calls


async def test_what_an_exit_of_unknown_outcome_left_is_sold_as_soon_as_its_end_is_seen(
    guard: Guard,
) -> None:
    exchange = guard.house.exchange
    exchange.depth = D("0.0004")
    exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    for _ in range(3):
        exchange.fail_next("find", ExchangeUnavailable("no answer"))

    await guard.fall(94_000_000)
    exchange.depth = None
    await guard.follow()

    assert guard.sold == [HELD, D("0.0006")]


async def test_what_a_resting_sale_sold_meanwhile_is_not_sold_again(guard: Guard) -> None:
    resting = await by_hand(guard, a_limit_sale())
    guard.house.exchange.fail_next("cancel", ExchangeUnavailable("no"))
    await guard.fall(94_000_000)
    guard.house.exchange.fill(resting.identifier)
    await settle(guard)
    await guard.follow(passes=3, seconds=2)

    assert guard.sold == [HELD]
    assert len(guard.positions) == 0


async def test_a_bug_about_one_market_is_tried_again_and_costs_no_other(
    guard: Guard, logs: Logs
) -> None:
    await guard.buy(market=KRW_ETH)
    guard.house.exchange.fail_next("submit", ZeroDivisionError("a bug"))
    guard.hear(94_000_000)
    guard.hear(94_000_000, KRW_ETH)

    await guard.follow()
    await guard.follow(seconds=1)

    sold = {intent.market for intent, _ in guard.house.exchange.sent if intent.volume}
    assert KRW_ETH in sold
    assert any("met a bug" in line["message"] for line in logs.of("risk"))


async def test_one_exit_at_a_time_in_one_market(guard: Guard) -> None:
    guard.hear(94_000_000)
    ((watched, one),) = guard.follower.due()
    one.is_busy = True

    assert guard.follower.due() == []
    one.is_busy = False
    await guard.follower.attempt(watched, one)
    assert guard.sold == [HELD]


async def test_the_loop_sells_when_a_price_wakes_it_and_ends_when_it_is_told_to(
    guard: Guard,
) -> None:
    stopping = asyncio.Event()
    sold = asyncio.Event()

    async def told(event: OrderFilled) -> None:
        if event.side is Side.SELL:
            sold.set()
            stopping.set()

    guard.house.bus.subscribe(OrderFilled, told)
    running = asyncio.ensure_future(guard.follower.run(stopping))
    guard.hear(94_000_000)
    await asyncio.gather(sold.wait(), running)

    assert guard.sold == [HELD]


async def test_a_stop_of_the_process_waits_for_the_sale_that_is_on_its_way(guard: Guard) -> None:
    stopping, submit = asyncio.Event(), guard.house.exchange.submit
    is_sent, goes_on = asyncio.Event(), asyncio.Event()

    async def late(*arguments: Any, **more: Any) -> ExchangeOrder:
        is_sent.set()
        await goes_on.wait()
        return await submit(*arguments, **more)

    guard.house.exchange.submit = late  # type: ignore[method-assign]
    running = asyncio.ensure_future(guard.follower.run(stopping))
    guard.hear(94_000_000)
    await is_sent.wait()
    stopping.set()
    for _ in range(20):
        await asyncio.sleep(0)
    ended_early = running.done()
    goes_on.set()
    await running

    assert not ended_early
    assert guard.house.orders.rows[2].status is OrderStatus.EXECUTED


async def test_an_order_that_is_open_is_no_failure_and_is_waited_for(guard: Guard) -> None:
    guard.house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    for _ in range(4):
        guard.house.exchange.fail_next("find", ExchangeUnavailable("no answer"))

    await guard.fall(94_000_000)

    one = guard.positions[KRW_BTC].exit
    assert one is not None
    assert (one.failures, one.reads_account) == (0, False)
    assert one.not_before == guard.house.clock.monotonic() + LOOK_AGAIN_S


async def test_after_a_sale_the_account_is_not_asked_again(guard: Guard) -> None:
    exchange = guard.house.exchange
    exchange.fail_next("submit", ExchangeRefused("no", code="validation_error"))
    await guard.fall(94_000_000)
    exchange.depth = D("0.0004")

    await guard.follow(passes=2, seconds=1)

    assert guard.sold == [HELD, D("0.0006")]
    assert exchange.calls.count("balances") == 1


async def test_a_resting_sale_is_asked_to_end_again_only_after_a_while(guard: Guard) -> None:
    await by_hand(guard, a_limit_sale())
    for _ in range(9):
        guard.house.exchange.fail_next("cancel", ExchangeUnavailable("no"))
    await guard.fall(94_000_000)

    for _ in range(int(FREE_AGAIN_S) - 1):
        await guard.follow(seconds=1)
    early = guard.house.exchange.calls.count("cancel")
    await guard.follow(seconds=1)

    assert (early, guard.house.exchange.calls.count("cancel")) == (1, 2)


def _cancelled(guard: Guard) -> list[str]:
    rows = guard.house.orders.rows
    return [rows[order_id].identifier for order_id in guard.house.order_requests.cancelled]
