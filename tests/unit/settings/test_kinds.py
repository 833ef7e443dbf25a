"""What the settings accept, and what must not slip through."""

from datetime import date
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import InvalidSetting
from service.domain.markets import Market
from service.domain.pricing import ModelPrice
from service.ports.store import JSON
from service.settings.amounts import Number
from service.settings.key import Key, Unfit
from service.settings.table import (
    AI_FALLBACK_MODELS,
    AI_MODEL,
    ALERT_MIN_SEVERITY,
    MARKETS,
    MIN_CONFIDENCE,
    POSITION_SIZE_MAX_PCT,
    PRICE_TABLE,
    SIGNAL_INTERVAL_MINUTES,
    STOP_LOSS_PCT,
    TABLE,
    TAKE_PROFIT_PCT,
    TRADING_ENABLED,
    VOLATILITY_AUTO_RESUME_MINUTES,
)

A_PRICE: dict[str, JSON] = {
    "model": "gemini-4-argon",
    "effective_from": "2026-12-01",
    "input": "4",
    "cached": 0.2,
    "output": 20,
}


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        (TRADING_ENABLED, True, True),
        (STOP_LOSS_PCT, "5.25", Decimal("5.25")),
        (STOP_LOSS_PCT, 5, Decimal(5)),
        (STOP_LOSS_PCT, 0.1, Decimal("0.1")),
        (STOP_LOSS_PCT, 50, Decimal(50)),
        (MIN_CONFIDENCE, 0, Decimal(0)),
        (MIN_CONFIDENCE, "1", Decimal(1)),
        (MIN_CONFIDENCE, 0.0001, Decimal("0.0001")),
        (SIGNAL_INTERVAL_MINUTES, 1, 1),
        (SIGNAL_INTERVAL_MINUTES, 1440, 1440),
        (SIGNAL_INTERVAL_MINUTES, 30.0, 30),
        (TAKE_PROFIT_PCT, None, None),
        (TAKE_PROFIT_PCT, "7.5", Decimal("7.5")),
        (VOLATILITY_AUTO_RESUME_MINUTES, None, None),
        (VOLATILITY_AUTO_RESUME_MINUTES, 15, 15),
        (AI_MODEL, "gemini-3.8-flash", "gemini-3.8-flash"),
        (AI_FALLBACK_MODELS, [], ()),
        (AI_FALLBACK_MODELS, ["a-1", "b-2"], ("a-1", "b-2")),
        (MARKETS, ["KRW-BTC", "KRW-ETH"], (Market("KRW", "BTC"), Market("KRW", "ETH"))),
        (ALERT_MIN_SEVERITY, "critical", "critical"),
        (PRICE_TABLE, [], ()),
    ],
)
def test_a_value_within_its_bounds_is_taken_exactly(key: Key[Any], raw: JSON, value: Any) -> None:
    parsed = key.parse(raw)

    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("raw", [1, 0, "true", "yes", None, [], {}])
def test_only_true_and_false_switch(raw: JSON) -> None:
    with pytest.raises(InvalidSetting, match="trading_enabled takes true or false"):
        TRADING_ENABLED.parse(raw)


@pytest.mark.parametrize(
    "raw",
    [
        *(True, False, None, [], {}, [5]),
        *(float("nan"), float("inf"), -float("inf"), "NaN", "sNaN", "Infinity", "-Infinity"),
        *("", " 5", "5 ", "5%", "1_0", "\u0665", "5e0", "0x5", "5.", ".5", "+5", "five"),
        *(0, 0.09, 50.01, "50.00001", -5, "-5", 10**400, 1e300, "9" * 10_000),
        *("5.00001", 1e-300, "1e-999999999", "1E+999999999"),
    ],
)
def test_a_percentage_refuses_what_is_no_number_within_its_bounds(raw: JSON) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        STOP_LOSS_PCT.parse(raw)

    assert str(refusal.value) == "stop_loss_pct takes a number from 0.1 to 50, at most 4 decimals"


@pytest.mark.parametrize(
    "raw", [True, False, None, "30", 30.5, float("nan"), float("inf"), 0, -1, 1441, 10**400, [30]]
)
def test_minutes_are_whole_and_within_their_bounds(raw: JSON) -> None:
    with pytest.raises(
        InvalidSetting, match=r"signal_interval_minutes takes a whole number from 1 to 1440"
    ):
        SIGNAL_INTERVAL_MINUTES.parse(raw)


@pytest.mark.parametrize("raw", [False, 0, "", "off", "null", -1])
def test_only_null_switches_an_optional_number_off(raw: JSON) -> None:
    with pytest.raises(InvalidSetting, match=r"take_profit_pct takes null \(off\) or a number"):
        TAKE_PROFIT_PCT.parse(raw)


def test_null_does_not_switch_off_what_must_be_a_number() -> None:
    with pytest.raises(InvalidSetting, match="stop_loss_pct"):
        STOP_LOSS_PCT.parse(None)


