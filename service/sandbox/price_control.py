"""Control of the market's prices by a test or an operator, from the sandbox's own machine only."""

from decimal import Decimal
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.domain.errors import UnknownMarket
from service.domain.markets import Market
from service.sandbox.market.prints import instant_of, step_at
from service.sandbox.market.scripted import ScriptedPrints
from service.sandbox.market.ticks import units
from service.sandbox.reply import reply
from service.sandbox.upbit_api.context import CONTEXT

_MOST: Final = 100_000  #: prints of one script
_DEAREST: Final = 10**10  #: KRW; a print holds 64 bits

#: KRW. It need not be on the tick: a price that no exchange would show is what tests need.
Price = Annotated[Decimal, Field(gt=0, le=_DEAREST, decimal_places=8)]

routes = web.RouteTableDef()


class PriceScript(BaseModel):
    """The prices of the next prints; null is a print that does not come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    market: str
    prices: Annotated[list[Price | None], Field(min_length=1, max_length=_MOST)]
    then: Literal["hold", "free"] = "hold"  #: the last price stays, or the market goes on


@routes.post("/__sandbox__/prices")
async def write_prices(request: web.Request) -> web.Response:
    """Write the prices of one market, from its next print on."""
    try:
        script = PriceScript.model_validate_json(await request.read())
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise web.HTTPBadRequest(text=f"{where}: {first['msg']}\n") from exc
    prints = _prints(request, script.market)
    now = step_at(request.app[CONTEXT].now())
    prices = [None if price is None else units(price) for price in script.prices]
    prints.script(prices, after=now, holds=script.then == "hold")
    return reply({"first_at": instant_of(now + 1).isoformat()})


@routes.delete("/__sandbox__/prices")
async def free_prices(request: web.Request) -> web.Response:
    """Let the markets, or the `market` named in the query, print their own prices again."""
    context, code = request.app[CONTEXT], request.query.get("market")
    now = step_at(context.now())
    concerned = context.prints.values() if code is None else [_prints(request, code)]
    for prints in concerned:
        prints.script([], after=now, holds=False)
    return web.Response(status=204)


def _prints(request: web.Request, code: str) -> ScriptedPrints:
    known = request.app[CONTEXT].prints
    try:
        return known[Market.parse(code)]
    except (UnknownMarket, KeyError) as exc:
        raise web.HTTPBadRequest(text=f"market: one of {', '.join(map(str, known))}\n") from exc
