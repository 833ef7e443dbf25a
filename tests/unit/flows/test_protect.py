"""Every position is watched on every price, and a breached rule sells it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest

from service.bus import FillsFound, OrderFilled
from service.domain.errors import (
    ExchangeRefused,
    ExchangeUnavailable,
    JournalDown,
    OutcomeUnknown,
    StoreDown,
)
from service.domain.markets import Market, MarketRules
from service.domain.orders import Breach, ExitRule, Fill, Order, OrderStatus, OrderType, Side
from service.domain.positions import Position
from service.domain.prices import PriceDoubt, PriceSource
from service.domain.protection import Protection, Unwatched
from service.domain.trading_states import OrderSource, TradingStatus
from service.flows.protect import ASK_AFTER_S, UNDONE_S, UNWATCHED_S
from service.flows.watched_positions import OngoingExit
from service.ports.protection import StoredProtection
from tests.builders import (
    KRW_BTC,
    T0,
    a_fill,
    a_position,
    a_ticker,
    an_intent,
    an_order,
    some_rules,
)
from tests.fakes.logs import Logs
from tests.unit.flows.conftest import KRW_ETH, House
from tests.unit.flows.protecting import PRICE, Guard

D = Decimal
BREACH = Breach(rule=ExitRule.STOP_LOSS, price=D(94_000_000), limit=D(95_000_000))


@pytest.fixture
async def guard(house: House) -> Guard:
    """One position, bought at 100 million, stop at 95 million."""
    made = Guard(house)
    await made.protector.load()
    await made.buy()
    return made


# --- the decision ---------------------------------------------------------------------------------


async def test_a_price_at_the_stop_begins_the_exit_before_anything_is_asked(guard: Guard) -> None:
    asked = len(guard.house.exchange.calls)

    guard.hear(95_000_000)

    watched = guard.positions[KRW_BTC]
    assert watched.exit is not None
    assert watched.exit.breach == replace(BREACH, price=D(95_000_000))
    assert guard.positions.wake.is_set()
    assert guard.house.exchange.calls[asked:] == []


async def test_a_price_above_the_stop_begins_none(guard: Guard) -> None:
    guard.hear(95_001_000)

    assert guard.positions[KRW_BTC].exit is None


async def test_a_stop_sells_all_that_is_held_once_and_names_price_and_limit(guard: Guard) -> None:
    await guard.fall(94_000_000)
    await guard.fall(93_000_000)

    assert guard.sold == [D("0.001")]
    assert guard.house.orders.tables.exits == [(2, BREACH)]
    assert len(guard.positions) == 0


async def test_a_gain_sells_where_the_rule_is_on(guard: Guard) -> None:
    await guard.house.allow(take_profit_pct="10")

    await guard.fall(110_000_000)

    ((_, breach),) = guard.house.orders.tables.exits
    assert (breach.rule, breach.limit) == (ExitRule.TAKE_PROFIT, D(110_000_000))


async def test_the_trailing_stop_follows_the_highest_price(guard: Guard) -> None:
    await guard.house.allow(trailing_stop_pct="10")
    guard.hear(150_000_000)
    guard.hear(140_000_000)

    await guard.fall(135_000_000)

    ((_, breach),) = guard.house.orders.tables.exits
    assert (breach.rule, breach.limit) == (ExitRule.TRAILING_STOP, D(135_000_000))


async def test_a_price_traded_before_the_purchase_does_not_raise_the_trailing_stop(
    guard: Guard,
) -> None:
    old = guard.house.clock.now() - timedelta(seconds=5)
    high = D(105_000_000)
    ticker = a_ticker(price=high, low=high, high=high, traded_at=old)

    assert guard.prices.hear(ticker, source=PriceSource.REST) is not None

    assert guard.positions[KRW_BTC].protection.highest == PRICE


async def test_a_price_from_before_a_purchase_sells_nothing_however_far_the_market_moved(
    guard: Guard,
) -> None:
    """The market rose by a tenth, and we bought before its next price was heard."""
    guard.hear(94_000_000, KRW_ETH)
    guard.house.clock.pass_time(5)

    await guard.buy(market=KRW_ETH)
    await guard.wait(2)
    before = guard.positions[KRW_ETH].exit
    guard.hear(94_000_000, KRW_ETH)

    assert before is None
    assert guard.positions[KRW_ETH].exit is not None


async def test_a_price_from_before_a_second_purchase_is_not_held_against_the_new_average(
    guard: Guard,
) -> None:
    await guard.house.allow(take_profit_pct="1")
    guard.hear(100_500_000)
    guard.house.clock.pass_time(5)
    fill = a_fill(price=D(80_000_000), funds=D(80_000), traded_at=guard.house.clock.now())

    await guard.protector.filled(_a_purchase(fill))
    await guard.protector.watch()
    before = guard.positions[KRW_BTC].exit
    guard.hear(100_500_000)

    assert before is None
    assert guard.positions[KRW_BTC].exit is not None


async def test_a_clock_that_is_slow_keeps_no_price_from_being_judged(guard: Guard) -> None:
    ahead = guard.house.clock.now() + timedelta(seconds=20)
    await guard.protector.filled(_a_purchase(a_fill(traded_at=ahead)))

    guard.hear(94_000_000)

    assert guard.positions[KRW_BTC].exit is not None


async def test_a_fill_that_is_heard_late_opens_no_time_of_before_a_later_purchase(
    guard: Guard,
) -> None:
    """A price of between two purchases is not judged, in whichever order they are heard."""
    begin = guard.house.clock.now()
    guard.house.clock.pass_time(6)
    await guard.protector.filled(_a_purchase(a_fill(traded_at=begin + timedelta(seconds=5))))
    await guard.protector.filled(_a_purchase(a_fill(traded_at=begin + timedelta(seconds=1))))

    low = D(94_000_000)
    ticker = a_ticker(price=low, low=low, high=low, traded_at=begin + timedelta(seconds=3))
    heard = guard.prices.hear(ticker, source=PriceSource.STREAM)

    assert heard is not None
    assert guard.positions[KRW_BTC].exit is None


async def test_a_price_of_the_instant_of_a_purchase_counts_although_our_clock_is_slow(
    guard: Guard,
) -> None:
    """The market does not trade, so no later price brings the instant of the purchase forward."""
    guard.hear(97_000_000)
    ahead = guard.house.clock.now() + timedelta(seconds=20)
    await guard.protector.filled(_a_purchase(a_fill(traded_at=ahead)))

    await guard.house.allow(stop_loss_pct="2")

    assert guard.positions[KRW_BTC].exit is not None


async def test_a_start_with_a_slow_clock_judges_the_price_of_that_instant(guard: Guard) -> None:
    guard.house.clock.set_back(600)
    after = Guard(guard.house)
    after.hear(97_000_000)
    await after.protector.load()

    await guard.house.allow(stop_loss_pct="3")

    assert after.positions[KRW_BTC].exit is not None


@pytest.mark.parametrize("seconds", [2, 600])
async def test_a_clock_that_is_set_back_after_a_purchase_keeps_no_price_from_being_judged(
    guard: Guard, seconds: int
) -> None:
    guard.house.clock.pass_time(5)
    guard.house.clock.set_back(seconds + 5)

    guard.hear(94_000_000)

    assert guard.positions[KRW_BTC].exit is not None


async def test_a_clock_that_is_set_back_keeps_no_price_from_moving_the_trailing_stop(
    guard: Guard,
) -> None:
    guard.house.clock.set_back(600)

    guard.hear(150_000_000)

    assert guard.positions[KRW_BTC].protection.highest == D(150_000_000)


async def test_a_price_of_before_a_purchase_is_not_judged_after_the_clock_was_set_back_either(
    guard: Guard,
) -> None:
    guard.hear(94_000_000, KRW_ETH)
    guard.house.clock.pass_time(5)
    await guard.buy(market=KRW_ETH)

    guard.house.clock.set_back(600)
    guard.hear(PRICE)
    await guard.wait(2)

    assert guard.positions[KRW_ETH].exit is None


async def test_a_doubted_price_beyond_the_stop_sells_nothing_and_the_status_says_so(
    guard: Guard,
) -> None:
    guard.hear(PRICE)
    lie = a_ticker(price=D(1), low=D(1), high=PRICE, traded_at=guard.house.clock.now())

    guard.prices.hear(lie, source=PriceSource.STREAM)
    await guard.wait(2)
    await guard.follow()

    position = await guard.house.orders.position(KRW_BTC)
    assert guard.sold == []
    assert guard.protector.status(position).doubt is PriceDoubt.JUMP


@pytest.mark.parametrize("state", [TradingStatus.REDUCING, TradingStatus.DISABLED])
async def test_a_stop_sells_where_purchases_are_stopped(guard: Guard, state: TradingStatus) -> None:
    if state is TradingStatus.REDUCING:
        await guard.house.trading_switch.halt(
            kind=TradingStatus.REDUCING, reason="test", actor="test"
        )
    else:
        await guard.house.allow(trading_enabled=False)

    await guard.fall(94_000_000)

    assert guard.sold == [D("0.001")]


async def test_a_full_halt_stops_stops_and_its_end_sells_at_the_newest_price(
    guard: Guard,
) -> None:
    await guard.house.trading_switch.halt(kind=TradingStatus.HALTED, reason="test", actor="test")
    await guard.fall(94_000_000)
    stopped = list(guard.sold)

    await guard.house.trading_switch.resume(actor="test")
    await guard.protector.watch()
    await guard.follow()

    assert (stopped, guard.sold) == ([], [D("0.001")])


async def test_a_halt_ends_an_exit_that_has_begun(guard: Guard) -> None:
    guard.hear(94_000_000)
    await guard.house.trading_switch.halt(kind=TradingStatus.HALTED, reason="test", actor="test")

    await guard.follow()

    assert guard.sold == []
    assert guard.positions[KRW_BTC].exit is None


async def test_a_process_that_has_lost_the_lease_begins_no_exit(guard: Guard) -> None:
    guard.house.lease.epoch = None
    await guard.house.leadership.renew()

    guard.hear(94_000_000)

    assert guard.positions[KRW_BTC].exit is None


async def test_a_process_that_never_had_the_lease_sells_nothing(house: House) -> None:
    guard = Guard(house)
    await guard.buy()
    await guard.protector.load()
    house.lease.epoch = None
    await house.leadership.renew()

    await guard.fall(94_000_000)
    await guard.protector.keep()

    assert guard.sold == []
    assert len(guard.positions) == 0


# --- settings -------------------------------------------------------------------------------------


async def test_a_tighter_setting_sells_at_once_without_another_price(guard: Guard) -> None:
    guard.hear(97_000_000)
    assert guard.positions[KRW_BTC].exit is None

    await guard.house.allow(stop_loss_pct="3")
    await guard.follow()

    assert guard.sold == [D("0.001")]


async def test_a_tighter_setting_sells_at_the_last_price_of_a_market_that_does_not_trade(
    guard: Guard,
) -> None:
    guard.hear(97_000_000)
    guard.house.clock.pass_time(300)
    await guard.house.leadership.renew()
    doubt = guard.prices.doubt(KRW_BTC)

    await guard.house.allow(stop_loss_pct="3")
    await guard.follow()

    assert doubt is PriceDoubt.STALE
    assert guard.sold == [D("0.001")]


async def test_a_tighter_setting_sells_nothing_while_the_newest_price_is_doubted(
    guard: Guard,
) -> None:
    """The last believed price may be long gone, and the newest word may be a lie."""
    guard.hear(97_000_000)
    word = a_ticker(price=2 * PRICE, low=PRICE, high=2 * PRICE, traded_at=guard.house.clock.now())
    guard.prices.hear(word, source=PriceSource.STREAM)

    await guard.house.allow(stop_loss_pct="3")
    doubted = guard.positions[KRW_BTC].exit
    guard.hear(97_000_000)

    assert doubted is None
    assert guard.positions[KRW_BTC].exit is not None


async def test_settings_stay_as_last_read_while_the_database_is_away(
    guard: Guard, logs: Logs
) -> None:
    await guard.house.allow(stop_loss_pct="10")
    guard.house.rows.fail = StoreDown("gone")

    await guard.house.settings.invalidate("stop_loss_pct")

    assert guard.protector.settings.stop_loss_pct == 10
    assert "StoreDown" in [line.get("error") for line in logs.of("risk")]


async def test_a_setting_that_could_not_be_read_is_read_when_the_database_is_back(
    guard: Guard,
) -> None:
    guard.house.rows.stored["stop_loss_pct"] = "3"
    guard.house.rows.fail = StoreDown("gone")
    await guard.house.settings.invalidate("stop_loss_pct")
    guard.house.rows.fail = None

    await guard.protector.keep()

    assert guard.protector.settings.stop_loss_pct == 3


# --- what is held ---------------------------------------------------------------------------------


async def test_a_start_watches_what_is_held_and_sells_a_breached_stop_at_the_first_price(
    house: House,
) -> None:
    guard = Guard(house)
    await guard.house.executor.execute(an_intent(), decision_id=None)

    await guard.protector.load()
    await guard.fall(60_000_000)

    assert guard.sold == [D("0.001")]


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "average"])
async def test_the_first_price_after_a_start_sells_nothing_before_it_is_confirmed(
    house: House, stored: bool
) -> None:
    """A market that is collected no more: its newest stored price is a year old, or there is none.

    The average price is far from that price, and from the one that is heard.
    """
    guard = Guard(house)
    await guard.buy()
    if stored:
        old, year = a_ticker(price=D(50_000_000)), timedelta(days=365)
        await house.market_data.add_tickers([old], at=house.clock.now() - year)
    await guard.protector.load()
    price = D(30_000_000)
    word = a_ticker(price=price, low=price, high=price, traded_at=house.clock.now())

    guard.prices.hear(word, source=PriceSource.STREAM)
    await guard.protector.watch()
    before = guard.positions[KRW_BTC].exit
    guard.prices.hear(word, source=PriceSource.REST)

    assert before is None
    assert guard.positions[KRW_BTC].exit is not None


async def test_a_start_knows_the_highest_price_of_before(guard: Guard) -> None:
    await guard.house.allow(trailing_stop_pct="10")
    guard.hear(150_000_000)
    await guard.protector.keep()
    after = Guard(guard.house, rows=guard.rows)

    await after.protector.load()
    assert after.positions[KRW_BTC].protection.highest == D(150_000_000)
    await after.fall(135_000_000)

    assert after.sold == [D("0.001")]


async def test_a_start_takes_the_highest_of_the_stored_minutes(guard: Guard) -> None:
    guard.rows.highs[KRW_BTC] = D(170_000_000)
    after = Guard(guard.house, rows=guard.rows)

    await after.protector.load()

    assert after.positions[KRW_BTC].protection.highest == D(170_000_000)


async def test_minutes_collected_after_an_outage_raise_the_trailing_stop(guard: Guard) -> None:
    guard.rows.highs[KRW_BTC] = D(170_000_000)

    await guard.wait(16)

    assert guard.positions[KRW_BTC].protection.highest == D(170_000_000)


async def test_the_highest_price_of_an_earlier_position_does_not_count(house: House) -> None:
    guard = Guard(house)
    await guard.house.executor.execute(an_intent(), decision_id=None)
    opened_at = T0 - timedelta(days=1)
    guard.rows.rows[KRW_BTC] = StoredProtection(
        market=KRW_BTC, opened_at=opened_at, highest=2 * PRICE, exit=BREACH, is_dust=True
    )

    await guard.protector.load()

    watched = guard.positions[KRW_BTC]
    assert (watched.protection.highest, watched.exit, watched.is_dust) == (PRICE, None, False)


async def test_an_exit_that_had_begun_is_carried_on_after_a_restart(guard: Guard) -> None:
    guard.hear(94_000_000)
    await guard.protector.keep()
    after = Guard(guard.house, rows=guard.rows)

    await after.protector.load()
    after.hear(99_000_000)
    await after.follow()

    assert after.sold == [D("0.001")]


async def test_an_exit_is_stored_as_soon_as_it_begins(guard: Guard) -> None:
    """Should this process end now, the next one carries it on."""
    await guard.protector.keep()
    guard.hear(94_000_000)

    await guard.protector.keep()

    assert guard.rows.rows[KRW_BTC].exit == BREACH


async def test_a_fill_that_is_heard_while_the_table_is_read_is_not_forgotten(guard: Guard) -> None:
    house = guard.house
    sale = an_intent(
        side=Side.SELL, type=OrderType.LIMIT, volume=D("0.001"), price=2 * PRICE, funds=None
    )
    order = await house.executor.execute(sale, decision_id=None, source=OrderSource.HAND)
    read = house.orders.open

    async def read_and_fill() -> Sequence[Order]:
        found = await read()
        house.orders.open = read  # type: ignore[method-assign]
        house.exchange.fill(order.identifier, volume=D("0.0004"))
        await house.reconciler.reconcile()
        return found

    house.orders.open = read_and_fill  # type: ignore[assignment]
    await guard.protector.keep()

    assert guard.positions[KRW_BTC].position.volume == D("0.0006")
    assert house.open_sales.volume(KRW_BTC) == D("0.0006")


async def test_coins_that_are_sold_while_what_is_held_is_read_are_not_held(guard: Guard) -> None:
    house = guard.house
    house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    for _ in range(4):
        house.exchange.fail_next("find", ExchangeUnavailable("no answer"))
    await guard.fall(94_000_000)
    read = guard.rows.highest

    async def read_late(*arguments: Any, **more: Any) -> Decimal | None:
        guard.rows.highest = read  # type: ignore[method-assign]
        await house.reconciler.reconcile()
        return await read(*arguments, **more)

    guard.rows.highest = read_late  # type: ignore[method-assign]
    await guard.protector.load()
    await guard.follow(passes=3, seconds=1)

    assert len(guard.positions) == 0
    assert guard.sold == [D("0.001")]


async def test_the_exit_of_a_position_is_not_carried_over_to_the_next_one(guard: Guard) -> None:
    """As a comparison finds it: sold and bought again, and neither was heard."""
    guard.hear(94_000_000)
    watched = guard.positions[KRW_BTC]
    begun = watched.exit
    later = replace(watched.position, opened_at=guard.house.clock.now() + timedelta(seconds=5))

    watched.protect(watched.protection.seen(2 * PRICE), guard.protector.settings)
    same = watched.exit
    watched.protect(Protection.of(later), guard.protector.settings)

    assert begun is not None
    assert (same, watched.exit) == (begun, None)


async def test_fills_move_what_is_watched(guard: Guard) -> None:
    await guard.buy(funds=200_000)
    more = guard.positions[KRW_BTC].position.volume
    await guard.order(an_intent(side=Side.SELL, volume=D("0.002"), funds=None))

    assert more == D("0.003")
    assert guard.positions[KRW_BTC].position == await guard.house.orders.position(KRW_BTC)


async def test_a_difference_that_the_table_shows_twice_is_corrected(guard: Guard) -> None:
    stored = await guard.house.orders.position(KRW_BTC)
    await guard.protector.filled(_a_purchase(a_fill(trade_uuid="t-elsewhere")))
    await guard.wait(2)
    once = guard.positions[KRW_BTC].position.volume
    await guard.wait(16)

    assert once == D("0.002")
    assert guard.positions[KRW_BTC].position == stored


async def test_a_position_that_the_table_does_not_have_is_not_sold_for_ever(guard: Guard) -> None:
    """Whatever memory says, the coins of the account's owner are not ours."""
    guard.house.orders.booked.clear()

    await guard.wait(32)

    assert len(guard.positions) == 0


