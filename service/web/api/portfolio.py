"""Results of trading: summary, equity curve and days."""

from datetime import timedelta
from typing import Final

from aiohttp import web

from service.domain.errors import InvalidRequest
from service.web.keys import CLOCK, CONFIG, PORTFOLIO
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query
from service.web.protocol.responses import raw_response

_PERIODS: Final = (1, 7, 30)  #: Korean days, always shown
_MAX_DAYS: Final = 366
_DAY: Final = timedelta(days=1)


async def summary(request: web.Request) -> web.Response:
    """The newest snapshot, and the results of 1, 7, 30 and the requested number of days."""
    query = Query(request)
    days = query.whole_number("days")
    body = await request.app[PORTFOLIO].summary(
        quote=_quote(request, query),
        now=request.app[CLOCK].now(),
        days=sorted({*_PERIODS, days}),
    )
    return raw_response(body)


async def equity(request: web.Request) -> web.Response:
    """The equity curve of the last day, or of the requested window."""
    query = Query(request)
    points = query.whole_number("points")
    until = query.instant("to") or request.app[CLOCK].now()
    since = query.instant("from") or until - _DAY
    if not timedelta() < until - since <= _MAX_DAYS * _DAY:
        raise InvalidRequest(f"from is before to, by at most {_MAX_DAYS} days")
    quote = _quote(request, query)
    body = await request.app[PORTFOLIO].equity(quote=quote, since=since, until=until, points=points)
    return raw_response(body)


async def daily(request: web.Request) -> web.Response:
    """The account's days, or those on which one market traded."""
    query = Query(request)
    page, market = window(query), query.market()
    portfolio = request.app[PORTFOLIO]
    if market is None:
        quote, now = _quote(request, query), request.app[CLOCK].now()
        found = await portfolio.days(quote=quote, now=now, limit=page.limit, before=page.before)
    elif query.text("quote") is not None:
        raise InvalidRequest("market has a quote: give one of the two")
    else:
        found = await portfolio.market_days(market=market, limit=page.limit, before=page.before)
    return page_response(found)


def _quote(request: web.Request, query: Query) -> str:
    """Return the currency asked for, or the first market's. Raises: InvalidRequest."""
    known = list(dict.fromkeys(market.quote for market in request.app[CONFIG].markets))
    asked = query.text("quote")
    if asked is None:
        return known[0]
    if asked not in known:
        raise InvalidRequest(f"quote is one of {', '.join(known)}")
    return asked
