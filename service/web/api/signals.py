"""Signals, and asking the model for one now."""

from typing import Final

from aiohttp import hdrs, web

from service.domain.errors import DomainError, NotFound
from service.domain.markets import Market
from service.domain.signals import Action
from service.flows.markets import traded
from service.web.contract.requests import GenerateBody
from service.web.keys import CONFIG, GENERATE, LISTS, SETTINGS
from service.web.protocol.audit import audited
from service.web.protocol.bodies import body_of
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query, known_market, row_id
from service.web.protocol.responses import list_response, raw_response

PATH: Final = "/api/v1/signals"


async def signals(request: web.Request) -> web.Response:
    query = Query(request)
    page = window(query)
    return page_response(
        await request.app[LISTS].signals(
            limit=page.limit,
            before=page.before,
            market=query.market(),
            action=query.choice("action", Action),
            market_data_id=query.optional_number("market_data_id"),
        )
    )


async def latest(request: web.Request) -> web.Response:
    """The newest signal of every market, or of the one asked for."""
    markets = Query(request).markets()
    return list_response(await request.app[LISTS].signals_latest(markets))


async def signal(request: web.Request) -> web.Response:
    Query(request)
    return raw_response(await _stored(request, row_id(request, "signal")))


async def generate(request: web.Request) -> web.Response:
    """Ask the model now, unless the market's cooldown has not passed."""
    Query(request)
    market = await _asked_market(request)
    # The audit row comes first: if it cannot be written, the model is not asked.
    await audited(request, action="signal.generate", subject=str(market))
    made = await request.app[GENERATE](market)
    body = await _stored(request, made.id)
    return raw_response(body, status=201, headers={hdrs.LOCATION: f"{PATH}/{made.id}"})


async def _asked_market(request: web.Request) -> Market:
    body = await body_of(request, GenerateBody)
    # Only traded markets: a signal may become an order.
    markets = await traded(request.app[SETTINGS], collected=request.app[CONFIG].markets)
    if not markets:
        raise DomainError("nothing is traded: the setting markets names no market collected here")
    if "market" not in body.model_fields_set:
        return markets[0]
    return known_market(body.market, markets)


async def _stored(request: web.Request, signal_id: int) -> bytes:
    body = await request.app[LISTS].signal(signal_id)
    if body is None:
        raise NotFound(f"there is no signal {signal_id}")
    return body
