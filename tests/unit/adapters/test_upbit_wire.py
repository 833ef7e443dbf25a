"""Upbit's words become our values, exactly; what is odd is named but not quoted."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.upbit import account, orders, quotation, wire
from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.market_events import MarketStanding
from service.adapters.upbit.record import Record, error_name, parsed
from service.adapters.upbit.tick_table import KRW_TICKS
from service.domain.errors import ExchangeUnavailable
from service.domain.markets import Market, Timeframe
from service.domain.orders import OrderType, Side
from service.sandbox.market.ticks import tick_size
from tests.builders import KRW_BTC, an_intent, some_rules
from tests.fakes.logs import Logs

ORDER: dict[str, Any] = {
    "uuid": "cdd92199-2897-4e14-9448-f923320408ad",
    "identifier": "uat-1",
    "market": "KRW-BTC",
    "side": "bid",
    "state": "wait",
    "created_at": "2026-01-24T18:00:00+09:00",
    "executed_volume": "0",
    "paid_fee": "0",
    "trades_count": 0,
}
TRADE: dict[str, Any] = {
    "uuid": "t-1",
    "price": "100",
    "volume": "1",
    "funds": "100",
    "created_at": "2026-01-24T18:00:00+09:00",
}
CANDLE: dict[str, Any] = {
    "market": "KRW-BTC",
    "candle_date_time_utc": "2026-01-24T09:00:00",
    "opening_price": 148490000,
    "high_price": 148520000,
    "low_price": 148400000,
    "trade_price": 148500000,
    "candle_acc_trade_price": 1,
    "candle_acc_trade_volume": 1,
}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E+8", "100000000"),
        ("1E-8", "0.00000001"),
        ("148520000.0", "148520000"),
        ("5000", "5000"),
        ("0.10", "0.1"),
        ("1234567890123456789012345.12345678", "1234567890123456789012345.12345678"),
    ],
)
def test_numbers_go_out_in_plain_notation(number: str, text: str) -> None:
    assert wire.plain(Decimal(number)) == text


@given(st.decimals(min_value=Decimal("1e-8"), max_value=Decimal("1e18"), allow_nan=False))
def test_no_number_changes_on_its_way_out(number: Decimal) -> None:
    text = wire.plain(number)

    assert Decimal(text) == number
    assert set(text) <= set("0123456789.")


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_a_number_that_is_none_does_not_go_out(number: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        wire.plain(Decimal(number))


def test_a_market_buy_names_the_money_and_no_volume() -> None:
    intent = an_intent(funds=Decimal("1E+5"))

    assert list(orders.order_body(intent, "uat-1").items()) == [
        ("market", "KRW-BTC"),
        ("side", "bid"),
        ("ord_type", "price"),
        ("price", "100000"),
        ("identifier", "uat-1"),
    ]


def test_a_market_sell_names_the_coins_and_no_price() -> None:
    intent = an_intent(side=Side.SELL, funds=None, volume=Decimal("0.00010000"))

    assert list(orders.order_body(intent, "uat-1").items()) == [
        ("market", "KRW-BTC"),
        ("side", "ask"),
        ("ord_type", "market"),
        ("volume", "0.0001"),
        ("identifier", "uat-1"),
    ]


@pytest.mark.parametrize(("side", "word"), [(Side.BUY, "bid"), (Side.SELL, "ask")])
def test_a_limit_order_names_price_and_volume(side: Side, word: str) -> None:
    intent = an_intent(
        side=side, type=OrderType.LIMIT, funds=None, price=Decimal(5000), volume=Decimal(2)
    )

    assert list(orders.order_body(intent, "uat-1").items()) == [
        ("market", "KRW-BTC"),
        ("side", word),
        ("ord_type", "limit"),
        ("price", "5000"),
        ("volume", "2"),
        ("identifier", "uat-1"),
    ]


def test_an_entry_is_a_limit_order_that_never_rests_on_the_book() -> None:
    intent = an_intent(type=OrderType.LIMIT_IOC, funds=None, price=Decimal(5000), volume=Decimal(2))

    body = orders.order_body(intent, "uat-1")

    assert (body["ord_type"], body["time_in_force"]) == ("limit", "ioc")
    assert (body["price"], body["volume"]) == ("5000", "2")


BOOK = {
    "market": "KRW-BTC",
    "orderbook_units": [{"ask_price": 148500000, "bid_price": "148490000"}],
}


def test_the_best_prices_are_those_of_the_first_level() -> None:
    worse = {"ask_price": 149000000, "bid_price": 147000000}
    book = {**BOOK, "orderbook_units": [*BOOK["orderbook_units"], worse]}

    best = quotation.best_prices([book], KRW_BTC)

    assert (best.bid, best.ask) == (Decimal(148490000), Decimal(148500000))


@pytest.mark.parametrize(
    "payload",
    [
        [],
        [{**BOOK, "market": "KRW-ETH"}],
        [{**BOOK, "orderbook_units": []}],
        [{**BOOK, "orderbook_units": [{"ask_price": 1, "bid_price": 1}]}],
        [{**BOOK, "orderbook_units": [{"ask_price": 1, "bid_price": 2}]}],
        [{**BOOK, "orderbook_units": [{"ask_price": 0, "bid_price": 2}]}],
        [{**BOOK, "orderbook_units": [{"ask_price": "1e-99", "bid_price": "1e-99"}]}],
    ],
)
def test_an_order_book_without_sane_prices_is_odd(payload: object) -> None:
    with pytest.raises(OddAnswer):
        quotation.best_prices(payload, KRW_BTC)


def test_an_instant_goes_out_in_utc_and_is_rounded_up_since_it_is_exclusive() -> None:
    seoul = timezone(timedelta(hours=9))

    assert wire.instant(datetime(2026, 1, 24, 18, 0, tzinfo=seoul)) == "2026-01-24T09:00:00Z"
    assert wire.instant(datetime(2026, 1, 24, 9, 0, 0, 1, tzinfo=UTC)) == "2026-01-24T09:00:01Z"
    with pytest.raises(ValueError, match="no time zone"):
        wire.instant(datetime(2026, 1, 24))  # noqa: DTZ001 - what is refused here


def test_every_timeframe_has_a_path() -> None:
    assert quotation.CANDLE_PATHS.keys() == set(Timeframe)


def test_a_listing_with_an_odd_name_does_not_hide_the_others() -> None:
    payload = [{"market": "KRW-BTC"}, {"market": "KRW-very odd"}, {"market": "BTC-ETH"}]

    assert quotation.markets(payload) == {KRW_BTC, Market("BTC", "ETH")}


def test_a_float_in_json_keeps_every_digit() -> None:
    assert parsed(b'{"x": 0.1000000000000000055511151231257827}') == {
        "x": Decimal("0.1000000000000000055511151231257827")
    }


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"<html>",
        b'{"x": NaN}',
        b"[-Infinity]",
        b"\xff\xfe",
        b"[" * 200_000,
        b"9" * 5000,
        b"[1e99999999999999999999]",
        b"[-1E-99999999999999999999]",
    ],
)
def test_what_is_not_json_is_odd_and_not_quoted(raw: bytes) -> None:
    with pytest.raises(OddAnswer) as caught:
        parsed(raw)

    assert str(caught.value) == "not JSON"
    assert "html" not in repr(vars(caught.value.__cause__ or caught.value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "1_000",
        " 5 ",
        "٣",
        "NaN",
        "0x10",
        "1e400",
        "1,000",
        [],
        {},
        "123456789012345678901",
        10**30,
        "9" * 65,
        Decimal("1e25"),
    ],
)
def test_an_odd_number_is_named_but_not_quoted(value: object) -> None:
    record = Record({"balance": value}, "account")

    with pytest.raises(OddAnswer, match=r"^account\.balance: (no number|out of range)$"):
        record.number("balance")


@pytest.mark.parametrize("value", ["0.00000001", 5, Decimal("148520000.0"), "1e-05", "-3.5"])
def test_numbers_come_as_text_or_as_json_numbers(value: Any) -> None:
    assert Record({"n": value}, "x").number("n") == Decimal(value)


def test_negative_and_zero_are_refused_where_they_make_no_sense() -> None:
    record = Record({"minus": "-1", "zero": 0, "half": "0.5"}, "x")

    with pytest.raises(OddAnswer, match="negative"):
        record.amount("minus")
    with pytest.raises(OddAnswer, match="not positive"):
        record.positive("zero")
    with pytest.raises(OddAnswer, match="not whole"):
        record.count("half")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2026-01-24T18:00:00", "without an offset"),
        ("tomorrow", "no instant"),
        ("", "no text"),
        ("0001-01-01T00:00:00+09:00", "out of range"),
        ("9999-12-31T23:59:59-09:00", "out of range"),
    ],
)
def test_an_instant_without_offset_or_sense_is_odd(text: str, fault: str) -> None:
    with pytest.raises(OddAnswer, match=rf"^order\.created_at: {fault}$"):
        orders.order(ORDER | {"created_at": text}, "uat-1")


@given(
    st.sampled_from(("uuid", "identifier", "market", "side", "state", "created_at")),
    st.text(max_size=20),
    st.characters(categories=("Cc", "Cs", "Zl", "Zp", "Cn")),
)
def test_no_text_of_an_order_may_hold_what_can_be_neither_stored_nor_shown(
    field: str, before: str, character: str
) -> None:
    """A NUL in a uuid was a 500 at each look at that order, and PostgreSQL refused its row."""
    with pytest.raises(OddAnswer, match=rf"^(order\.)?{field}: "):
        orders.order(ORDER | {field: before + character}, "uat-1")


@pytest.mark.parametrize("uuid", ["a\x00b", "a\ud800b", "a\x1bb", "a\u2028b", "a" * 257])
def test_a_trade_whose_uuid_cannot_be_stored_is_odd(uuid: str) -> None:
    with pytest.raises(OddAnswer, match=r"^order\.trades\.uuid: too long or not printable$"):
        orders.order(ORDER | {"trades": [TRADE | {"uuid": uuid}]}, "uat-1")


def test_a_text_of_the_longest_allowed_length_passes() -> None:
    assert orders.order(ORDER | {"uuid": "a" * 256}, "uat-1").uuid == "a" * 256


def test_an_epoch_beyond_every_calendar_is_odd() -> None:
    with pytest.raises(OddAnswer, match="out of range"):
        Record({"t": 10**19}, "ticker").epoch_ms("t")


@pytest.mark.parametrize("field", sorted(ORDER.keys() - {"identifier"}))
def test_an_order_without_a_needed_field_is_odd(field: str) -> None:
    with pytest.raises(OddAnswer, match=field):
        orders.order({k: v for k, v in ORDER.items() if k != field}, "uat-1")


@pytest.mark.parametrize(
    "odd",
    [
        {"state": "prevented"},
        {"side": "buy"},
        {"market": "BTC"},
        {"trades": "none"},
        {"trades": [None]},
        {"trades": [{"uuid": "t"}]},
        {"executed_volume": None},
        {"identifier": "uat-2"},
    ],
)
def test_an_order_with_an_odd_field_is_odd(odd: dict[str, object]) -> None:
    with pytest.raises(OddAnswer):
        orders.order(ORDER | odd, "uat-1")


@pytest.mark.parametrize("other", [{"market": "KRW-ETH"}, {"side": "ask"}])
def test_an_answer_about_another_order_than_was_sent_is_odd(other: dict[str, str]) -> None:
    with pytest.raises(OddAnswer, match="another"):
        orders.placed(ORDER | other, an_intent(), "uat-1")


def test_an_order_from_before_identifiers_were_returned_is_ours_by_the_question() -> None:
    without = {k: v for k, v in ORDER.items() if k != "identifier"}

    assert orders.order(without, "uat-1").identifier == "uat-1"
    assert orders.order(ORDER | {"identifier": None}, "uat-1").identifier == "uat-1"


def test_trades_are_oldest_first_and_each_once() -> None:
    trades = [
        _trade("t-2", "2026-01-24T18:00:02.000001+09:00"),
        _trade("t-2", "2026-01-24T18:00:02.000001+09:00"),
        _trade("t-1", "2026-01-24T18:00:01+09:00"),
    ]

    order = orders.order(ORDER | {"trades": trades, "trades_count": 2}, "uat-1")

    assert [trade.uuid for trade in order.trades] == ["t-1", "t-2"]
    assert order.trades[1].traded_at == datetime(2026, 1, 24, 9, 0, 2, 1, tzinfo=UTC)


def test_candles_are_oldest_first_and_each_start_once() -> None:
    later = CANDLE | {"candle_date_time_utc": "2026-01-24T09:05:00"}

    candles = quotation.candles([later, later, CANDLE], KRW_BTC, Timeframe.M5)

    assert [candle.opened_at.minute for candle in candles] == [0, 5]


ODD_CANDLES: tuple[tuple[dict[str, object], str], ...] = (
    ({"market": "KRW-ETH"}, "candle.market"),
    ({"high_price": 148000000}, "a price outside low..high"),
    ({"low_price": 148495000}, "a price outside low..high"),
    ({"trade_price": 0}, "candle.trade_price"),
    ({"trade_price": Decimal("1e-99")}, "trade_price"),
    ({"opening_price": "1e-99"}, "opening_price"),
    ({"candle_acc_trade_volume": -1}, "candle.candle_acc_trade_volume"),
    ({"candle_date_time_utc": "2026-01-24T09:00:00Z"}, "candle.candle_date_time_utc"),
    ({"candle_date_time_utc": "2026-01-24T09:00:00+00:00"}, "candle.candle_date_time_utc"),
    ({"candle_date_time_utc": "2026-01-24T09:00"}, "candle.candle_date_time_utc"),
    ({"candle_date_time_utc": "2026-01-24 09:00:00"}, "candle.candle_date_time_utc"),
    ({"candle_date_time_utc": "20260124T090000"}, "candle.candle_date_time_utc"),
    ({"candle_date_time_utc": "2026-01-24T09:00:00.000"}, "candle.candle_date_time_utc"),
    ({"candle_date_time_utc": "2026-W04-6T09:00:00"}, "candle.candle_date_time_utc"),
    ({"candle_date_time_utc": "2026-01-24T09:02:00"}, "not a whole unit"),
    ({"candle_date_time_utc": "2026-01-24T09:00:01"}, "not a whole unit"),
    ({"candle_date_time_utc": "2026-01-24T09:10:00"}, "later than asked for"),
    ({"candle_date_time_utc": "2099-12-31T23:55:00"}, "later than asked for"),
    ({"candle_date_time_utc": "9999-12-31T23:55:00"}, "candle.candle_date_time_utc"),
)
BEFORE = datetime(2026, 1, 24, 9, 10, tzinfo=UTC)


@pytest.mark.parametrize(("odd", "fault"), ODD_CANDLES)
def test_an_odd_candle_is_left_out_and_the_rest_of_the_page_counts(
    odd: dict[str, object], fault: str
) -> None:
    """Regression: one unreadable candle kept its market's minutes from being collected."""
    earlier = CANDLE | {"candle_date_time_utc": "2026-01-24T08:55:00"}

    with Logs.captured() as logs:
        page = quotation.candles([CANDLE | odd, earlier], KRW_BTC, Timeframe.M5, before=BEFORE)
        (line,) = logs.lines

    assert [candle.opened_at.minute for candle in page] == [55]
    assert page.unreadable == 1
    assert (line["level"], line["market"]) == ("WARNING", "KRW-BTC")
    assert fault in line["cause"]


