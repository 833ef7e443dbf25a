"""Positions and their values at the newest collected prices."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import orjson
from aiohttp import web
from typing_extensions import TypedDict

from service.domain.decimals import decimal_text
from service.domain.instants import rfc3339
from service.domain.positions import Position
from service.flows.protect import Protector
from service.web.api.protection import StopBody, stop_body
from service.web.contract.scalars import DecimalText, Instant
from service.web.keys import CONFIG, ORDERS, PROTECTOR

_SHOWN: Final = Decimal("1E-8")  #: a quotient has no last decimal; the exchange shows eight


class PositionBody(TypedDict):
    """Money in the market's quote currency, volumes in coins; all decimal text."""

    market: str
    volume: DecimalText
    average_price: DecimalText | None  #: null without a position
    price: DecimalText | None  #: null before the first price is collected
    value: DecimalText | None
    unrealised_pnl: DecimalText | None
    realised_pnl: DecimalText  #: less every fee ever paid here
    fees_paid: DecimalText
    opened_at: Instant | None
    protection: StopBody | None  #: what sells it without a signal; null without a position


async def positions_of(app: web.Application) -> Sequence[Position]:
    """Return a position for each collected market, then those held in other markets.

    Coins stay visible after their market was taken out of TRADER_MARKETS.
    """
    collected = {market: Position(market=market) for market in app[CONFIG].markets}
    booked = await app[ORDERS].positions()
    shown = [p for p in booked if p.market in collected or p.volume]
    return tuple((collected | {p.market: p for p in shown}).values())


def position_bodies(
    app: web.Application, positions: Sequence[Position], tickers: bytes
) -> list[PositionBody]:
    """Value each position; `tickers` is what Lists.market_latest returned."""
    prices = {row["market"]: Decimal(row["price"]) for row in orjson.loads(tickers)}
    return [_body(position, prices, app[PROTECTOR]) for position in positions]


def _body(position: Position, prices: Mapping[str, Decimal], protector: Protector) -> PositionBody:
    price = prices.get(str(position.market))
    average = position.average_price
    return PositionBody(
        market=str(position.market),
        volume=decimal_text(position.volume),
        average_price=None if average is None else decimal_text(average.quantize(_SHOWN)),
        price=None if price is None else decimal_text(price),
        value=None if price is None else decimal_text(position.value_at(price)),
        unrealised_pnl=(None if price is None else decimal_text(position.unrealised_pnl_at(price))),
        realised_pnl=decimal_text(position.realised_pnl),
        fees_paid=decimal_text(position.fees_paid),
        opened_at=None if position.opened_at is None else rfc3339(position.opened_at),
        protection=stop_body(protector, position),
    )
