"""What is held and what it is worth, at the newest collected price."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypedDict

import orjson
from aiohttp import web

from service.domain.markets import Market
from service.domain.positions import Position
from service.web.bodies import decimal_text, instant_text
from service.web.keys import ORDERS

_SHOWN: Final = Decimal("1E-8")  #: a quotient has no last decimal; the exchange shows eight


class PositionBody(TypedDict):
    """Money in the market's quote currency, volumes in coins; all decimal text."""

    market: str
    volume: str
    average_price: str | None  #: null without a position
    price: str | None  #: null before the first price is collected
    value: str | None
    unrealised_pnl: str | None
    realised_pnl: str  #: less every fee ever paid here
    fees_paid: str
    opened_at: str | None


async def position_bodies(
    app: web.Application, markets: Sequence[Market], tickers: bytes
) -> list[PositionBody]:
    """Return one body a market; `tickers` is what Lists.market_latest returned."""
    prices = {row["market"]: Decimal(row["price"]) for row in orjson.loads(tickers)}
    # One after the other: a page that asks every other second takes one connection, not many.
    return [_body(await app[ORDERS].position(market), prices) for market in markets]


def _body(position: Position, prices: Mapping[str, Decimal]) -> PositionBody:
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
        opened_at=None if position.opened_at is None else instant_text(position.opened_at),
    )
