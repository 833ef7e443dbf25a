"""The exchange: states, locks, fees and refusals as Upbit's documentation says."""

from decimal import Decimal

import pytest

from service.sandbox.errors import RequestRefused
from service.sandbox.exchange.engine import Engine
from service.sandbox.exchange.orders import SandboxOrder
from service.sandbox.market.ticks import UNITS, decimal
from tests.unit.sandbox.makers import KRW_BTC, START, an_engine, assert_explained, at, fields, limit


def best(engine: Engine, side: str) -> str:
    book = engine.book(KRW_BTC, START)
    return f"{decimal((book.asks if side == 'ask' else book.bids)[0].price):f}"


def settled(engine: Engine, order: SandboxOrder) -> SandboxOrder:
    return engine.orders[order.uuid]


def test_an_order_is_waiting_when_accepted_and_matched_when_looked_at() -> None:
    engine = an_engine(30_000)

    accepted = engine.place(fields(), START)

    assert (accepted.state, accepted.trades) == ("wait", [])
    assert settled(engine, accepted).trades


def test_a_market_buy_with_a_remainder_ends_cancelled_and_hands_it_back() -> None:
    # Upbit docs: 10,000 KRW at 30,000 buy 0.33333333; 0.0001 KRW come back.
    engine = an_engine(30_000)
    price = Decimal(best(engine, "ask"))

    order = settled(engine, engine.place(fields(price="10000"), START))

    bought = (10_000 / price).quantize(Decimal("0.00000001"), "ROUND_DOWN")
    assert order.state == "cancel"
    assert order.executed_volume == bought
    assert order.paid_fee == bought * price * Decimal("0.0005")
    assert order.remaining_volume is None
    assert engine.account("KRW").balance == 10_000_000 - bought * price - order.paid_fee
    assert_explained(engine)


def test_a_market_buy_that_fits_exactly_is_done() -> None:
    engine = an_engine(25_000)
    cost = Decimal(best(engine, "ask")) * Decimal("0.5")

    order = settled(engine, engine.place(fields(price=f"{cost:f}"), START))

    assert order.state == "done"
    assert order.executed_volume == Decimal("0.5")


def test_a_market_sell_leaves_nothing() -> None:
    engine = an_engine(30_000, btc="2")

    ask = fields(side="ask", ord_type="market", price=None, volume="1.23456789")
    order = settled(engine, engine.place(ask, START))

    assert order.state == "done"
    assert order.executed_volume == Decimal("1.23456789")
    assert engine.account("BTC").balance == Decimal("0.76543211")
    assert_explained(engine)


def test_a_resting_bid_locks_price_times_volume_and_the_fee() -> None:
    # ccxt's capture: 0.00008 at 100,000,000 reserves 4 and locks 8004.
    engine = an_engine(110_000_000)

    order = engine.place(limit("bid", "100000000", "0.00008"), START)

    assert order.reserved_fee == 4
    assert order.locked == 8004
    assert engine.account("KRW").locked == 8004
    assert engine.account("KRW").balance == 10_000_000 - 8004


def test_a_resting_ask_locks_its_coins_and_no_fee() -> None:
    engine = an_engine(1_000, btc="10")

    order = engine.place(limit("ask", "1375", "10"), START)

    assert order.reserved_fee == 0
    assert order.locked == 10


def test_a_resting_bid_is_filled_at_its_limit_when_the_market_comes_down() -> None:
    engine = an_engine(110_000_000, 105_000_000, 99_000_000)
    order = engine.place(limit("bid", "100000000", "0.001"), START)

    engine.advance(at(1))
    early = settled(engine, order).state
    engine.advance(at(2))

    late = settled(engine, order)
    assert (early, late.state) == ("wait", "done")
    assert late.trades[0].price == 100_000_000
    assert late.trades[0].created_at == at(2)
    assert_explained(engine)


def test_a_resting_ask_is_filled_when_the_market_comes_up() -> None:
    engine = an_engine(100_000_000, 100_500_000, 101_000_000, btc="0.01")
    order = engine.place(limit("ask", "100500000", "0.01"), START)

    engine.advance(at(2))

    assert settled(engine, order).state == "done"
    assert engine.account("KRW").balance == 10_000_000 + 1_005_000 * Decimal("0.9995")


