"""What protects each position, as this process knows it in memory."""

from decimal import Decimal
from typing import Final

from typing_extensions import TypedDict

from service.domain.decimals import decimal_text
from service.domain.positions import Position
from service.flows.protect import Protector
from service.web.contract.scalars import DecimalText

_SHOWN: Final = Decimal("1E-8")
_PCT: Final = Decimal("0.01")


class StopBody(TypedDict):
    """Prices in the market's quote currency; all decimal text."""

    stop_price: DecimalText  #: the higher one of both stops
    trailing_stop_price: DecimalText | None  #: null: the rule is off
    take_profit_price: DecimalText | None
    distance_pct: DecimalText | None  #: how far the price is above the stop; null without a price
    watched: bool  #: whether a rule would sell it now, were its price reached
    unwatched_because: str | None  #: why none would, of domain.protection.Unwatched
    price_age_seconds: float | None
    doubt: str | None  #: why the newest word about the price is not believed
    selling: str | None  #: the rule that sells it right now
    sold: DecimalText  #: coins of it that are sold, and booked once the database is back
    dust: bool  #: less than the exchange's smallest order: it is left


class ProtectionBody(StopBody):
    """Of one position that this process watches."""

    market: str
    volume: DecimalText


def protection_bodies(protector: Protector) -> list[ProtectionBody]:
    shown = [(position, stop_body(protector, position)) for position in protector.positions()]
    return [
        ProtectionBody(**stop, market=str(position.market), volume=decimal_text(position.volume))
        for position, stop in shown
        if stop is not None
    ]


def stop_body(protector: Protector, position: Position) -> StopBody | None:
    """Return what protects `position`, from memory; None without coins."""
    now = protector.status(position)
    if now.limits is None:
        return None
    distance = now.distance_pct
    return StopBody(
        stop_price=_price(now.limits.stop),
        trailing_stop_price=_optional(now.limits.trailing_stop),
        take_profit_price=_optional(now.limits.take_profit),
        distance_pct=None if distance is None else decimal_text(distance.quantize(_PCT)),
        watched=now.unwatched is None,
        unwatched_because=None if now.unwatched is None else now.unwatched.value,
        price_age_seconds=None if now.price_age_s is None else round(now.price_age_s, 3),
        doubt=None if now.doubt is None else now.doubt.value,
        selling=None if now.exit is None else now.exit.value,
        sold=decimal_text(now.sold),
        dust=now.is_dust,
    )


def _price(price: Decimal) -> str:
    return decimal_text(price.quantize(_SHOWN))


def _optional(price: Decimal | None) -> str | None:
    return None if price is None else _price(price)
