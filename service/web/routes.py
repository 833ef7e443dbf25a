"""The table of routes, joined, and what is made of it: the router, validation, rights.

docs/api.md and the OpenAPI document are written from the same rows (contract/openapi.py).
"""

from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from service.ports.requests import Requests
from service.web.contract.route import TABLE, RouteRow
from service.web.keys import BODY_WITHIN_S
from service.web.middleware import front
from service.web.overload.concurrency_limit import CONCURRENCY_LIMITS, ConcurrencyLimits
from service.web.overload.held_connections import HELD_CONNECTIONS, HeldConnections
from service.web.pages import page_rows
from service.web.protocol.etag import revalidated
from service.web.protocol.request_id import counted_ids
from service.web.protocol.security_headers import secure
from service.web.refusals import REFUSALS, Refusals
from service.web.table import (
    health,
    market,
    operation,
    portfolio,
    risk,
    settings,
    signals,
    trading,
)

_BODY_WITHIN_S: Final = 10.0

#: A fixed path stands before the path with a variable that would match it too.
ROUTES: Final = (
    *health.ROUTES,
    *market.ROUTES,
    *signals.ROUTES,
    *trading.ROUTES,
    *portfolio.ROUTES,
    *risk.ROUTES,
    *settings.ROUTES,
    *operation.ROUTES,
)


def table() -> dict[Handler, RouteRow]:
    """Return every row by the function that answers for it."""
    rows = {_answering(row): row for row in ROUTES}
    return rows | {row.handler: row for row in page_rows()}


def setup(
    app: web.Application,
    *,
    requests: Requests,
    new_id: Callable[[], str] | None = None,
) -> None:
    """Add the middleware, the headers and the routes.

    Args: requests: counts and times every request.  new_id: makes their ids.

    Make the application with `client_max_size=MAX_BODY` (request_body.py) and an `ApiRunner`.
    """
    new_id = new_id or counted_ids()
    if BODY_WITHIN_S not in app:
        app[BODY_WITHIN_S] = _BODY_WITHIN_S
    if CONCURRENCY_LIMITS not in app:
        app[CONCURRENCY_LIMITS] = ConcurrencyLimits()
    app[HELD_CONNECTIONS] = HeldConnections()
    app[TABLE] = table()
    app[REFUSALS] = Refusals(new_id, requests)
    app.middlewares.append(front(new_id, requests))
    app.on_response_prepare.append(secure)
    for handler, row in app[TABLE].items():
        app.router.add_route(row.method, row.path, handler)
        if row.method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, row.path, handler)


def _answering(row: RouteRow) -> Handler:
    return revalidated(row.handler) if row.is_revalidated else row.handler