async def test_a_purchase_whose_commit_gave_no_answer_is_watched_from_the_next_look_on(
    house: House,
) -> None:
    """Not half a minute later, when two comparisons agree: the database may be away by then."""
    guard = Guard(house)
    await guard.protector.load()
    house.orders.lose_fills = StoreDown("the answer of the COMMIT was lost")

    await guard.buy()

    assert guard.positions[KRW_BTC].position.volume == D("0.001")
    guard.hear(94_000_000)
    assert guard.positions[KRW_BTC].exit is not None


async def test_a_purchase_that_was_read_while_it_was_heard_is_counted_once(guard: Guard) -> None:
    house, position = guard.house, guard.house.orders.position
    fill = a_fill(trade_uuid="t-9", price=D(100_000_000), volume=D("0.002"))
    heard: list[OrderFilled] = []

    async def reading(market: Market) -> Position:
        read = await position(market)
        if not heard:
            heard.append(_a_purchase(fill))
            house.orders.hold(an_order(id=9, identifier="uat-9"), fill)
            await house.bus.publish(heard[0])
        return read

    house.orders.position = reading  # type: ignore[method-assign]
    await house.bus.publish(FillsFound(market=KRW_BTC, side=Side.BUY))

    assert guard.positions[KRW_BTC].position.volume == D("0.003")