def test_a_print_at_the_limit_fills_no_more_than_was_traded() -> None:
    engine = an_engine(110_000, 100_000, 100_000, volume=UNITS // 2)
    order = engine.place(limit("bid", "100000", "0.8"), START)

    engine.advance(at(1))
    partly = settled(engine, order)
    seen = (partly.state, partly.executed_volume, partly.locked)
    engine.advance(at(2))

    assert seen == ("wait", Decimal("0.5"), Decimal("0.3") * 100_000 * Decimal("1.0005"))
    assert settled(engine, order).state == "done"
    assert_explained(engine)


def test_the_better_of_two_resting_orders_is_filled_first() -> None:
    engine = an_engine(110_000, 100_000, volume=UNITS)
    worse = engine.place(limit("bid", "100000", "1"), START)
    better = engine.place(limit("bid", "100100", "1"), START)

    engine.advance(at(1))

    assert settled(engine, better).state == "done"
    assert settled(engine, better).trades[0].price == 100_100
    assert_explained(engine)
    assert settled(engine, worse).number < settled(engine, better).number


def test_a_marketable_bid_pays_the_book_and_not_its_limit() -> None:
    engine = an_engine(100_000_000)
    ask = Decimal(best(engine, "ask"))

    order = settled(engine, engine.place(limit("bid", "110000000", "0.0001"), START))

    assert order.state == "done"
    assert order.trades[0].price == ask
    assert engine.account("KRW").locked == 0
    assert_explained(engine)


def test_an_order_deeper_than_a_level_takes_several() -> None:
    engine = an_engine(100_000_000, krw=1_000_000_000)

    order = settled(engine, engine.place(fields(price="300000000"), START))

    prices = [trade.price for trade in order.trades]
    assert len(prices) > 3
    assert prices == sorted(set(prices))
    assert_explained(engine)


def test_what_one_order_took_the_next_does_not_find() -> None:
    engine = an_engine(100_000_000, 100_000_000, krw=10_000_000_000)
    engine.place(fields(price="90000000"), START)

    dearer = Decimal(best(engine, "ask"))
    engine.advance(at(1))

    assert dearer > 100_001_000
    assert engine.book(KRW_BTC, at(1)).asks[0].price <= 100_001_000 * UNITS


def test_an_emptied_book_cancels_a_market_order_and_answers() -> None:
    engine = an_engine(100_000_000, krw=10_000_000_000)
    engine.place(fields(price="900000000"), START)

    order = engine.place(fields(), START)

    assert engine.book(KRW_BTC, START).asks == []
    assert (settled(engine, order).state, settled(engine, order).trades) == ("cancel", [])
    assert_explained(engine)


def test_an_immediate_order_cancels_its_rest() -> None:
    engine = an_engine(100_000_000, krw=1_000_000_000)
    level = engine.book(KRW_BTC, START).asks[0]
    more = decimal(level.size * 2)

    ioc = limit("bid", best(engine, "ask"), f"{more:f}", time_in_force="ioc")
    order = settled(engine, engine.place(ioc, START))

    assert order.state == "cancel"
    assert order.executed_volume == decimal(level.size)
    assert_explained(engine)


def test_fill_or_kill_takes_all_or_nothing() -> None:
    engine = an_engine(100_000_000, krw=1_000_000_000)
    level = engine.book(KRW_BTC, START).asks[0]
    more, less = (f"{decimal(size):f}" for size in (level.size * 2, level.size // 2))

    missed = engine.place(limit("bid", best(engine, "ask"), more, time_in_force="fok"), START)
    filled = engine.place(limit("bid", best(engine, "ask"), less, time_in_force="fok"), START)

    assert settled(engine, missed).state == "cancel"
    assert settled(engine, missed).trades == []
    assert settled(engine, filled).state == "done"


def test_post_only_never_takes() -> None:
    engine = an_engine(100_000_000)

    crossing = limit("bid", best(engine, "ask"), "0.001", time_in_force="post_only")
    order = settled(engine, engine.place(crossing, START))

    assert (order.state, order.trades, order.request.smp_type) == ("cancel", [], "none")


def test_a_best_order_takes_the_best_level_only() -> None:
    engine = an_engine(100_000_000, krw=1_000_000_000)
    ask = Decimal(best(engine, "ask"))

    order = settled(
        engine,
        engine.place(fields(ord_type="best", price="500000000", time_in_force="ioc"), START),
    )

    assert {trade.price for trade in order.trades} == {ask}
    assert order.state == "cancel"
    assert_explained(engine)


def test_a_cancel_frees_what_was_locked_and_says_wait() -> None:
    engine = an_engine(110_000_000)
    order = engine.place(limit("bid", "100000000", "0.01"), START)

    answer = engine.cancel(settled(engine, order), at(1))

    assert answer.state == "wait"
    assert settled(engine, order).state == "cancel"
    assert engine.account("KRW").balance == 10_000_000
    with pytest.raises(RequestRefused) as refused:
        engine.cancel(settled(engine, order), at(2))
    assert refused.value.name == "order_not_found"


REFUSALS = {
    "create_bid_error": [
        fields(ord_type="market"),
        fields(volume="1"),
        fields(price=None),
        fields(ord_type="limit"),
        fields(ord_type="limit", price=None, volume="1"),
    ],
    "create_ask_error": [
        fields(side="ask"),
        fields(side="ask", ord_type="market", volume="1"),
        fields(side="ask", ord_type="market", price=None),
    ],
    "validation_error": [fields(market=None), fields(side=None), fields(ord_type=None)],
    "invalid_parameter": [
        fields(side="buy"),
        fields(ord_type="stop"),
        fields(price="NaN"),
        fields(price="Infinity"),
        fields(price="ten"),
        fields(price="10_000"),
        fields(price=" 10000"),
        fields(price="\uff11\uff10\uff10\uff10\uff10"),
        fields(price="1e16"),
        fields(price="1E-99999999999999999999"),
        limit("bid", "100000000." + "0" * 70 + "1", "0.01"),
        fields(smp_type="maybe"),
        fields(identifier="x" * 65),
    ],
    "notfoundmarket": [fields(market="KRW-BTCs"), fields(market="KRW-ETH")],
    "invalid_price_bid": [
        limit("bid", "100000001", "0.01"),
        limit("bid", "-100000000", "0.01"),
        limit("bid", "0", "0.01"),
        fields(price="-1"),
        fields(price="10000.123456789"),
    ],
    "invalid_price_ask": [limit("ask", "99999500", "0.01")],
    "invalid_volume_bid": [
        limit("bid", "100000000", "0.000000001"),
        limit("bid", "100000000", "0"),
        limit("bid", "100000000", "-1"),
    ],
    "under_min_total_bid": [fields(price="4999.99"), limit("bid", "99000000", "0.00005")],
    "under_min_total_ask": [fields(side="ask", ord_type="market", price=None, volume="0.00001")],
    "over_krw_funds_bid": [fields(price="1000000001")],
    "over_max_total_market_ask": [fields(side="ask", ord_type="market", price=None, volume="11")],
    "insufficient_funds_bid": [fields(price="10000000"), limit("bid", "100000000", "0.1")],
    "insufficient_funds_ask": [limit("ask", "100000000", "1.00000001")],
    "invalid_time_in_force": [
        fields(time_in_force="ioc"),
        fields(ord_type="best"),
        limit("bid", "100000000", "0.01", time_in_force="gtc"),
    ],
    "invalid_post_only": [
        limit("bid", "100000000", "0.01", time_in_force="post_only", smp_type="reduce")
    ],
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_wrong_order_is_refused_by_the_exchange_s_own_name(name: str) -> None:
    for wrong in REFUSALS[name]:
        engine = an_engine(100_000_000, btc="1")

        with pytest.raises(RequestRefused) as refused:
            engine.place(wrong, START)

        assert (refused.value.status, refused.value.name) == (400, name), wrong
        assert engine.orders == {}
        assert_explained(engine)


def test_the_fee_comes_on_top_of_all_in() -> None:
    engine = an_engine(100_000_000)
    all_in = int(Decimal(10_000_000) / Decimal("1.0005"))

    order = engine.place(fields(price=str(all_in)), START)

    assert settled(engine, order).trades
    assert_explained(engine)


def test_an_identifier_is_used_up_for_ever() -> None:
    engine = an_engine(100_000_000)
    engine.place(fields(identifier="mine"), START)

    with pytest.raises(RequestRefused) as refused:
        engine.place(fields(identifier="mine"), at(1))

    assert refused.value.name == "duplicated_identifier"
    assert engine.find(identifier="mine").request.identifier == "mine"


def test_a_refused_order_uses_up_its_identifier_too() -> None:
    engine = an_engine(100_000_000)
    with pytest.raises(RequestRefused):
        engine.place(fields(identifier="mine", price="99000000"), START)

    with pytest.raises(RequestRefused) as again:
        engine.place(fields(identifier="mine"), START)
    with pytest.raises(RequestRefused) as unknown:
        engine.find(identifier="mine")

    assert again.value.name == "duplicated_identifier"
    assert (unknown.value.status, unknown.value.name) == (404, "order_not_found")


def test_a_trial_order_changes_nothing() -> None:
    engine = an_engine(100_000_000)

    engine.test(fields(identifier="mine"), START)

    assert engine.orders == {}
    assert engine.account("KRW").locked == 0
    assert engine.place(fields(identifier="mine"), START)


def test_the_average_price_is_that_of_what_was_bought() -> None:
    engine = an_engine(100_000_000)

    order = settled(engine, engine.place(fields(), START))

    assert engine.account("BTC").avg_buy_price == order.trades[0].price


def test_a_captured_purchase_and_its_sale_are_the_exchange_s_to_the_last_digit() -> None:
    # Live captures of March 2026: 10,000 KRW at 102,945,000, sold again at 102,902,000.
    bought = an_engine(102_944_000)
    sold = an_engine(102_902_000, btc="1")

    buy = settled(bought, bought.place(fields(price="10000"), START))
    ask = fields(side="ask", ord_type="market", price=None, volume="0.00009713")
    sale = settled(sold, sold.place(ask, START))

    assert (buy.state, buy.executed_volume) == ("cancel", Decimal("0.00009713"))
    assert (buy.executed_funds, buy.paid_fee) == (Decimal("9999.04785"), Decimal("4.999523925"))
    # A finished order keeps what it had locked; the account has it back.
    assert (buy.locked, buy.remaining_fee) == (Decimal("0.952626075"), Decimal("0.000476075"))
    assert bought.account("KRW").locked == 0
    assert (sale.executed_funds, sale.paid_fee) == (Decimal("9994.87126"), Decimal("4.99743563"))
    assert_explained(bought)
