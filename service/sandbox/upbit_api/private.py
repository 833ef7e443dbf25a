"""Upbit's Exchange API: signed requests, decimals as strings, errors named by words."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from service.sandbox.errors import RequestRefused
from service.sandbox.exchange.order_request import read_market
from service.sandbox.exchange.orders import SandboxOrder
from service.sandbox.reply import Body, reply
from service.sandbox.upbit_api.auth import body_fields
from service.sandbox.upbit_api.bodies import KST, account_body, chance_in, order_body
from service.sandbox.upbit_api.context import CONTEXT
from service.sandbox.upbit_api.params import (
    Params,
    ids_in,
    signed_body,
    signed_params,
    states_in,
    window_in,
)

_KEY_LASTS: Final = timedelta(days=365)
_MOST_BY_ID: Final = 100
_MOST_CANCELLED: Final = 20

routes = web.RouteTableDef()


@routes.get("/v1/accounts")
async def accounts(request: web.Request) -> web.Response:
    await signed_body(request)
    context = request.app[CONTEXT]
    context.now()
    return reply([account_body(account) for account in context.engine.accounts()])


@routes.get("/v1/api_keys")
async def api_keys(request: web.Request) -> web.Response:
    await signed_body(request)
    # A key expires in real time, also when a market is replayed; these keys are always new.
    ends = datetime.now(KST).replace(microsecond=0) + _KEY_LASTS
    key = {"access_key": request.app[CONTEXT].guard.access_key, "expire_at": ends.isoformat()}
    return reply([key])


@routes.get("/v1/orders/chance")
async def chance(request: web.Request) -> web.Response:
    params, engine = await signed_params(request), request.app[CONTEXT].engine
    request.app[CONTEXT].now()
    market = read_market(params.one("market"), engine.prints.keys())
    state = request.app[CONTEXT].notes.of(market).state
    quote, base = engine.account(market.quote), engine.account(market.base)
    return reply(chance_in(state, market, quote=quote, base=base))


@routes.post("/v1/orders")
async def create_order(request: web.Request) -> web.Response:
    fields = body_fields(await signed_body(request))
    context = request.app[CONTEXT]
    return reply(order_body(context.engine.place(fields, context.clock.now())), status=201)


@routes.post("/v1/orders/test")
async def check_order(request: web.Request) -> web.Response:
    fields = body_fields(await signed_body(request))
    context = request.app[CONTEXT]
    return reply(order_body(context.engine.test(fields, context.clock.now())), status=201)


@routes.get("/v1/order")
async def get_order(request: web.Request) -> web.Response:
    params = await signed_params(request)
    request.app[CONTEXT].now()
    return reply(order_body(_found(request, params), trades=True))


@routes.delete("/v1/order")
async def cancel_order(request: web.Request) -> web.Response:
    params = await signed_params(request)
    context = request.app[CONTEXT]
    now = context.now()
    asked = context.engine.cancel(_found(request, params), now)
    # The cancellation is accepted, not done: the answer still says `wait`, as Upbit's does.
    return reply(order_body(asked))


@routes.get("/v1/orders/open")
async def open_orders(request: web.Request) -> web.Response:
    params = await signed_params(request)
    states = states_in(params, allowed={"wait", "watch"}, default={"wait"})
    orders = _listed(request, params, lambda order: order.state in states)
    limit = params.whole("limit", default=100, most=100)
    page = params.whole("page", default=1, most=10**6)
    return _list_response(orders[(page - 1) * limit : page * limit])


@routes.get("/v1/orders/closed")
async def closed_orders(request: web.Request) -> web.Response:
    params = await signed_params(request)
    states = states_in(params, allowed={"done", "cancel"}, default={"done", "cancel"})
    begin, end = window_in(params, request.app[CONTEXT].now())
    orders = _listed(
        request,
        params,
        lambda order: order.state in states and begin <= order.created_at <= end,
    )
    return _list_response(orders[: params.whole("limit", default=100, most=1000)])


@routes.get("/v1/orders/uuids")
async def orders_by_ids(request: web.Request) -> web.Response:
    params = await signed_params(request)
    name, wanted = ids_in(params, most=_MOST_BY_ID)
    orders = _listed(request, params, lambda order: _id_of(order, name) in wanted)
    return _list_response(orders)


@routes.delete("/v1/orders/uuids")
async def cancel_by_ids(request: web.Request) -> web.Response:
    params = await signed_params(request)
    name, wanted = ids_in(params, most=_MOST_CANCELLED)
    context = request.app[CONTEXT]
    now = context.now()
    outcome: dict[str, list[Body]] = {"success": [], "failed": []}
    for order in _listed(request, params, lambda order: _id_of(order, name) in wanted):
        try:
            context.engine.cancel(order, now)
        except RequestRefused:
            outcome["failed"].append(_reference(order))
        else:
            outcome["success"].append(_reference(order))
    return reply({key: {"count": len(orders), "orders": orders} for key, orders in outcome.items()})


def _found(request: web.Request, params: Params) -> SandboxOrder:
    return request.app[CONTEXT].engine.find(
        uuid=params.one("uuid"), identifier=params.one("identifier")
    )


def _listed(
    request: web.Request, params: Params, is_wanted: Callable[[SandboxOrder], bool]
) -> list[SandboxOrder]:
    context = request.app[CONTEXT]
    context.now()
    code = params.one("market")
    market = read_market(code, context.engine.prints.keys()) if code else None
    everything: Iterable[SandboxOrder] = context.engine.orders.values()
    if request.method == "GET":
        everything = context.list_lag.shown(everything)
    orders = [
        order for order in everything if is_wanted(order) and market in (None, order.request.market)
    ]
    return orders[::-1] if params.newest_first() else orders


def _list_response(orders: Sequence[SandboxOrder]) -> web.Response:
    return reply([order_body(order, funds=True) for order in orders])


def _id_of(order: SandboxOrder, name: str) -> str | None:
    return order.uuid if name == "uuid" else order.request.identifier


def _reference(order: SandboxOrder) -> Body:
    body: Body = {"uuid": order.uuid, "market": str(order.request.market)}
    if order.request.identifier is not None:
        body["identifier"] = order.request.identifier
    return body
