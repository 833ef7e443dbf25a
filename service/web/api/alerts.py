"""The list of alerts: sent, waiting, failed or suppressed."""

from enum import StrEnum

from aiohttp import web

from service.web.keys import LISTS
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query


class AlertState(StrEnum):
    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


async def alerts(request: web.Request) -> web.Response:
    query = Query(request, "limit", "cursor", "state", "severity")
    page = window(query)
    state, severity = query.choice("state", AlertState), query.choice("severity", Severity)
    return page_response(
        await request.app[LISTS].alerts(
            limit=page.limit, before=page.before, state=state, severity=severity
        )
    )