async def test_a_found_purchase_that_cannot_be_read_is_a_warning(guard: Guard, logs: Logs) -> None:
    guard.house.orders.fail = StoreDown("gone")

    await guard.protector.found(FillsFound(market=KRW_BTC, side=Side.BUY))

    assert [line["level"] for line in logs.lines if "stored and cannot be read" in line["message"]]


def _a_purchase(fill: Fill) -> OrderFilled:
    """Return what is heard of a purchase whose fill is not stored."""
    return OrderFilled(
        order_id=9,
        identifier="uat-9",
        market=KRW_BTC,
        side=Side.BUY,
        volume=fill.volume,
        funds=fill.funds,
        fills=(fill,),
    )


async def test_a_failed_load_is_told_and_nothing_is_watched_blindly(house: House) -> None:
    guard = Guard(house)
    guard.rows.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await guard.protector.load()

    assert len(guard.positions) == 0


# --- positions that no stop can sell --------------------------------------------------------------


async def buy_at_most(guard: Guard, volume: str) -> None:
    """Buy within a price what the book offers, which is less than was asked for."""
    guard.house.exchange.offered = D(volume)
    purchase = an_intent(
        type=OrderType.LIMIT_IOC, price=PRICE, volume=D("0.001"), funds=None, market=KRW_ETH
    )
    await guard.order(purchase)