@pytest.mark.parametrize(("odd", "fault"), ODD_CANDLES)
def test_an_answer_without_any_readable_candle_is_odd(odd: dict[str, object], fault: str) -> None:
    with pytest.raises(OddAnswer, match=re.escape(fault)):
        quotation.candles([CANDLE | odd], KRW_BTC, Timeframe.M5, before=BEFORE)


@pytest.mark.parametrize("timeframe", Timeframe)
def test_a_candle_of_each_timeframe_begins_at_a_whole_unit_of_it(timeframe: Timeframe) -> None:
    midnight = CANDLE | {"candle_date_time_utc": "2026-01-24T00:00:00"}
    odd = CANDLE | {"candle_date_time_utc": "2026-01-24T00:00:30"}

    assert len(quotation.candles([midnight], KRW_BTC, timeframe)) == 1
    with pytest.raises(OddAnswer, match="not a whole unit"):
        quotation.candles([odd], KRW_BTC, timeframe)


@pytest.mark.parametrize("payload", [None, {}, "x", 5, [5], [[]]])
def test_an_answer_of_another_shape_is_odd(payload: object) -> None:
    with pytest.raises(OddAnswer):
        account.balances(payload)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (
            {"error": {"name": "order_not_found", "message": "주문을 찾지 못했습니다."}},
            "order_not_found",
        ),
        ({"error": {"name": 404, "message": "Code not found"}}, None),
        ({"error": {"name": "a b\n"}}, None),
        ({"error": "x"}, None),
        ([], None),
    ],
)
def test_an_error_is_known_by_its_name_only(body: object, name: str | None) -> None:
    assert error_name(json.dumps(body).encode()) == name