@pytest.mark.parametrize(
    "raw",
    [
        *(None, 3, True, "", "Gemini", "gemini 3", "gemini/3", "../secrets", "models/x", "x?key=1"),
        *("a\n", "a--b", "-a", "a-", "x" * 81, "gemini-\uff13"),
    ],
)
def test_a_model_name_that_could_change_the_address_is_refused(raw: JSON) -> None:
    with pytest.raises(InvalidSetting, match="ai_model takes a model name"):
        AI_MODEL.parse(raw)


@pytest.mark.parametrize(
    "raw",
    [
        *("KRW-BTC", None, {"KRW-BTC": 1}, ["krw-btc"], ["KRW-BTC", 5], [None], ["KRW-BTC "]),
        *(["KRW-BTC", "KRW-BTC"], [f"KRW-C{n}" for n in range(21)]),
    ],
)
def test_markets_are_a_short_list_of_different_markets(raw: JSON) -> None:
    with pytest.raises(InvalidSetting, match="markets takes a list of at most 20, no two alike"):
        MARKETS.parse(raw)


def test_the_refusal_of_a_list_says_which_item() -> None:
    with pytest.raises(InvalidSetting, match="item 2 does not fit"):
        MARKETS.parse(["KRW-BTC", "bitcoin"])


@pytest.mark.parametrize("raw", ["Warning", "debug", "", None, 30, ["error"]])
def test_a_severity_is_one_of_four_words(raw: JSON) -> None:
    with pytest.raises(InvalidSetting, match="one of info, warning, error, critical"):
        ALERT_MIN_SEVERITY.parse(raw)


def test_a_price_row_becomes_a_dated_price() -> None:
    (price,) = PRICE_TABLE.parse([A_PRICE])

    assert price == ModelPrice(
        model="gemini-4-argon",
        effective_from=date(2026, 12, 1),
        input=Decimal(4),
        cached=Decimal("0.2"),
        output=Decimal(20),
    )


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"input": "-1"}, "input takes a number from 0 to 10000"),
        ({"output": None}, "output takes a number"),
        ({"cached": "0.0000001"}, "cached takes a number"),
        ({"model": "Argon"}, "model takes a model name"),
        ({"effective_from": "20261201"}, "effective_from takes a day like 2026-12-01"),
        ({"effective_from": "2026-02-30"}, "effective_from takes a day"),
        ({"effective_from": 20261201}, "effective_from takes a day"),
        ({"effective_from": "2026-W01-4"}, "effective_from takes a day"),
        ({"batch": "1"}, "its fields are model, effective_from, input, cached, output"),
    ],
)
def test_a_price_row_that_does_not_fit_is_named_with_its_field(
    changes: dict[str, JSON], detail: str
) -> None:
    with pytest.raises(InvalidSetting, match=f"price_table takes .*item 2 does not fit, {detail}"):
        PRICE_TABLE.parse([A_PRICE, {**A_PRICE, "model": "other", **changes}])


def test_a_price_row_without_a_field_is_refused() -> None:
    row = {name: value for name, value in A_PRICE.items() if name != "cached"}

    with pytest.raises(InvalidSetting, match="its fields are"):
        PRICE_TABLE.parse([row])


def test_two_prices_for_one_model_and_day_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="two rows are for the same model and day"):
        PRICE_TABLE.parse([A_PRICE, {**A_PRICE, "input": 5}])


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(InvalidSetting) as refusal:
        AI_MODEL.parse("AIzaSy-pasted-by-mistake")

    assert "AIzaSy" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


@pytest.mark.parametrize("raw", ["1", "1.0", "1.0000", 1, 1.0])
def test_equal_numbers_are_stored_equal(raw: JSON) -> None:
    assert MIN_CONFIDENCE.dump(MIN_CONFIDENCE.parse(raw)) == "1"


@pytest.mark.parametrize(("raw", "text"), [(100, "100"), ("-0", "0"), ("0.50", "0.5")])
def test_a_number_is_written_without_an_exponent_or_a_sign_on_zero(raw: JSON, text: str) -> None:
    kind = Number(Decimal(0), Decimal(100))

    assert kind.dump(kind.parse(raw)) == text


@given(st.decimals(min_value="0.1", max_value="100", places=4))
def test_a_number_survives_storage_exactly(value: Decimal) -> None:
    stored = orjson.loads(orjson.dumps(POSITION_SIZE_MAX_PCT.dump(value)))

    assert POSITION_SIZE_MAX_PCT.parse(stored) == value


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals().map(str),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from(list(TABLE.values())), json_values)
def test_any_json_is_taken_or_refused_by_name(key: Key[Any], raw: JSON) -> None:
    try:
        value = key.parse(raw)
    except InvalidSetting as exc:
        assert str(exc).startswith(f"{key.name} takes {key.bounds}")  # noqa: PT017 - either way
    else:
        assert key.parse(key.dump(value)) == value


def test_a_kind_does_not_know_the_key() -> None:
    with pytest.raises(Unfit):
        STOP_LOSS_PCT.kind.parse("much")
