"""The table, and the page that says the same."""

import ast
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from service.domain.pricing import cost_usd
from service.domain.signals import Usage
from service.settings import table
from service.settings.key import Key
from service.settings.table import AI_MODEL, ASCENDING, PRICE_TABLE, TABLE, TRADING_ENABLED

ROOT = Path(__file__).parents[3]
SERVICE = ROOT / "service"
#: With each paragraph and each point of a list on one line.
PAGE = re.sub(
    r"(?<=\S)\n *(?=[^\s|#-])",
    " ",
    (ROOT / "docs" / "settings.md").read_text(encoding="utf-8"),
)
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))
KEYS = [pytest.param(key, id=name) for name, key in TABLE.items()]

CONTRACT = {
    "trading_enabled": False,
    "markets": [],
    "position_size_min_pct": "1",
    "position_size_max_pct": "3",
    "max_position_pct": "20",
    "max_exposure_pct": "60",
    "max_order_krw": None,
    "max_daily_order_krw": None,
    "max_slippage_pct": "0.5",
    "stop_loss_pct": "5",
    "take_profit_pct": None,
    "trailing_stop_pct": None,
    "daily_loss_limit_pct": "5",
    "volatility_threshold_pct": "3",
    "volatility_window_minutes": 5,
    "volatility_auto_resume_minutes": None,
    "min_confidence": "0.6",
    "signal_interval_minutes": 30,
    "signal_max_age_seconds": 300,
    "max_price_age_seconds": 30,
    "max_price_jump_pct": "10",
    "signal_cooldown_minutes": 5,
    "max_orders_per_hour": 12,
    "limit_order_max_age_minutes": 60,
    "ai_model": "gemini-3.8-flash",
    "ai_fallback_models": [],
    "ai_daily_budget_usd": "2",
    "data_retention_days": 365,
    "disabled_jobs": [],
    "alert_min_severity": "warning",
}


def test_the_keys_and_defaults_are_those_of_the_contract() -> None:
    defaults = {name: key.dump(key.default) for name, key in TABLE.items()}

    assert defaults.pop("price_table")
    assert defaults == CONTRACT


def test_trading_is_off_until_somebody_switches_it_on() -> None:
    assert TRADING_ENABLED.default is False


def test_every_constant_stands_in_the_table_under_its_own_name() -> None:
    constants = {name: key for name, key in vars(table).items() if isinstance(key, Key)}

    assert {name.lower(): key for name, key in constants.items()} == TABLE


@pytest.mark.parametrize("key", KEYS)
def test_a_default_is_within_its_own_bounds(key: Key[Any]) -> None:
    assert key.parse(key.dump(key.default)) == key.default


def test_the_defaults_ascend() -> None:
    values = [key.default for key in ASCENDING]

    assert values == sorted(values)


def keys_read() -> set[str]:
    """Return the constants of the table that some code of the service passes to `get`."""
    return {
        call.args[0].id.lower()
        for path in SERVICE.rglob("*.py")
        if SERVICE / "settings" not in path.parents
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and "get" in {getattr(call.func, "attr", None), getattr(call.func, "id", None)}
        and call.args
        and isinstance(call.args[0], ast.Name)
        and call.args[0].id.lower() in TABLE
    }


def test_a_setting_is_marked_as_in_effect_when_something_reads_it_and_only_then() -> None:
    assert {name for name, key in TABLE.items() if key.in_effect} == keys_read()


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_explained_on_the_page(key: Key[Any]) -> None:
    section = SECTIONS[key.name]

    assert key.sentence in section
    assert f"- takes: {key.bounds}\n" in section
    assert ("- unit:" in section) is bool(key.unit)
    assert not key.unit or f"- unit: {key.unit}\n" in section
    assert ("In effect in this version" in section) is key.in_effect
    assert ("nothing acts on it yet" in section) is not key.in_effect


@pytest.mark.parametrize("key", [p for p in KEYS if p.values[0] is not PRICE_TABLE])
def test_every_default_is_on_the_page(key: Key[Any]) -> None:
    default = orjson.dumps(key.dump(key.default)).decode()

    assert f"- default: `{default}`\n" in SECTIONS[key.name]


def test_every_default_price_is_on_the_page() -> None:
    rows = re.findall(r"^\| (gemini.*) \|$", SECTIONS["price_table"], re.MULTILINE)

    prices = [dict(zip(_PRICE_COLUMNS, row.split(" | "), strict=True)) for row in rows]

    assert prices == PRICE_TABLE.dump(PRICE_TABLE.default)


_PRICE_COLUMNS = ("model", "effective_from", "input", "cached", "output")


def test_the_page_explains_no_key_that_does_not_exist() -> None:
    assert SECTIONS.keys() == TABLE.keys()


@pytest.mark.parametrize(
    ("model", "day", "usd"),
    [
        ("gemini-3.8-flash", date(2026, 12, 31), "0.007875"),
        ("gemini-3.8-flash", date(2027, 1, 1), "0.01575"),
        ("gemini-4-argon", date(2026, 11, 30), "0.021"),
        ("gemini-4-argon", date(2026, 12, 1), "0.042"),
        ("gemini-3.8-flash", date(2020, 2, 20), "0.007875"),
    ],
)
def test_the_default_prices_change_on_their_day(model: str, day: date, usd: str) -> None:
    usage = Usage(input_tokens=4000, output_tokens=500, thinking_tokens=800)

    cost = cost_usd(usage, model=model, day=day, prices=PRICE_TABLE.default)

    assert cost == Decimal(usd)


def test_a_model_whose_price_is_not_known_has_no_cost() -> None:
    usage = Usage(input_tokens=1, output_tokens=1)

    cost = cost_usd(
        usage, model="gemini-3.1-pro", day=date(2026, 11, 1), prices=PRICE_TABLE.default
    )

    assert cost is None


def test_the_default_model_has_a_known_price() -> None:
    assert AI_MODEL.default in {price.model for price in PRICE_TABLE.default}
