"""Each call asks as Upbit's documents say and reads what was recorded."""

import gzip
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import aiohttp
import pytest

from service.adapters.upbit.rest import UpbitRest
from service.domain.errors import InvalidRequest, OutcomeUnknown
from service.domain.markets import Candle, Market, MarketRules, Ticker, Timeframe
from service.domain.orders import ExchangeOrderState, Intent, OrderType, Side
from tests.builders import KRW_BTC, an_intent, at_liberty
from tests.fakes.clock import FakeClock
from tests.integration.adapters import recorded
from tests.integration.adapters.upbit_stub import UpbitStub, nonce_of

KRW_ETH = Market("KRW", "ETH")


async def test_markets_are_all_that_are_listed(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/market/all", recorded.MARKETS)

    markets = await upbit.markets()

    assert markets == {KRW_BTC, Market("KRW", "1INCH"), Market("BTC", "ETH")}
    assert stub.seen[0].line == "GET /v1/market/all"


async def test_a_quotation_carries_neither_key_nor_origin(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer("GET /v1/market/all", recorded.MARKETS)

    await upbit.markets()

    assert "Authorization" not in stub.seen[0].headers
    assert "Origin" not in stub.seen[0].headers


async def test_tickers_come_in_the_order_asked(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/ticker", recorded.TICKERS)

    tickers = await upbit.tickers([KRW_BTC, KRW_ETH])

    assert [ticker.market for ticker in tickers] == [KRW_BTC, KRW_ETH]
    assert tickers[0] == Ticker(
        market=KRW_BTC,
        price=Decimal(148490000),
        high=Decimal(148520000),
        low=Decimal(147000000),
        volume_24h=Decimal("2450.87654321"),
        change_since_close_ratio=Decimal("-0.0034228188"),
        traded_at=datetime(2026, 1, 24, 8, 59, 59, 123000, tzinfo=UTC),
    )
    assert stub.seen[0].line == "GET /v1/ticker?markets=KRW-BTC%2CKRW-ETH"


async def test_the_best_prices_are_asked_for_with_one_level(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    levels = '[{"ask_price": 148500000.0, "bid_price": 148490000.0}]'
    stub.answer("GET /v1/orderbook", f'[{{"market": "KRW-BTC", "orderbook_units": {levels}}}]')

    best = await upbit.best_prices(KRW_BTC)

    assert (best.bid, best.ask) == (Decimal(148490000), Decimal(148500000))
    assert stub.seen[0].line == "GET /v1/orderbook?markets=KRW-BTC&count=1"


async def test_no_market_asked_is_no_request(upbit: UpbitRest, stub: UpbitStub) -> None:
    assert await upbit.tickers([]) == ()
    assert stub.seen == []


async def test_candles_are_oldest_first_with_their_gaps(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/candles/minutes/5", recorded.CANDLES)

    candles = await upbit.candles(
        KRW_BTC, Timeframe.M5, count=2, before=datetime(2026, 1, 24, 9, 0, tzinfo=UTC)
    )

    assert [candle.opened_at.minute for candle in candles] == [45, 55]
    assert candles[1] == Candle(
        market=KRW_BTC,
        timeframe=Timeframe.M5,
        opened_at=datetime(2026, 1, 24, 8, 55, tzinfo=UTC),
        open=Decimal(148490000),
        high=Decimal(148520000),
        low=Decimal(148400000),
        close=Decimal(148500000),
        volume=Decimal("1.71234567"),
        funds=Decimal("254321987.654321"),
    )
    assert stub.seen[0].line == (
        "GET /v1/candles/minutes/5?market=KRW-BTC&to=2026-01-24T09%3A00%3A00Z&count=2"
    )


async def test_days_have_a_path_of_their_own(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/candles/days", "[]")

    assert await upbit.candles(KRW_BTC, Timeframe.D1, count=200) == ()
    assert stub.seen[0].line == "GET /v1/candles/days?market=KRW-BTC&count=200"


@pytest.mark.parametrize("count", [0, 201])
async def test_more_candles_than_upbit_gives_are_not_asked_for(
    upbit: UpbitRest, stub: UpbitStub, count: int
) -> None:
    with pytest.raises(ValueError, match="1 to 200"):
        await upbit.candles(KRW_BTC, Timeframe.M1, count=count)

    assert stub.seen == []


async def test_rules_come_from_chance_and_instruments(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/orders/chance", recorded.CHANCE)
    stub.answer("GET /v1/orderbook/instruments", recorded.INSTRUMENTS)
    stub.answer("GET /v1/market/all", recorded.MARKETS)

    rules = await upbit.rules(KRW_BTC)

    assert replace(rules, ticks=()) == MarketRules(
        market=KRW_BTC,
        fee_ratio=Decimal("0.0005"),
        min_funds=Decimal(5000),
        max_funds=Decimal(1000000000),
        tick_size=Decimal(1000),
    )
    assert [seen.line for seen in stub.seen] == [
        "GET /v1/orders/chance?market=KRW-BTC",
        "GET /v1/orderbook/instruments?markets=KRW-BTC",
        "GET /v1/market/all?is_details=true",
    ]
    assert nonce_of(stub.seen[0])


async def test_rules_name_what_the_exchange_warns_of_and_the_day_of_the_end(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer("GET /v1/orders/chance", recorded.CHANCE)
    stub.answer("GET /v1/orderbook/instruments", recorded.INSTRUMENTS)
    warned = recorded.MARKETS.replace('FLUCTUATIONS":false', 'FLUCTUATIONS":true')
    stub.answer("GET /v1/market/all", warned.replace('"warning":false', '"warning":true'))
    day = {"year": 2026, "month": 12, "day": 31}
    upbit.market_events.hear(KRW_BTC, {"market_state": "ACTIVE", "delisting_date": day})

    rules = await upbit.rules(KRW_BTC)

    assert rules.warnings == ("WARNING", "PRICE_FLUCTUATIONS")
    assert (rules.active, rules.delisted_at) == (True, date(2026, 12, 31))


async def test_of_both_sides_the_stricter_rule_counts(upbit: UpbitRest, stub: UpbitStub) -> None:
    chance = recorded.CHANCE.replace('"ask_fee":"0.0005"', '"ask_fee":"0.0025"', 1)
    chance = chance.replace('"BTC","min_total":"5000"', '"BTC","min_total":"7000"')
    stub.answer("GET /v1/orders/chance", chance.replace('"active"', '"preview"'))
    stub.answer("GET /v1/orderbook/instruments", recorded.INSTRUMENTS)
    stub.answer("GET /v1/market/all", recorded.MARKETS)

    rules = await upbit.rules(KRW_BTC)

    assert (rules.fee_ratio, rules.min_funds) == (Decimal("0.0025"), Decimal(7000))
    assert not rules.active


async def test_balances_hold_every_currency(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/accounts", recorded.ACCOUNTS)

    balances = await upbit.balances()

    assert balances.keys() == {"KRW", "BTC", "APENFT"}
    assert balances["BTC"].available == Decimal("2.00000001")
    assert balances["KRW"].locked == Decimal(8004)
    assert stub.seen[0].line == "GET /v1/accounts"
    assert nonce_of(stub.seen[0])


async def test_a_market_buy_is_sent_as_the_hash_says(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("POST /v1/orders", recorded.BID_PLACED, status=201)

    order = await upbit.submit(
        an_intent(funds=Decimal("1E+4")), identifier="uat-1", before_send=at_liberty
    )

    assert order.uuid == "cdd92199-2897-4e14-9448-f923320408ad"
    assert (order.state, order.side, order.trades) == (ExchangeOrderState.WAITING, Side.BUY, ())
    seen = stub.seen[0]
    assert seen.line == "POST /v1/orders"
    assert seen.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Origin" not in seen.headers
    assert json.loads(seen.body) == {
        "market": "KRW-BTC",
        "side": "bid",
        "ord_type": "price",
        "price": "10000",
        "identifier": "uat-1",
    }
    assert nonce_of(seen)


async def test_a_limit_sell_is_sent_as_the_hash_says(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("POST /v1/orders", recorded.BID_PLACED.replace('"bid"', '"ask"'), status=201)
    intent = an_intent(
        side=Side.SELL,
        type=OrderType.LIMIT,
        funds=None,
        price=Decimal("1E+8"),
        volume=Decimal("8E-5"),
    )

    await upbit.submit(intent, identifier="uat-1", before_send=at_liberty)

    body = json.loads(stub.seen[0].body)
    assert (body["price"], body["volume"]) == ("100000000", "0.00008")
    assert nonce_of(stub.seen[0])


async def test_a_market_buy_may_end_cancelled_with_fills(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/order", recorded.BID_CANCELLED_WITH_FILLS)

    order = await upbit.find("uat-1")

    assert order is not None
    assert (order.state, order.executed_volume) == (
        ExchangeOrderState.CANCELLED,
        Decimal("0.00006733"),
    )
    assert order.paid_fee == Decimal("4.99999995")
    assert order.created_at == datetime(2026, 1, 24, 9, 0, tzinfo=UTC)
    assert [trade.uuid for trade in order.trades] == ["trade-1", "trade-2"]
    assert sum(trade.funds for trade in order.trades) == Decimal("9998.1683")
    assert order.trades_count == 2
    assert stub.seen[0].line == "GET /v1/order?identifier=uat-1"
    assert nonce_of(stub.seen[0])


async def test_the_captured_market_sell_reads_to_the_last_digit(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer("GET /v1/order", recorded.ASK_DONE)

    order = await upbit.find("uat-2")

    assert order is not None
    assert (order.state, order.side, order.market) == (
        ExchangeOrderState.DONE,
        Side.SELL,
        Market("KRW", "XRP"),
    )
    assert order.paid_fee == Decimal("3.697095875")
    assert order.trades[0].funds == Decimal("7394.19175")


async def test_an_order_nobody_knows_is_none(upbit: UpbitRest, stub: UpbitStub) -> None:
    body = '{"error":{"name":"order_not_found","message":"주문을 찾지 못했습니다."}}'
    stub.answer("GET /v1/order", body, status=404)

    assert await upbit.find("uat-9") is None


async def test_cancelling_is_by_identifier(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("DELETE /v1/order", recorded.BID_PLACED)

    await upbit.cancel("uat-1")

    assert stub.seen[0].line == "DELETE /v1/order?identifier=uat-1"
    assert stub.seen[0].body == b""
    assert nonce_of(stub.seen[0])


async def test_fields_that_nobody_here_knows_change_nothing(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    new = '{"of_next_year":{"deep":[1]},"another":null,'
    stub.answer("GET /v1/ticker", recorded.TICKERS.replace("{", new))
    stub.answer("GET /v1/candles/minutes/5", recorded.CANDLES.replace("{", new))
    stub.answer("GET /v1/accounts", recorded.ACCOUNTS.replace("{", new))
    stub.answer("GET /v1/orders/chance", recorded.CHANCE.replace("{", new))
    stub.answer("GET /v1/orderbook/instruments", recorded.INSTRUMENTS.replace("{", new))
    stub.answer("GET /v1/order", recorded.ASK_DONE.replace("{", new))
    stub.answer("GET /v1/market/all", recorded.MARKETS.replace('{"market":', new + '"market":'))

    assert len(await upbit.tickers([KRW_BTC])) == 1
    assert len(await upbit.candles(KRW_BTC, Timeframe.M5, count=2)) == 2
    assert "KRW" in await upbit.balances()
    assert (await upbit.rules(KRW_BTC)).active
    assert await upbit.find("uat-2") is not None


async def test_a_packed_quotation_is_unpacked(upbit: UpbitRest, stub: UpbitStub) -> None:
    packed = {"Content-Encoding": "gzip"}
    stub.answer("GET /v1/ticker", gzip.compress(recorded.TICKERS.encode()), headers=packed)

    [ticker] = await upbit.tickers([KRW_BTC])

    assert ticker.price == Decimal(148490000)
    assert stub.seen[0].headers["Accept-Encoding"] == "gzip"


async def test_every_signed_call_has_a_nonce_of_its_own(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/accounts", recorded.ACCOUNTS)

    await upbit.balances()
    await upbit.balances()

    assert nonce_of(stub.seen[0]) != nonce_of(stub.seen[1])


@pytest.mark.parametrize("identifier", ["", "with space", "a" * 65, "ü", "a&b=c"])
async def test_an_identifier_that_cannot_be_signed_is_not_sent(
    upbit: UpbitRest, stub: UpbitStub, identifier: str
) -> None:
    with pytest.raises(InvalidRequest, match="no order identifier"):
        await upbit.submit(an_intent(), identifier=identifier, before_send=at_liberty)

    assert stub.seen == []


async def test_a_used_up_second_delays_the_next_call_of_the_group(
    upbit: UpbitRest, stub: UpbitStub, limits_clock: FakeClock
) -> None:
    used_up = {"Remaining-Req": "group=default; min=1800; sec=0"}
    stub.answer("GET /v1/accounts", recorded.ACCOUNTS, headers=used_up)
    stub.answer("GET /v1/market/all", recorded.MARKETS)
    await upbit.balances()

    await upbit.markets()
    assert limits_clock.waits == []
    await upbit.balances()

    assert limits_clock.waits == [1.0]


async def test_a_sale_goes_where_purchases_have_used_up_their_part(
    upbit: UpbitRest, stub: UpbitStub, limits_clock: FakeClock
) -> None:
    stub.answer("POST /v1/orders", recorded.BID_PLACED, status=201)
    sale = an_intent(side=Side.SELL, volume=Decimal(1), funds=None)

    async def submit(intent: Intent) -> None:
        with suppress(OutcomeUnknown):  # the recorded answer is another order's
            await upbit.submit(intent, identifier="uat-11", before_send=at_liberty)

    for _ in range(10):
        await submit(an_intent())
    await submit(sale)
    before = list(limits_clock.waits)
    await submit(an_intent())

    assert (before, limits_clock.waits) == ([], [1.0])


async def test_a_cancel_goes_where_questions_have_used_up_their_part(
    upbit: UpbitRest, stub: UpbitStub, limits_clock: FakeClock
) -> None:
    stub.answer("GET /v1/accounts", recorded.ACCOUNTS)
    stub.answer("DELETE /v1/order", recorded.BID_PLACED)

    for _ in range(27):
        await upbit.balances()
    await upbit.cancel("uat-1")
    before = list(limits_clock.waits)
    await upbit.balances()

    assert (before, limits_clock.waits) == ([], [1.0])


async def test_what_only_looks_leaves_half_of_a_limit(
    upbit: UpbitRest,
    stub: UpbitStub,
    session: aiohttp.ClientSession,
    limits_clock: FakeClock,
) -> None:
    stub.answer("GET /v1/accounts", recorded.ACCOUNTS)
    watching = upbit.watching(session)

    for _ in range(15):
        await watching.balances()
    await upbit.balances()
    before = list(limits_clock.waits)
    await watching.balances()

    assert (before, limits_clock.waits) == ([], [1.0])


async def test_an_endpoint_rests_with_the_group_that_its_answers_name(
    upbit: UpbitRest, stub: UpbitStub, limits_clock: FakeClock
) -> None:
    stub.answer(
        "GET /v1/market/all",
        recorded.MARKETS,
        headers={"Remaining-Req": "group=crix-trades; min=600; sec=0"},
    )

    await upbit.markets()
    await upbit.markets()

    assert limits_clock.waits == [1.0]