def _trade(uuid: str, at: str) -> dict[str, str]:
    return {"uuid": uuid, "price": "1", "volume": "1", "funds": "1", "created_at": at}


def test_a_ticker_that_is_missing_from_the_answer_is_odd() -> None:
    with pytest.raises(OddAnswer, match="no ticker of KRW-BTC"):
        quotation.tickers([], [KRW_BTC])


@pytest.mark.parametrize(
    ("listed", "instruments", "fault"),
    [
        ("KRW-BTC", [], "no instrument of KRW-BTC"),
        ("KRW-BTC", [{"market": "KRW-ETH", "tick_size": "1"}], "no instrument of KRW-BTC"),
        ("KRW-ETH", [{"market": "KRW-BTC", "tick_size": "1"}], "another market"),
    ],
)
def test_rules_of_another_market_are_odd(listed: str, instruments: object, fault: str) -> None:
    least = {"min_total": "1"}
    terms = {"id": listed, "max_total": "1", "bid": least, "ask": least}
    chance = {"bid_fee": "0", "ask_fee": "0", "market": terms}

    with pytest.raises(OddAnswer, match=fault):
        account.rules(chance, instruments, KRW_BTC, MarketStanding())


@pytest.mark.parametrize("digits", range(-8, 6))
def test_a_limit_prices_tick_is_that_of_the_sandboxs_own_table(digits: int) -> None:
    for lead in ("0.999", "1", "2", "4.999", "5"):
        price = Decimal(lead).scaleb(digits)
        rules = some_rules(ticks=KRW_TICKS, tick_size=Decimal(123))

        assert rules.tick_at(price, now=Decimal(10**9)) == tick_size(price)
        assert rules.tick_at(price, now=price) == 123  # the exchange's own word comes first


