"""Control of what the exchange says about a market, from the sandbox's own machine only."""

from collections.abc import Mapping

from aiohttp import web
from pydantic import ValidationError

from service.domain.errors import UnknownMarket
from service.domain.markets import Market
from service.sandbox.market_notes import MarketNote
from service.sandbox.reply import reply
from service.sandbox.upbit_api.context import CONTEXT

routes = web.RouteTableDef()


@routes.post("/__sandbox__/markets/{market}")
async def write_note(request: web.Request) -> web.Response:
    """Write what is said of one market, from now on; what is left out is as usual."""
    market = _market(request)
    try:
        note = MarketNote.model_validate_json(await request.read())
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise web.HTTPBadRequest(text=f"{where}: {first['msg']}\n") from exc
    request.app[CONTEXT].notes.write(market, note)
    return reply(_shown(note))


@routes.get("/__sandbox__/markets/{market}")
async def read_note(request: web.Request) -> web.Response:
    return reply(_shown(request.app[CONTEXT].notes.of(_market(request))))


def _shown(note: MarketNote) -> Mapping[str, object]:
    return note.model_dump(mode="json") | {"caution": sorted(note.caution)}


def _market(request: web.Request) -> Market:
    known, code = request.app[CONTEXT].quotes, request.match_info["market"]
    try:
        market = Market.parse(code)
    except UnknownMarket:
        market = None
    if market is None or market not in known:
        raise web.HTTPBadRequest(text=f"market: one of {', '.join(map(str, known))}\n")
    return market
