"""The table of routes and their handlers. docs/api.md has a line for each."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from service.ports.requests import Requests
from service.web.api import (
    admin,
    alerts,
    dashboard,
    deposits,
    health,
    manual_orders,
    market,
    metrics,
    portfolio,
    risk,
    signals,
    trading,
)
from service.web.api import settings as settings_api
from service.web.keys import BODY_WITHIN_S
from service.web.middleware import front
from service.web.overload.concurrency_limit import CONCURRENCY_LIMITS, ConcurrencyLimits
from service.web.overload.held_connections import HELD_CONNECTIONS, HeldConnections
from service.web.pages import page_routes
from service.web.protocol.etag import revalidated
from service.web.protocol.request_id import counted_ids
from service.web.protocol.security_headers import secure

_BODY_WITHIN_S: Final = 10.0
_API: Final = "/api/v1"

#: A fixed path stands before the path with a variable that would match it too.
ROUTES: Final = (
    web.get("/health", health.alive),
    web.get("/health/ready", health.ready),
    web.get("/health/detailed", health.detailed),
    web.get(f"{_API}/market", market.overview),
    web.get(f"{_API}/market/history", market.history),
    web.get(f"{_API}/market/candles", revalidated(market.candles)),
    web.get(f"{_API}/market/summary", market.summary),
    web.get(f"{_API}/market/latest", market.latest),
    web.get(f"{_API}/market/collector/stats", market.collector_stats),
    web.get(f"{_API}/dashboard/summary", dashboard.summary),
    web.get(signals.PATH, signals.signals),
    web.get(f"{signals.PATH}/latest", signals.latest),
    web.get(f"{signals.PATH}/{{id}}", signals.signal),
    web.post(f"{signals.PATH}/generate", signals.generate),
    web.get(f"{_API}/trading/orders", trading.orders),
    web.post(f"{_API}/trading/orders", manual_orders.place),
    web.get(f"{_API}/trading/orders/external", manual_orders.external),
    web.get(f"{_API}/trading/orders/{{id}}", trading.order),
    web.post(f"{_API}/trading/orders/sync", trading.sync),
    web.post(f"{_API}/trading/orders/{{id}}/cancel", manual_orders.cancel),
    web.post(f"{_API}/trading/orders/{{id}}/not-placed", manual_orders.not_placed),
    web.get(f"{_API}/trading/fills", trading.fills),
    web.get(f"{_API}/trading/position", trading.position),
    web.get(f"{_API}/trading/balance", trading.balance),
    web.get(f"{_API}/portfolio/summary", portfolio.summary),
    web.get(f"{_API}/portfolio/equity", portfolio.equity),
    web.get(f"{_API}/portfolio/daily", revalidated(portfolio.daily)),
    web.get(f"{_API}/portfolio/deposits", deposits.deposits),
    web.post(f"{_API}/portfolio/deposits", deposits.add_deposit),
    web.get(f"{_API}/portfolio/differences", deposits.differences),
    web.get(f"{_API}/risk/status", risk.status),
    web.get(f"{_API}/risk/events", risk.events),
    web.post(f"{_API}/risk/halt", risk.halt),
    web.post(f"{_API}/risk/resume", risk.resume),
    web.post(f"{_API}/risk/flatten", risk.flatten),
    web.get(f"{_API}/config", revalidated(settings_api.settings)),
    web.patch(f"{_API}/config", settings_api.change_many),
    web.post(f"{_API}/config/reset", settings_api.reset),
    web.get(f"{_API}/config/changes", settings_api.changes),
    web.get(f"{_API}/config/{{key}}", revalidated(settings_api.setting)),
    web.patch(f"{_API}/config/{{key}}", settings_api.change_one),
    web.get(alerts.PATH, alerts.alerts),
    web.get(f"{alerts.PATH}/{{id}}", alerts.alert),
    web.post(f"{alerts.PATH}/{{id}}/acknowledge", alerts.acknowledge),
    web.get(f"{_API}/admin/jobs", admin.jobs),
    web.post(f"{_API}/admin/jobs/{{name}}/run", admin.run_job),
    web.get(f"{_API}/admin/system", admin.system),
    web.get(f"{_API}/admin/audit", admin.audit),
    web.get(f"{_API}/metrics/pool", metrics.pool),
    web.get(f"{_API}/metrics/cache", metrics.cache),
    web.get(f"{_API}/metrics/jobs", metrics.jobs),
    web.get(f"{_API}/metrics/http", metrics.http),
    web.get(f"{_API}/metrics/ai", metrics.ai),
    web.get("/metrics", metrics.exposition),
)


def setup(
    app: web.Application,
    *,
    requests: Requests,
    new_id: Callable[[], str] | None = None,
) -> None:
    """Add the middleware, the headers and the routes.

    Args: requests: counts and times every request.  new_id: makes their ids.

    Make the application with `client_max_size=MAX_BODY` (request_body.py) and its runner with
    `access_log=None`: the middleware writes the line.
    """
    if BODY_WITHIN_S not in app:
        app[BODY_WITHIN_S] = _BODY_WITHIN_S
    if CONCURRENCY_LIMITS not in app:
        app[CONCURRENCY_LIMITS] = ConcurrencyLimits()
    app[HELD_CONNECTIONS] = HeldConnections()
    app.middlewares.append(front(new_id or counted_ids(), requests))
    app.on_response_prepare.append(secure)
    app.add_routes([*ROUTES, *page_routes()])
