"""Prices of the stream are the very decimals that were sent, though the parser reads doubles."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.stream.tickers import EXACT_DIGITS, StreamedPrice, TickerReader
from tests.builders import KRW_BTC


def a_frame(**numbers: str) -> bytes:
    """Return a ticker frame; numbers are written as given, e.g. 1.50, not as Python would."""
    fields = {
        "type": '"ticker"', "code": '"KRW-BTC"', "trade_price": "100", "low_price": "99",
        "high_price": "101.0", "acc_trade_volume_24h": "1.5", "signed_change_rate": "-0.01",
        "trade_timestamp": "1676965262139",
    }  # fmt: skip
    return ("{" + ",".join(f'"{k}":{v}' for k, v in (fields | numbers).items()) + "}").encode()


def read(raw: bytes) -> StreamedPrice:
    return TickerReader(KRW_BTC).word(orjson.loads(raw), raw)


def test_a_frame_is_a_word_about_a_price_and_a_whole_ticker_when_it_is_wanted() -> None:
    word = read(a_frame(trade_price="32287000.00000000"))

    assert (word.price, word.low, word.high) == (Decimal(32287000), Decimal(99), Decimal(101))
    assert word.traded_at == datetime(2023, 2, 21, 7, 41, 2, 139000, UTC)
    assert word.whole().volume_24h == Decimal("1.5")  # type: ignore[union-attr]  # it is readable


@given(digits=st.integers(1, 10**EXACT_DIGITS - 1), places=st.integers(0, 8))
def test_a_price_of_fifteen_digits_at_most_is_exact(digits: int, places: int) -> None:
    sent = Decimal(digits).scaleb(-places)

    assert read(a_frame(trade_price=f"{sent:f}")).price == sent


@given(digits=st.integers(10**EXACT_DIGITS, 10**18), places=st.integers(0, 8))
def test_a_price_of_more_digits_is_exact_or_the_one_that_its_double_stands_for(
    digits: int, places: int
) -> None:
    """A double holds no more: what Upbit computes in doubles was sent as its shortest text."""
    sent = Decimal(digits).scaleb(-places)

    price = read(a_frame(trade_price=f"{sent:f}")).price

    assert price == sent or float(price) == float(sent)


@pytest.mark.parametrize(
    "number", ["0.00000001", "1e-8", "1.5E-7", "0.12345678", '"100.5"', "123456789.12345678"]
)
def test_a_number_in_any_form_of_json_is_the_number(number: str) -> None:
    sent = json.loads(number, parse_float=Decimal)

    assert read(a_frame(trade_price=number)).price == Decimal(sent)


@pytest.mark.parametrize(
    "odd",
    [
        {"trade_price": "0"}, {"trade_price": "-5"}, {"trade_price": "-5.5"},
        {"trade_price": "1e-99"},
        {"trade_price": "1e300"}, {"trade_price": "null"}, {"trade_price": "true"},
        {"trade_price": '"NaN"'}, {"high_price": "[]"}, {"low_price": "{}"},
        {"trade_timestamp": "0"}, {"trade_timestamp": "253402300800000"},
        {"trade_timestamp": "null"}, {"trade_timestamp": "1.5"},
    ],
)  # fmt: skip
def test_an_odd_number_is_an_odd_frame(odd: dict[str, str]) -> None:
    with pytest.raises(OddAnswer):
        read(a_frame(**odd))


def test_a_low_and_a_high_that_change_are_read_anew() -> None:
    reader = TickerReader(KRW_BTC)
    words = [
        reader.word(orjson.loads(raw), raw)
        for raw in (
            a_frame(low_price="99.5", high_price="101.5"),
            a_frame(low_price="99.5", high_price="102.5"),
            a_frame(low_price='"98.5"', high_price="102.5"),
            a_frame(low_price="99.5", high_price="103"),
        )
    ]

    assert [word.low for word in words] == [Decimal(n) for n in ("99.5", "99.5", "98.5", "99.5")]
    assert [word.high for word in words] == [Decimal(n) for n in ("101.5", "102.5", "102.5", "103")]


def test_a_price_is_known_though_the_rest_of_its_frame_is_odd() -> None:
    word = read(a_frame(acc_trade_volume_24h="-1"))

    assert word.price == 100
    assert word.whole() is None


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**63), 2**63) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(
    value=JSON_VALUES,
    name=st.sampled_from(["trade_price", "low_price", "high_price", "trade_timestamp"]),
)
def test_whatever_stands_in_a_field_is_a_positive_price_or_an_odd_frame(
    value: Any, name: str
) -> None:
    raw = a_frame(**{name: json.dumps(value)})
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return  # e.g. a lone surrogate: the reader drops it as no JSON
    try:
        word = TickerReader(KRW_BTC).word(fields, raw)
    except OddAnswer:
        return

    assert min(word.price, word.low, word.high) > 0
