"""Query parameters: each says its form once, for the parser, the document and docs/api.md."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

E = TypeVar("E", bound=StrEnum)

MAX_ID: Final = 2**63 - 1  #: a larger one would be an error of the database, not an empty page


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    name: str
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberParameter(Parameter):
    """Attributes: default: None where the parameter may be left out without one."""

    default: int | None = None
    low: int = 1
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceParameter(Parameter, Generic[E]):
    kind: type[E]
    default: E | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketParameter(Parameter):
    """One of the collected markets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantParameter(Parameter):
    """RFC 3339 with its offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextParameter(Parameter):
    """What its handler looks up; what is not found is refused or matches nothing."""


DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
LIMIT: Final = NumberParameter(
    name="limit", default=DEFAULT_LIMIT, high=MAX_LIMIT, says="items of one page"
)
CURSOR: Final = TextParameter(name="cursor", says="`next_cursor` of the page before")
#: What every list takes.
PAGE: Final = (LIMIT, CURSOR)
MARKET: Final = MarketParameter(name="market", says="like KRW-BTC, one of TRADER_MARKETS")
QUOTE: Final = TextParameter(name="quote", says="a currency like KRW; that of the first market")
