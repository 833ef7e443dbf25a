"""Prices of the models: the kind of a row, and the rows known at this version's release."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, TypeVar

from service.domain.pricing import ModelPrice
from service.ports.store import JSON
from service.settings.amounts import Number
from service.settings.key import Unfit, ValueKind
from service.settings.kinds import ListOf, ModelName

T = TypeVar("T")

_MODEL: Final = ModelName()
_USD: Final = Number(Decimal(0), Decimal(10_000), places=6)
_FIELDS: Final = ("model", "effective_from", "input", "cached", "output")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One row of the price table as a JSON object with exactly these five fields."""

    bounds: str = (
        "an object with model, effective_from (YYYY-MM-DD) and input, cached, output"
        " (USD for a million tokens, 0 to 10000, at most 6 decimals)"
    )

    def parse(self, raw: JSON) -> ModelPrice:
        if not isinstance(raw, dict) or set(raw) != set(_FIELDS):
            raise Unfit(f"its fields are {', '.join(_FIELDS)}")
        return ModelPrice(
            model=_field(raw, "model", _MODEL),
            effective_from=_day(raw["effective_from"]),
            input=_field(raw, "input", _USD),
            cached=_field(raw, "cached", _USD),
            output=_field(raw, "output", _USD),
        )

    def dump(self, value: ModelPrice) -> JSON:
        return {
            "model": value.model,
            "effective_from": value.effective_from.isoformat(),
            "input": _USD.dump(value.input),
            "cached": _USD.dump(value.cached),
            "output": _USD.dump(value.output),
        }


_ROWS: Final = ListOf(PriceRow(), most=200)


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Price rows; for each model the latest row in effect counts."""

    @property
    def bounds(self) -> str:
        return f"{_ROWS.bounds}; one row for a model and a day"

    def parse(self, raw: JSON) -> tuple[ModelPrice, ...]:
        prices = _ROWS.parse(raw)
        if len({(p.model, p.effective_from) for p in prices}) < len(prices):
            raise Unfit("two rows are for the same model and day")
        return prices

    def dump(self, value: tuple[ModelPrice, ...]) -> JSON:
        return _ROWS.dump(value)


def _field(row: Mapping[str, JSON], name: str, kind: ValueKind[T]) -> T:
    try:
        return kind.parse(row[name])
    except Unfit:
        raise Unfit(f"{name} takes {kind.bounds}") from None


def _day(raw: JSON) -> date:
    # fromisoformat alone would also take 20260101 and 2026-W01-4.
    if isinstance(raw, str) and _DAY.fullmatch(raw):
        try:
            return date.fromisoformat(raw)
        except ValueError:
            pass
    raise Unfit("effective_from takes a day like 2026-12-01")


#: Older than every model, so that a replay of old candles has a price too.
_ALWAYS: Final = date(2000, 1, 1)


def _row(model: str, effective_from: date, input_: str, cached: str, output: str) -> ModelPrice:
    return ModelPrice(
        model=model,
        effective_from=effective_from,
        input=Decimal(input_),
        cached=Decimal(cached),
        output=Decimal(output),
    )


#: USD for a million tokens. Source: Google's pricing and latest-model pages and copies of them,
#: read in October 2026; the 3.8 Flash cached price is a third party's. Models with a price that
#: depends on the prompt's length are left out: one row cannot express it.
KNOWN_PRICES: Final = (
    _row("gemini-4-argon", _ALWAYS, "2", "0.1", "10"),
    _row("gemini-4-argon", date(2026, 12, 1), "4", "0.2", "20"),
    _row("gemini-3.8-flash", _ALWAYS, "0.75", "0.075", "3.75"),
    _row("gemini-3.8-flash", date(2027, 1, 1), "1.5", "0.15", "7.5"),
    _row("gemini-3.7-flash", _ALWAYS, "0.75", "0.075", "3.75"),
    _row("gemini-3.7-flash", date(2027, 1, 1), "1.5", "0.15", "7.5"),
    _row("gemini-3.6-flash", _ALWAYS, "1.5", "0.15", "7.5"),
    _row("gemini-3.5-flash", _ALWAYS, "1.5", "0.15", "9"),
    _row("gemini-3.5-flash-lite", _ALWAYS, "0.3", "0.03", "2.5"),
)
