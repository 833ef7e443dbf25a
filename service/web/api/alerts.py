"""The list of alerts: sent, waiting, failed or suppressed. An operator acknowledges one."""

from typing import Final

from aiohttp import web

from service.domain.errors import NotFound
from service.web.contract.log_bodies import AlertSeverity, AlertState
from service.web.keys import ACKNOWLEDGEMENTS, LISTS
from service.web.protocol.audit import audited
from service.web.protocol.auth import CALLER
from service.web.protocol.bodies import nothing_of
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query, row_id
from service.web.protocol.responses import raw_response

PATH: Final = "/api/v1/alerts"


async def alerts(request: web.Request) -> web.Response:
    query = Query(request)
    page = window(query)
    state, severity = query.choice("state", AlertState), query.choice("severity", AlertSeverity)
    return page_response(
        await request.app[LISTS].alerts(
            limit=page.limit, before=page.before, state=state, severity=severity
        )
    )


async def alert(request: web.Request) -> web.Response:
    Query(request)
    return await _shown(request, row_id(request, "alert"))


async def acknowledge(request: web.Request) -> web.Response:
    """Stop telling the alert again; its recovery is still told."""
    Query(request)
    await nothing_of(request, "the path names the alert")
    alert_id = row_id(request, "alert")
    await audited(request, action="alert.acknowledge", subject=str(alert_id))
    await request.app[ACKNOWLEDGEMENTS].acknowledge(alert_id, by=request[CALLER].name)
    return await _shown(request, alert_id)


async def _shown(request: web.Request, alert_id: int) -> web.Response:
    body = await request.app[LISTS].alert(alert_id)
    if body is None:
        raise NotFound(f"there is no alert {alert_id}")
    return raw_response(body)