@pytest.mark.parametrize(
    ("bought", "is_told"), [("0.00004", True), ("0.000052", True), ("0.000053", False)]
)
async def test_a_purchase_that_no_stop_can_sell_is_told_of_once(
    guard: Guard, logs: Logs, bought: str, is_told: bool
) -> None:
    """The book had few coins within the price: at the stop they are below the smallest order."""
    guard.house.exchange.set_price(PRICE, KRW_ETH)
    await buy_at_most(guard, bought)
    await guard.protector.ask()

    await guard.wait(3)

    said = [line["market"] for line in logs.of("risk") if "no stop can sell" in line["message"]]
    assert said == ([str(KRW_ETH)] if is_told else [])


async def test_a_small_position_that_grew_and_is_small_again_is_told_of_again(
    guard: Guard, logs: Logs
) -> None:
    guard.house.exchange.set_price(PRICE, KRW_ETH)
    for volume in ("0.00004", "0.0005"):
        await buy_at_most(guard, volume)
        await guard.protector.ask()
        await guard.wait(2)
    await guard.order(an_intent(market=KRW_ETH, side=Side.SELL, volume=D("0.0005"), funds=None))

    await guard.wait(2)

    said = [line for line in logs.of("risk") if "no stop can sell" in line["message"]]
    assert len(said) == 2