@pytest.mark.parametrize(
    "at",
    [
        "9999-12-31T23:59:59+00:00",
        "2101-01-01T00:00:00+00:00",
        "2009-12-31T23:59:59+00:00",
        "1970-01-01T00:00:00+00:00",
        "0001-01-03T00:00:00+00:00",
    ],
)
def test_an_instant_that_upbit_cannot_mean_is_odd_however_it_is_written(at: str) -> None:
    """Regression: computing with the ends of the calendar overflowed, and each start failed."""
    moment = datetime.fromisoformat(at)
    ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    record = Record({"at": at, "utc": at.removesuffix("+00:00"), "ms": ms}, "order")

    for read, name in (
        (record.instant, "at"),
        (record.utc_instant, "utc"),
        (record.epoch_ms, "ms"),
    ):
        with pytest.raises(OddAnswer, match=rf"order\.{name}: (out of range|negative)"):
            read(name)


KRW_ROW: dict[str, Any] = {"currency": "KRW", "balance": "1", "locked": "0"}


@pytest.mark.parametrize("name", ["X" * 41, "X" * 300, "X\u0000", "\ud800"])
def test_a_row_of_a_currency_of_another_shape_is_left_out(name: str) -> None:
    found = account.balances([KRW_ROW | {"currency": name}, KRW_ROW])

    assert (set(found), set(found.unreadable)) == ({"KRW"}, set())


