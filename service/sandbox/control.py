"""Control of the sandbox by a test or an operator, from its own machine only."""

import ipaddress
import json
from decimal import Decimal, InvalidOperation
from typing import Final

from aiohttp import web

from service.domain.decimals import decimal_text
from service.domain.errors import InvalidRequest
from service.sandbox.clock import DiscreteMarketClock, SandboxClock
from service.sandbox.errors import RequestRefused
from service.sandbox.reply import Body, reply
from service.sandbox.upbit_api.bodies import account_body, order_body, trade_body
from service.sandbox.upbit_api.context import CONTEXT

PREFIX: Final = "/__sandbox__/"
_MOST_SECONDS: Final = 366 * 86_400

routes = web.RouteTableDef()


def check_local(request: web.Request) -> None:
    """Raise 403 for another machine and for a web page: a control request can break the market."""
    remote = request.remote or "0.0.0.0"  # noqa: S104  # stands for "unknown", nothing is bound
    if not ipaddress.ip_address(remote).is_loopback or "Origin" in request.headers:
        raise web.HTTPForbidden(text="the sandbox is controlled from its own machine only\n")


@routes.get("/__sandbox__/clock")
async def clock(request: web.Request) -> web.Response:
    return _clock_response(request.app[CONTEXT].clock)


@routes.post("/__sandbox__/clock")
async def advance(request: web.Request) -> web.Response:
    """Advance the market's time by `advance_s`, at speed 0, for a client in another process."""
    context = request.app[CONTEXT]
    if not isinstance(context.clock, DiscreteMarketClock):
        raise _bad_request("the clock runs by itself; start the sandbox with speed 0 to move it")
    try:
        seconds = float(json.loads(await request.read())["advance_s"])
    except (ValueError, TypeError, KeyError) as exc:
        raise _bad_request('send {"advance_s": seconds}') from exc
    if not 0 <= seconds <= _MOST_SECONDS:
        raise _bad_request(f"advance_s: 0 to {_MOST_SECONDS}")
    context.clock.advance(seconds)
    context.now()
    return _clock_response(context.clock)


@routes.get("/__sandbox__/faults")
async def faults(request: web.Request) -> web.Response:
    return reply(request.app[CONTEXT].faults.plan())


@routes.post("/__sandbox__/faults")
async def add_faults(request: web.Request) -> web.Response:
    try:
        added = request.app[CONTEXT].faults.add_json(await request.read())
    except InvalidRequest as exc:
        raise _bad_request(str(exc)) from exc
    return reply({"added": added}, status=201)


@routes.delete("/__sandbox__/faults")
async def clear_faults(request: web.Request) -> web.Response:
    request.app[CONTEXT].faults.clear()
    return web.Response(status=204)


@routes.get("/__sandbox__/arrivals")
async def arrivals(request: web.Request) -> web.Response:
    """Answer when each order and each cancel arrived, by the machine's monotonic seconds."""
    return reply(request.app[CONTEXT].arrivals.seen())


@routes.post("/__sandbox__/fills")
async def fill(request: web.Request) -> web.Response:
    """Fill a part of an order on the book at its own price: `{"identifier", "volume"}`."""
    context = request.app[CONTEXT]
    try:
        wanted = json.loads(await request.read())
        identifier, volume = str(wanted["identifier"]), Decimal(wanted["volume"])
    except (ValueError, TypeError, KeyError, InvalidOperation) as exc:
        raise _bad_request('send {"identifier": "…", "volume": "0.001"}') from exc
    try:
        order = context.engine.find(identifier=identifier)
        context.engine.fill(order, volume, context.now())
    except (RequestRefused, ValueError) as exc:
        raise _bad_request(str(exc)) from exc
    return reply(order_body(order, trades=True))


@routes.get("/__sandbox__/lag")
async def lag(request: web.Request) -> web.Response:
    return reply({"lists_s": request.app[CONTEXT].list_lag.seconds})


@routes.post("/__sandbox__/lag")
async def set_lag(request: web.Request) -> web.Response:
    """Let the lists of orders show the account as it was `lists_s` market seconds ago."""
    context = request.app[CONTEXT]
    try:
        seconds = float(json.loads(await request.read())["lists_s"])
    except (ValueError, TypeError, KeyError) as exc:
        raise _bad_request('send {"lists_s": market seconds}') from exc
    if not 0 <= seconds <= _MOST_SECONDS:
        raise _bad_request(f"lists_s: 0 to {_MOST_SECONDS}")
    context.now()
    context.list_lag.set(seconds, context.engine.orders.values())
    return reply({"lists_s": seconds})


@routes.get("/__sandbox__/ledger")
async def ledger(request: web.Request) -> web.Response:
    """Answer everything that the balances follow from, as exact strings, oldest first."""
    context = request.app[CONTEXT]
    now = context.now()
    engine = context.engine
    trades: list[Body] = [
        trade_body(trade) | {"order": trade.order, "fee": decimal_text(trade.fee)}
        for order in engine.orders.values()
        for trade in order.trades
    ]
    body: Body = {
        "now": now.isoformat(),
        "opening": {currency: decimal_text(amount) for currency, amount in engine.opening.items()},
        "accounts": [account_body(account) for account in engine.accounts()],
        "orders": [order_body(order, funds=True) for order in engine.orders.values()],
        "trades": trades,
    }
    return reply(body)


def _clock_response(clock: SandboxClock) -> web.Response:
    now = clock.now().isoformat(timespec="microseconds")
    return reply({"now": now, "speed": str(clock.speed)})


def _bad_request(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=message + "\n")