@pytest.mark.parametrize(("bought", "reason"), [("0.000052", Unwatched.SMALL), ("0.000053", None)])
async def test_a_position_that_no_stop_can_sell_is_shown_as_such(
    guard: Guard, bought: str, reason: Unwatched | None
) -> None:
    guard.house.exchange.set_price(PRICE, KRW_ETH)
    await buy_at_most(guard, bought)
    await guard.protector.ask()
    guard.hear(PRICE, KRW_ETH)

    shown = guard.protector.status(guard.positions[KRW_ETH].position)

    assert (shown.unwatched, shown.is_dust) == (reason, False)


async def test_a_position_that_is_being_sold_is_not_small(guard: Guard) -> None:
    """What an order left is below the smallest one, and the exit goes on to leave it as dust."""
    guard.house.exchange.depth = D("0.00099")
    await guard.protector.ask()

    await guard.fall(94_000_000)
    before = await why(guard)
    await guard.follow()

    assert (before, await why(guard)) == (None, Unwatched.DUST)


async def test_coins_below_one_step_are_dust_and_not_sold(guard: Guard) -> None:
    guard.hear(PRICE)
    fill = a_fill(volume=D("0.000999996"), traded_at=guard.house.clock.now())
    await guard.protector.filled(replace(_a_purchase(fill), side=Side.SELL))

    shown = guard.protector.status(guard.positions[KRW_BTC].position)

    assert (shown.unwatched, shown.is_dust) == (Unwatched.DUST, True)


