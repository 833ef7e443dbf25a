"""Numbers with bounds. They also refuse `true` for 1, NaN, and 1e-999999999."""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from service.domain.decimals import decimal_text
from service.ports.store import JSON
from service.settings.key import Unfit

#: Without exponents, underscores, blanks or foreign digits, which Decimal() would accept.
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Number:
    """An exact decimal between `low` and `high`, both allowed."""

    low: Decimal
    high: Decimal
    places: int = 4  #: decimals at most; without a limit 1e-999999999 would fit

    @property
    def bounds(self) -> str:
        return f"a number from {self.low:f} to {self.high:f}, at most {self.places} decimals"

    def parse(self, raw: JSON) -> Decimal:
        value = _decimal(raw)
        if not self.low <= value <= self.high or round(value, self.places) != value:
            raise Unfit
        # The shortest form without an exponent: 1.00 -> 1, 1E+2 -> 100, -0 -> 0.
        return Decimal(decimal_text(value))

    def dump(self, value: Decimal) -> JSON:
        # Decimal text: a JSON number would come back as a float.
        return decimal_text(value)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between `low` and `high`, both allowed."""

    low: int
    high: int

    @property
    def bounds(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def parse(self, raw: JSON) -> int:
        # 30.0 is accepted, because JSON does not distinguish it from 30.
        if isinstance(raw, float) and raw.is_integer():
            raw = int(raw)
        if not isinstance(raw, int) or isinstance(raw, bool) or not self.low <= raw <= self.high:
            raise Unfit
        return raw

    def dump(self, value: int) -> JSON:
        return value


def _decimal(raw: JSON) -> Decimal:
    """Return `raw` exactly as written. A float counts as it is printed: 0.1 means 0.1."""
    if isinstance(raw, str) and _NUMBER.fullmatch(raw):
        return Decimal(raw)
    if isinstance(raw, float) and math.isfinite(raw):
        return Decimal(str(raw))
    if isinstance(raw, int) and not isinstance(raw, bool):
        return Decimal(raw)
    raise Unfit
