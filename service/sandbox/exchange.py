"""Upbit's Exchange API: signed, decimals as strings, errors named by words."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from service.sandbox.auth import body_fields
from service.sandbox.desk import DESK
from service.sandbox.errors import Refused, refused
from service.sandbox.orders import Order
from service.sandbox.reply import reply
from service.sandbox.ticket import read_market
from service.sandbox.wire import Body, account_body, chance_body, order_body

_WINDOW: Final = timedelta(days=7)
_MOST_BY_ID: Final = 100
_MOST_CANCELLED: Final = 20

routes = web.RouteTableDef()


class Params:
    """The request's parameters, from the query or, as pyupbit sends them, from the body."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = list(pairs)

    def one(self, name: str) -> str | None:
        return next((value for key, value in self._pairs if key == name and value), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key in (name, f"{name}[]")]

    def whole(self, name: str, *, default: int, most: int) -> int:
        text = self.one(name) or str(default)
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise refused("invalid_parameter", about=name)
        return int(text)

    def newest_first(self) -> bool:
        order = self.one("order_by") or "desc"
        if order not in ("desc", "asc"):
            raise refused("invalid_parameter", about="order_by")
        return order == "desc"


async def _signed(request: web.Request) -> str:
    """Return the body of a request whose signature is right."""
    body = (await request.read()).decode("utf-8", "replace")
    request.app[DESK].guard.check(
        request.headers.get("Authorization"), query=request.rel_url.raw_query_string, body=body
    )
    return body


async def _params(request: web.Request) -> Params:
    body = (await _signed(request)).strip()
    query = request.rel_url.raw_query_string
    if not query and body.startswith("{"):
        return Params((name, value or "") for name, value in body_fields(body).items())
    return Params(parse_qsl(query or body, keep_blank_values=True))


@routes.get("/v1/accounts")
async def accounts(request: web.Request) -> web.Response:
    await _signed(request)
    desk = request.app[DESK]
    desk.now()
    return reply([account_body(account) for account in desk.engine.accounts()])


@routes.get("/v1/orders/chance")
async def chance(request: web.Request) -> web.Response:
    params, engine = await _params(request), request.app[DESK].engine
    request.app[DESK].now()
    market = read_market(params.one("market"), engine.tapes.keys())
    body = chance_body(market, quote=engine.account(market.quote), base=engine.account(market.base))
    return reply(body)


@routes.post("/v1/orders")
async def create_order(request: web.Request) -> web.Response:
    fields = body_fields(await _signed(request))
    desk = request.app[DESK]
    return reply(order_body(desk.engine.place(fields, desk.clock.now())), status=201)


@routes.post("/v1/orders/test")
async def check_order(request: web.Request) -> web.Response:
    fields = body_fields(await _signed(request))
    desk = request.app[DESK]
    return reply(order_body(desk.engine.test(fields, desk.clock.now())), status=201)


@routes.get("/v1/order")
async def get_order(request: web.Request) -> web.Response:
    params = await _params(request)
    request.app[DESK].now()
    return reply(order_body(_found(request, params), trades=True))


@routes.delete("/v1/order")
async def cancel_order(request: web.Request) -> web.Response:
    params = await _params(request)
    desk = request.app[DESK]
    now = desk.now()
    asked = desk.engine.cancel(_found(request, params), now)
    # Accepted is not done: the answer still says wait, as Upbit's does.
    return reply(order_body(asked, funds=True))


@routes.get("/v1/orders/open")
async def open_orders(request: web.Request) -> web.Response:
    params = await _params(request)
    states = _states(params, allowed={"wait", "watch"}, default={"wait"})
    orders = _listed(request, params, lambda order: order.state in states)
    limit = params.whole("limit", default=100, most=100)
    page = params.whole("page", default=1, most=10**6)
    return _list_response(orders[(page - 1) * limit : page * limit])


@routes.get("/v1/orders/closed")
async def closed_orders(request: web.Request) -> web.Response:
    params = await _params(request)
    states = _states(params, allowed={"done", "cancel"}, default={"done", "cancel"})
    begin, end = _window(params, request.app[DESK].now())
    orders = _listed(
        request,
        params,
        lambda order: order.state in states and begin <= order.created_at <= end,
    )
    return _list_response(orders[: params.whole("limit", default=100, most=1000)])


@routes.get("/v1/orders/uuids")
async def orders_by_ids(request: web.Request) -> web.Response:
    params = await _params(request)
    name, wanted = _ids(params, most=_MOST_BY_ID)
    orders = _listed(request, params, lambda order: _id_of(order, name) in wanted)
    return _list_response(orders)


@routes.delete("/v1/orders/uuids")
async def cancel_by_ids(request: web.Request) -> web.Response:
    params = await _params(request)
    name, wanted = _ids(params, most=_MOST_CANCELLED)
    desk = request.app[DESK]
    now = desk.now()
    outcome: dict[str, list[Body]] = {"success": [], "failed": []}
    for order in _listed(request, params, lambda order: _id_of(order, name) in wanted):
        try:
            desk.engine.cancel(order, now)
        except Refused:
            outcome["failed"].append(_reference(order))
        else:
            outcome["success"].append(_reference(order))
    return reply({key: {"count": len(orders), "orders": orders} for key, orders in outcome.items()})


def _found(request: web.Request, params: Params) -> Order:
    return request.app[DESK].engine.find(
        uuid=params.one("uuid"), identifier=params.one("identifier")
    )


def _listed(
    request: web.Request, params: Params, is_wanted: Callable[[Order], bool]
) -> list[Order]:
    desk = request.app[DESK]
    desk.now()
    code = params.one("market")
    market = read_market(code, desk.engine.tapes.keys()) if code else None
    orders = [
        order
        for order in desk.engine.orders.values()
        if is_wanted(order) and market in (None, order.ticket.market)
    ]
    return orders[::-1] if params.newest_first() else orders


def _list_response(orders: Sequence[Order]) -> web.Response:
    return reply([order_body(order, funds=True) for order in orders])


def _states(params: Params, *, allowed: set[str], default: set[str]) -> set[str]:
    one, many = params.one("state"), params.all("states")
    if one and many:
        raise refused("invalid_parameter", about="state, states[]")
    states = {one} if one else set(many) or default
    if not states <= allowed:
        raise refused("invalid_parameter", about="state")
    return states


def _window(params: Params, now: datetime) -> tuple[datetime, datetime]:
    begin, end = (_instant(params.one(name), name) for name in ("start_time", "end_time"))
    if begin is None:
        end = end or now
        return end - _WINDOW, end
    end = end or begin + _WINDOW
    if not timedelta() <= end - begin <= _WINDOW:
        raise refused("invalid_parameter", about="start_time, end_time")
    return begin, end


def _instant(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        instant = datetime.fromisoformat(text.replace(" ", "+"))
    except (ValueError, OverflowError, OSError) as exc:
        raise refused("invalid_parameter", about=name) from exc
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _ids(params: Params, *, most: int) -> tuple[str, set[str]]:
    uuids, identifiers = set(params.all("uuids")), set(params.all("identifiers"))
    if bool(uuids) == bool(identifiers) or len(uuids | identifiers) > most:
        raise refused("invalid_parameter", about="uuids[], identifiers[]")
    return ("uuid", uuids) if uuids else ("identifier", identifiers)


def _id_of(order: Order, name: str) -> str | None:
    return order.uuid if name == "uuid" else order.ticket.identifier


def _reference(order: Order) -> Body:
    body: Body = {"uuid": order.uuid, "market": str(order.ticket.market)}
    if order.ticket.identifier is not None:
        body["identifier"] = order.ticket.identifier
    return body