# --- positions that are not watched ---------------------------------------------------------------


async def test_a_position_without_a_price_for_long_is_an_alert_with_an_end(guard: Guard) -> None:
    guard.hear(PRICE)
    await guard.wait(UNWATCHED_S)
    before = guard.told()
    await guard.wait(2)
    unwatched = guard.told()
    guard.hear(PRICE)
    await guard.wait(1)

    key = "position:KRW-BTC:unwatched"
    assert (before, unwatched, guard.told()) == ([], [key], [key, f"-{key}"])


async def test_a_position_without_a_price_and_an_exit_that_takes_long_are_logged_once_each(
    guard: Guard, logs: Logs
) -> None:
    """An alert needs a target, and a restart may find it told already. The log needs nothing."""
    guard.positions[KRW_BTC].exit = OngoingExit(
        breach=BREACH, began_at=guard.house.clock.monotonic()
    )
    await guard.wait(UNWATCHED_S + 5)
    guard.hear(PRICE)
    await guard.wait(2)

    said = [(line["level"], line["message"]) for line in logs.of("risk")]
    assert [one for one in said if "position" in one[1]] == [
        ("WARNING", "no price of a position is believed, its stop cannot act"),
        ("WARNING", "a rule has been selling a position for long, and not all is sold"),
        ("INFO", "a position that had no believed price is watched again, or closed"),
    ]


async def test_the_alert_ends_with_the_position(guard: Guard) -> None:
    guard.hear(PRICE)
    await guard.wait(UNWATCHED_S + 2)
    await guard.order(an_intent(side=Side.SELL, volume=D("0.001"), funds=None))
    await guard.wait(1)

    assert guard.told()[-1] == "-position:KRW-BTC:unwatched"


async def test_rest_is_asked_for_a_price_that_the_feed_does_not_bring(guard: Guard) -> None:
    guard.hear(PRICE)
    guard.house.clock.pass_time(ASK_AFTER_S + 1)
    await guard.protector.ask()

    assert guard.prices.age_s(KRW_BTC) == 0


