"""What changes take: one model for each body, whose sentences the refusals use.

A field's description completes the sentence "FIELD is …" of the refusal. Values are taken as they
are: no number is made of a text, and neither a text of a number.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel

LONGEST_REASON: Final = 200
LONGEST_NOTE: Final = 500
_ID_BOUND: Final = 2**63


class Body(BaseModel):
    """An object whose names are all known.

    Attributes:
        unknown: the refusal of another name.
        sentences: whole refusals of single fields.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    unknown: ClassVar[str] = "{name} is not known here; there is {known}"
    sentences: ClassVar[Mapping[str, str]] = {}


class EmptyBody(Body):
    """Nothing: the address says it all."""


def _not_zero(text: str) -> str:
    if not Decimal(text):
        raise ValueError
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError
    return text


def _reason(text: str) -> str:
    """It goes into alerts, logs and terminals: nothing in it may steer them."""
    line = text.strip()
    if not 1 <= len(line) <= LONGEST_REASON or not line.isprintable():
        raise ValueError
    return line


MarketName = Annotated[str, Field(description="a text like KRW-BTC")]
Amount = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{1,18}(\.[0-9]{1,18})?$",
        description='decimal text like "0.001", more than 0',
    ),
    AfterValidator(_not_zero),
]


class HandOrderBody(Body):
    unknown: ClassVar[str] = "an order has no {name}"
    market: MarketName
    side: str
    type: str


class LimitOrderBody(HandOrderBody):
    side: Literal["BUY", "SELL"]
    type: Literal["LIMIT"]
    price: Amount
    volume: Amount


class MarketPurchaseBody(HandOrderBody):
    """Spends `funds`; the fee comes on top."""

    side: Literal["BUY"]
    type: Literal["MARKET"]
    funds: Amount


class MarketSaleBody(HandOrderBody):
    side: Literal["SELL"]
    type: Literal["MARKET"]
    volume: Amount


class PlaceOrderBody(RootModel[LimitOrderBody | MarketPurchaseBody | MarketSaleBody]):
    """An order by hand."""


class GenerateBody(Body):
    unknown: ClassVar[str] = 'the body is {{"market": "KRW-BTC"}}, or empty for the first market'
    market: MarketName = ""


class NewDepositBody(Body):
    unknown: ClassVar[str] = "a deposit has no {name}"
    currency: str = Field(pattern=r"^[A-Z0-9]{1,15}$", description="a name like KRW or BTC")
    amount: Annotated[
        str,
        Field(
            pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,18})?$",
            description='decimal text like "500000" or "-0.25", and not 0',
        ),
        AfterValidator(_not_zero),
    ]
    at: str = Field(default="", description="an instant of the past, like 2026-01-24T09:00:00Z")
    note: Annotated[
        str,
        Field(
            max_length=LONGEST_NOTE,
            description=f"one line of at most {LONGEST_NOTE} characters",
        ),
        AfterValidator(_printable),
    ] = ""
    another: bool = Field(default=False, description="true or false")
    corrects: int | None = Field(
        default=None, gt=0, lt=_ID_BOUND, description="the id of a deposit, a whole number"
    )


class HaltRequestBody(Body):
    reason: Annotated[
        str,
        Field(
            min_length=1,
            description=f"a line of 1 to {LONGEST_REASON} printable characters",
        ),
        AfterValidator(_reason),
    ]
    protection: bool = Field(
        default=True, description="true (sales go on) or false (nothing goes on)"
    )
    market: str | None = Field(default=None, description="a text like KRW-BTC, or null for all")


class ResumeBody(Body):
    reasons: list[str] | None = Field(
        default=None,
        min_length=1,
        description="a list of texts, or null for all that an operator ends",
    )


class FlattenRequestBody(Body):
    sentences: ClassVar[Mapping[str, str]] = {
        "confirm": 'this sells what is held: confirm it with "confirm": "FLATTEN"'
    }
    confirm: Literal["FLATTEN"]
    markets: list[str] | None = Field(
        min_length=1, description='a list like ["KRW-BTC"], or null for everything'
    )


class ChangeSettingBody(Body):
    unknown: ClassVar[str] = 'the body is {{"value": …}}'
    sentences: ClassVar[Mapping[str, str]] = {"value": 'the body is {"value": …}'}
    value: object


class ChangeSettingsBody(RootModel[dict[str, object]]):
    """New values by key; all of them are stored, or none."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})


class ResetSettingsBody(Body):
    unknown: ClassVar[str] = 'the body is {{"keys": ["min_confidence"]}}, or empty for all'
    keys: list[str] = Field(default=[], min_length=1, description="a list of texts")
