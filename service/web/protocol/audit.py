"""Records every request for a change in the audit log, with the caller's name."""

from collections.abc import Mapping

from aiohttp import web

from service.ports.store import JSON
from service.web.keys import AUDIT, CLOCK
from service.web.protocol.auth import CALLER
from service.web.protocol.request_id import REQUEST_ID


async def audited(
    request: web.Request, *, action: str, subject: str, detail: Mapping[str, JSON] | None = None
) -> None:
    """Record that the caller requests `action`, before it is done."""
    await request.app[AUDIT].add(
        actor=request[CALLER].name,
        action=action,
        subject=subject,
        detail=detail or {},
        request_id=request[REQUEST_ID],
        at=request.app[CLOCK].now(),
    )