async def test_a_market_that_is_gone_costs_no_other_its_price(guard: Guard) -> None:
    await guard.buy(market=KRW_ETH)
    guard.hear(PRICE)
    guard.hear(PRICE, KRW_ETH)
    guard.house.clock.pass_time(ASK_AFTER_S + 1)
    guard.house.exchange.fail_next("tickers", ExchangeUnavailable("gone"))

    with pytest.raises(ExchangeUnavailable):
        await guard.protector.ask()

    assert sorted([guard.prices.age_s(KRW_BTC) or 0, guard.prices.age_s(KRW_ETH) or 0]) == [0, 11]


@pytest.mark.parametrize("gone", [KRW_BTC, KRW_ETH])
async def test_a_market_without_rules_costs_no_other_its_rules(guard: Guard, gone: Market) -> None:
    await guard.buy(market=KRW_ETH)
    read = guard.house.exchange.rules

    async def answer(market: Market) -> MarketRules:
        if market == gone:
            raise ExchangeRefused("no such market", code="not_found")
        return await read(market)

    guard.house.exchange.rules = answer  # type: ignore[method-assign]

    with pytest.raises(ExchangeRefused):
        await guard.protector.ask()

    assert [market for market, one in guard.positions.items() if one.rules is None] == [gone]


async def test_a_market_without_a_price_costs_none_its_rules(guard: Guard) -> None:
    guard.house.clock.pass_time(ASK_AFTER_S + 1)
    guard.house.exchange.fail_next("tickers", ExchangeUnavailable("gone"))

    with pytest.raises(ExchangeUnavailable):
        await guard.protector.ask()

    assert guard.positions[KRW_BTC].rules is not None


async def test_an_exit_that_takes_long_is_an_alert_until_it_is_done(guard: Guard) -> None:
    guard.hear(94_000_000)
    guard.house.exchange.held = ExchangeUnavailable("not now")
    for _ in range(33):
        guard.hear(94_000_000)
        await guard.wait(1)
        await guard.follow()
    undone = guard.told()
    guard.house.exchange.held = None
    await guard.follow(seconds=31)
    await guard.house.leadership.renew()
    await guard.follow(seconds=1)
    await guard.wait(1)

    assert undone == ["position:KRW-BTC:exit"]
    assert guard.sold == [D("0.001")]
    assert guard.told()[-1] == "-position:KRW-BTC:exit"


# --- what is shown --------------------------------------------------------------------------------


async def test_a_position_shows_its_prices_on_the_tick_its_distance_and_its_age(
    guard: Guard,
) -> None:
    await guard.house.allow(trailing_stop_pct="10", take_profit_pct="20.0003")
    guard.house.exchange.market_rules[KRW_BTC] = some_rules(tick_size=D(1000))
    await guard.protector.ask()
    guard.hear(PRICE)
    guard.house.clock.pass_time(4)
    position = await guard.house.orders.position(KRW_BTC)

    shown = guard.protector.status(position)

    assert shown.limits is not None
    assert (shown.limits.stop_loss, shown.limits.trailing_stop, shown.limits.take_profit) == (
        D(95_000_000), D(90_000_000), D(120_001_000),
    )  # fmt: skip
    assert (shown.distance_pct, shown.unwatched, shown.price_age_s) == (D(5), None, 4)
    assert (shown.doubt, shown.exit) == (None, None)


async def test_a_position_that_another_process_watches_is_not_watched_here(house: House) -> None:
    guard = Guard(house)
    await guard.buy()
    position = await house.orders.position(KRW_BTC)
    house.lease.epoch = None
    await house.leadership.renew()

    shown = guard.protector.status(position)

    assert shown.unwatched is Unwatched.NO_LEASE
    assert shown.limits is not None
    assert shown.limits.stop_loss == D(95_000_000)


async def why(guard: Guard) -> Unwatched | None:
    return guard.protector.status(await guard.house.orders.position(KRW_BTC)).unwatched


@pytest.mark.parametrize(
    ("kind", "market", "reason"),
    [
        (TradingStatus.HALTED, None, Unwatched.TRADING_STOPPED),
        (TradingStatus.HALTED, KRW_BTC, Unwatched.TRADING_STOPPED),
        (TradingStatus.HALTED, KRW_ETH, None),
        (TradingStatus.REDUCING, None, None),
    ],
)
async def test_a_position_is_not_watched_while_no_rule_may_sell(
    guard: Guard,
    kind: Literal[TradingStatus.HALTED, TradingStatus.REDUCING],
    market: Market | None,
    reason: Unwatched | None,
) -> None:
    guard.hear(PRICE)
    before = await why(guard)
    await guard.house.trading_switch.halt(kind=kind, market=market, reason="test", actor="test")
    halted = await why(guard)
    await guard.house.trading_switch.resume(actor="test")

    assert (before, halted, await why(guard)) == (None, reason, None)