@pytest.mark.parametrize(
    "odd", [{"balance": "-0.1"}, {"balance": None}, {"locked": "NaN"}, {"locked": 10**21}]
)
def test_a_currency_whose_row_cannot_be_read_does_not_pass_for_nothing_held(
    odd: dict[str, object],
) -> None:
    found = account.balances([KRW_ROW, KRW_ROW | {"currency": "ODD"} | odd])

    assert found["KRW"].total == 1
    assert (set(found), set(found.unreadable)) == ({"KRW"}, {"ODD"})
    assert found.get("XRP") is None
    for ask in (found.get, found.__contains__):
        with pytest.raises(ExchangeUnavailable, match="ODD cannot be read"):
            ask("ODD")


@pytest.mark.parametrize("name", [None, "", 5])
def test_a_row_without_any_name_spoils_the_answer_since_it_may_be_any_currency(
    name: object,
) -> None:
    with pytest.raises(OddAnswer):
        account.balances([KRW_ROW, KRW_ROW | {"currency": name}])


CHANCE: dict[str, Any] = {
    "bid_fee": "0.0005",
    "ask_fee": "0.0005",
    "market": {
        "id": "KRW-BTC",
        "bid": {"min_total": "5000"},
        "ask": {"min_total": "5000"},
        "max_total": "1000000000",
        "state": "active",
    },
}
INSTRUMENTS: list[dict[str, object]] = [{"market": "KRW-BTC", "tick_size": "1000"}]


