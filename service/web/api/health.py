"""Liveness, readiness and component health, answered from a snapshot without I/O."""

from http import HTTPStatus
from typing import Final, Literal

from aiohttp import hdrs, web
from multidict import CIMultiDict, istr
from typing_extensions import TypedDict

from service.ports.health import HealthBody
from service.web.keys import HEALTH
from service.web.protocol.auth import CALLER
from service.web.protocol.responses import JSON_TYPE, json_response
from service.web.protocol.security_headers import SECURITY

_ALIVE: Final = b'{"status":"alive"}'
#: All headers, with istr keys as aiohttp uses them: copying is most of this answer's cost.
_ALIVE_HEADERS: Final = CIMultiDict({istr(hdrs.CONTENT_TYPE): JSON_TYPE} | SECURITY)
_ASK_AGAIN: Final[dict[str, str]] = {hdrs.RETRY_AFTER: "5"}


class AliveBody(TypedDict):
    status: Literal["alive"]


class ReadyBody(TypedDict):
    status: Literal["ready", "not_ready"]


class StatusesBody(TypedDict):
    """The health body for callers without rights."""

    status: str
    components: dict[str, "StatusBody"]


class StatusBody(TypedDict):
    status: str


AnyHealthBody = HealthBody | StatusesBody


async def alive(_request: web.Request) -> web.Response:
    """Answer that the process is alive; nothing is checked."""
    return web.Response(body=_ALIVE, headers=_ALIVE_HEADERS)


async def ready(request: web.Request) -> web.Response:
    if request.app[HEALTH].is_ready():
        return json_response(ReadyBody(status="ready"))
    return json_response(
        ReadyBody(status="not_ready"), status=HTTPStatus.SERVICE_UNAVAILABLE, headers=_ASK_AGAIN
    )


async def detailed(request: web.Request) -> web.Response:
    """Answer 503 only for `unhealthy`: an outage of Upbit or Gemini must not cause a restart."""
    health = request.app[HEALTH].body()
    body = health if request[CALLER].sees_details else _statuses(health)
    if health["status"] == "unhealthy":
        return json_response(body, status=HTTPStatus.SERVICE_UNAVAILABLE, headers=_ASK_AGAIN)
    return json_response(body)


def _statuses(health: HealthBody) -> StatusesBody:
    parts = {name: StatusBody(status=part["status"]) for name, part in health["components"].items()}
    return StatusesBody(status=health["status"], components=parts)
