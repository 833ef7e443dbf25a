"""Orders, fills, positions and balances; looking orders up at the exchange."""

from aiohttp import web
from typing_extensions import TypedDict

from service.domain.decimals import decimal_text
from service.domain.errors import NotFound
from service.domain.markets import Balance
from service.domain.orders import OrderStatus
from service.web.api.positions import PositionBody, position_bodies, positions_of
from service.web.contract.scalars import DecimalText
from service.web.keys import BALANCES, CLOCK, LISTS, RECONCILE
from service.web.protocol.audit import audited
from service.web.protocol.bodies import nothing_of
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query, row_id
from service.web.protocol.responses import json_response, list_response, raw_response


class BalanceBody(TypedDict):
    currency: str
    available: DecimalText
    locked: DecimalText  #: in open orders
    total: DecimalText


class BalancesBody(TypedDict):
    items: list[BalanceBody]
    next_cursor: None
    age_seconds: float  #: real seconds since the exchange was asked


class PositionsBody(TypedDict):
    items: list[PositionBody]
    next_cursor: None


class SyncBody(TypedDict):
    reconciled: int  #: orders that were looked up and settled or moved


async def orders(request: web.Request) -> web.Response:
    query = Query(request)
    page, status = window(query), query.choice("status", OrderStatus)
    return page_response(
        await request.app[LISTS].orders(
            limit=page.limit,
            before=page.before,
            market=query.market(),
            status=status,
            now=request.app[CLOCK].now(),
        )
    )


async def order(request: web.Request) -> web.Response:
    Query(request)
    order_id = row_id(request, "order")
    body = await request.app[LISTS].order(order_id, now=request.app[CLOCK].now())
    if body is None:
        raise NotFound(f"there is no order {order_id}")
    return raw_response(body)


async def fills(request: web.Request) -> web.Response:
    query = Query(request)
    page, market = window(query), query.market()
    return page_response(
        await request.app[LISTS].fills(limit=page.limit, before=page.before, market=market)
    )


async def position(request: web.Request) -> web.Response:
    """Positions at the newest prices, of every market or of the requested one."""
    market = Query(request).market()
    positions = [p for p in await positions_of(request.app) if market in {None, p.market}]
    tickers = await request.app[LISTS].market_latest([p.market for p in positions])
    return list_response(position_bodies(request.app, positions, tickers))


async def balance(request: web.Request) -> web.Response:
    """The exchange's balances, one answer for all who ask within two seconds, with its age.

    None are stored, so an outage gives a 503, not an old number.
    """
    Query(request)
    balances, age_s = await request.app[BALANCES]()
    return json_response(
        BalancesBody(
            items=[_balance_body(balances[name]) for name in sorted(balances)],
            next_cursor=None,
            age_seconds=round(age_s, 3),
        )
    )


async def sync(request: web.Request) -> web.Response:
    """Look up the open orders now, as the job does later; settled orders do not change."""
    Query(request)
    await nothing_of(request, "all open orders are looked up")
    await audited(request, action="order.sync", subject="all")
    return json_response(SyncBody(reconciled=await request.app[RECONCILE]()))


def _balance_body(balance: Balance) -> BalanceBody:
    return BalanceBody(
        currency=balance.currency,
        available=decimal_text(balance.available),
        locked=decimal_text(balance.locked),
        total=decimal_text(balance.total),
    )