@pytest.mark.parametrize("state", [None, "", "suspended", "ACTIVE", "preview"])
def test_a_market_whose_state_is_missing_or_unknown_is_not_active(state: str | None) -> None:
    """Regression: a market without a state counted as active."""
    chance = CHANCE | {"market": CHANCE["market"] | {"state": state}}
    if state == "":
        del chance["market"]["state"]

    rules = account.rules(chance, INSTRUMENTS, KRW_BTC, MarketStanding())

    assert not rules.active
    assert account.rules(CHANCE, INSTRUMENTS, KRW_BTC, MarketStanding()).active


@pytest.mark.parametrize(
    ("chance", "market", "tick", "fault"),
    [
        ({"bid_fee": "0.5"}, {}, "1", "chance.bid_fee"),
        ({"ask_fee": "1e15"}, {}, "1", "chance.ask_fee"),
        ({}, {"max_total": "1e-99"}, "1", "max_total"),
        ({}, {"max_total": "4999"}, "1", "max_total"),
        ({}, {"bid": {"min_total": "0"}}, "1", "min_total"),
        ({}, {"ask": {"min_total": None}}, "1", "min_total"),
        ({}, {}, "1e-99", "tick_size"),
        ({}, {}, "1e9", "tick_size"),
    ],
)
def test_rules_with_an_absurd_number_are_odd(
    chance: dict[str, object], market: dict[str, object], tick: str, fault: str
) -> None:
    """Regression: a tick of 1e-99 overflowed where the price is compared with it."""
    odd = CHANCE | {"market": CHANCE["market"] | market} | chance
    instruments = [INSTRUMENTS[0] | {"tick_size": tick}]

    with pytest.raises(OddAnswer, match=re.escape(fault)):
        account.rules(odd, instruments, KRW_BTC, MarketStanding())


@pytest.mark.parametrize("second", ["1", "1000000"])
def test_of_a_currency_that_stands_there_twice_neither_row_counts(second: str) -> None:
    """Regression: the last row counted, and purchases went on far past the largest position."""
    bitcoin = KRW_ROW | {"currency": "BTC"}
    with Logs.captured() as logs:
        found = account.balances([bitcoin, KRW_ROW, bitcoin | {"balance": second}])
        (line,) = logs.lines

    assert (set(found), set(found.unreadable)) == ({"KRW"}, {"BTC"})
    assert (line["level"], line["currency"]) == ("WARNING", "BTC")
    assert "more than once" in line["cause"]
    with pytest.raises(ExchangeUnavailable, match="BTC cannot be read"):
        found.get("BTC")


@pytest.mark.parametrize(
    ("currency", "amount", "is_read"),
    [
        ("KRW", "1e15", False),
        ("KRW", "1e13", False),
        ("KRW", "9999999999999", True),
        ("BTC", "21000000", False),
        ("BTC", "20999999", True),
        ("PEPE", "1e15", False),
        ("PEPE", "420690000000000", True),
    ],
)
@pytest.mark.parametrize("name", ["balance", "locked"])
def test_a_balance_larger_than_an_account_can_hold_is_unreadable(
    currency: str, amount: str, is_read: bool, name: str
) -> None:
    """Regression: a balance of 10^15 led to an order of the largest size."""
    row = {"currency": currency, "balance": "0", "locked": "0"} | {name: amount}

    found = account.balances([row])

    assert (currency in set(found)) is is_read
    assert (currency in found.unreadable) is not is_read