async def test_a_position_is_not_watched_once_the_lease_has_lapsed(guard: Guard) -> None:
    """On a given server: another process may trade by now, and nothing leaves this one."""
    guard.hear(PRICE)
    guard.house.clock.pass_time(10)
    await guard.house.unstored_orders.watch([KRW_BTC])
    lapsed = await why(guard)
    await guard.house.leadership.renew()
    await guard.house.unstored_orders.watch([KRW_BTC])

    assert (lapsed, await why(guard)) == (Unwatched.LEASE_LAPSED, None)


async def test_a_position_of_the_embedded_server_is_watched_while_its_journal_can_be_written(
    guard: Guard,
) -> None:
    guard.house.is_alone = True
    unstored = guard.house.unstored_orders = guard.house.new_unstored_orders()
    alone = Guard(guard.house)
    await unstored.begin()
    await alone.protector.load()
    alone.hear(PRICE)
    guard.house.clock.pass_time(10)

    await unstored.watch([KRW_BTC])
    written = await why(alone)
    guard.house.exit_journal.fail = JournalDown("disk full")
    await unstored.watch([KRW_BTC])

    assert (written, await why(alone)) == (None, Unwatched.JOURNAL_DOWN)


async def test_a_position_is_not_watched_before_this_process_trades(house: House) -> None:
    guard = Guard(house)
    await guard.buy()
    house.lease.epoch = 7
    await house.leadership.renew()
    await guard.protector.load()
    before = await why(guard)
    await house.leadership.settle()

    assert (before, await why(guard)) == (Unwatched.RECONCILING, None)


async def test_a_position_that_memory_does_not_have_yet_is_not_watched(guard: Guard) -> None:
    guard.positions.clear()

    assert await why(guard) is Unwatched.NOT_LOADED


async def test_a_position_without_a_price_for_long_is_not_watched(guard: Guard) -> None:
    guard.hear(PRICE)
    await guard.wait(UNWATCHED_S)
    before = await why(guard)
    await guard.wait(1)

    assert (before, await why(guard)) == (None, Unwatched.NO_PRICE)


async def test_a_position_that_is_sold_to_the_last_coin_is_not_watched(guard: Guard) -> None:
    guard.hear(PRICE)
    guard.sell_unbooked("uat-x", D("0.0004"))
    partly = await why(guard)
    guard.sell_unbooked("uat-y", D("0.0006"))

    assert (partly, await why(guard)) == (None, Unwatched.SOLD)


async def test_dust_is_not_watched(guard: Guard) -> None:
    guard.hear(PRICE)
    guard.positions[KRW_BTC].is_dust = True

    assert await why(guard) is Unwatched.DUST


async def test_without_coins_nothing_is_watched(guard: Guard) -> None:
    shown = guard.protector.status(a_position(market=KRW_ETH))

    assert (shown.limits, shown.distance_pct) == (None, None)


async def test_an_open_sale_of_before_the_restart_is_not_sold_again(house: House) -> None:
    guard = Guard(house)
    await guard.buy()
    left = an_order(
        id=7,
        identifier="uat-7",
        intent=an_intent(side=Side.SELL, volume=D("0.001"), funds=None),
        status=OrderStatus.UNKNOWN,
    )
    house.orders.hold(left)

    await guard.protector.load()
    await guard.fall(94_000_000)

    assert guard.sold == []


async def test_a_position_that_is_sold_and_not_booked_is_no_alert(guard: Guard) -> None:
    """As after a sale from the exit journal: the database has to come back, nothing else."""
    guard.hear(94_000_000)
    guard.sell_unbooked("uat-x", Decimal("0.0004"))
    guard.house.clock.pass_time(UNDONE_S + 1)
    await guard.house.leadership.renew()
    await guard.protector.watch()
    partly = guard.told()
    unsold = guard.protector.unsold()

    guard.sell_unbooked("uat-y", Decimal("0.0006"))
    await guard.protector.watch()

    keys = ["position:KRW-BTC:unwatched", "position:KRW-BTC:exit"]
    assert (partly, unsold) == (keys, [KRW_BTC])
    assert guard.told()[2:] == [f"-{key}" for key in keys]
    assert guard.protector.unsold() == []
