"""One body with everything on the page, so that the page needs one request."""

from typing import Annotated, Final

import orjson
from aiohttp import web
from typing_extensions import TypedDict

from service.domain.instants import rfc3339
from service.ports.health import ComponentBody, TradingBody
from service.web.api.positions import PositionBody, position_bodies, positions_of
from service.web.contract.market_bodies import MarketRowBody
from service.web.contract.order_bodies import OrderRowBody
from service.web.contract.scalars import Instant, Made
from service.web.contract.signal_bodies import SignalRowBody
from service.web.keys import CLOCK, HEALTH, LISTS
from service.web.protocol.auth import CALLER
from service.web.protocol.query import Query
from service.web.protocol.responses import json_response

_SHOWN: Final = 5  #: latest signals and orders


class DashboardHealthBody(TypedDict):
    status: str
    components: dict[str, ComponentBody]


class SummaryBody(TypedDict):
    mode: str
    version: str
    time: Instant  #: the market's instant; in the sandbox it may run faster than ours
    uptime_seconds: int
    role: str  #: what the caller may do here
    health: DashboardHealthBody
    trading: TradingBody
    prices: Annotated[object, Made(list[MarketRowBody])]  #: the newest of each market
    positions: list[PositionBody]
    signals: Annotated[object, Made(list[SignalRowBody])]  #: the newest five
    orders: Annotated[object, Made(list[OrderRowBody])]  #: the newest five


async def summary(request: web.Request) -> web.Response:
    """Health comes from the snapshot; the rest is a handful of short statements in a row."""
    Query(request)
    app = request.app
    health, lists = app[HEALTH].body(), app[LISTS]
    # One after the other: so each refresh of the page uses one connection at a time, not four.
    positions = await positions_of(app)
    tickers = await lists.market_latest([position.market for position in positions])
    signals = await lists.signals(limit=_SHOWN)
    orders = await lists.orders(limit=_SHOWN, now=app[CLOCK].now())
    return json_response(
        SummaryBody(
            mode=health["mode"],
            version=health["version"],
            time=rfc3339(app[CLOCK].now()),
            uptime_seconds=health["uptime_seconds"],
            role=request[CALLER].role,
            health=DashboardHealthBody(status=health["status"], components=health["components"]),
            trading=health["trading"],
            prices=orjson.Fragment(tickers),
            positions=position_bodies(app, positions, tickers),
            signals=orjson.Fragment(signals.items),
            orders=orjson.Fragment(orders.items),
        )
    )
