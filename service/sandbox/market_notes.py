"""What the exchange says about a market beside its prices, written by a test or an operator."""

from datetime import date
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from service.domain.markets import Market
from service.sandbox.reply import Body

Caution = Literal[
    "PRICE_FLUCTUATIONS",
    "TRADING_VOLUME_SOARING",
    "DEPOSIT_AMOUNT_SOARING",
    "GLOBAL_PRICE_DIFFERENCES",
    "CONCENTRATION_OF_SMALL_ACCOUNTS",
]
CAUTIONS: Final[tuple[Caution, ...]] = (
    "PRICE_FLUCTUATIONS",
    "TRADING_VOLUME_SOARING",
    "DEPOSIT_AMOUNT_SOARING",
    "GLOBAL_PRICE_DIFFERENCES",
    "CONCENTRATION_OF_SMALL_ACCOUNTS",
)


class MarketNote(BaseModel):
    """What is said of one market; the defaults are those of an ordinary one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_listed: bool = True  #: in the list of markets
    has_event: bool = True  #: whether the detailed list has the key `market_event`
    warning: bool = False
    caution: frozenset[Caution] = frozenset()
    state: str | None = "active"  #: of `orders/chance`; None: the key is absent
    market_state: Literal["PREVIEW", "ACTIVE", "DELISTED"] = "ACTIVE"  #: of the stream's tickers
    delisting_date: date | None = None  #: of the stream's tickers

    @property
    def event(self) -> Body:
        caution = {name: name in self.caution for name in CAUTIONS}
        return {"warning": self.warning, "caution": caution}

    @property
    def ticker_state(self) -> Body:
        day = self.delisting_date
        told = None if day is None else {"year": day.year, "month": day.month, "day": day.day}
        return {"market_state": self.market_state, "delisting_date": told}


class MarketNotes:
    """The notes of all markets; a market without one is an ordinary one."""

    def __init__(self) -> None:
        self._notes: dict[Market, MarketNote] = {}

    def of(self, market: Market) -> MarketNote:
        return self._notes.get(market, _ORDINARY)

    def write(self, market: Market, note: MarketNote) -> None:
        self._notes[market] = note


_ORDINARY: Final = MarketNote()
