"""The one middleware: request id, authorisation, concurrency limit, problem details, log line.

It is one function on purpose: each middleware costs a tenth of a request. `/health` is answered in
its first branch.
"""

import itertools
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from loguru import logger

from service.domain.errors import ServiceError
from service.ports.requests import REQUEST, Requests
from service.web.api.health import alive
from service.web.contract.route import TABLE
from service.web.keys import CONFIG, REAL_CLOCK
from service.web.overload.backpressure import pause_reading
from service.web.overload.concurrency_limit import CONCURRENCY_LIMITS
from service.web.overload.held_connections import HELD_CONNECTIONS
from service.web.protocol.auth import CALLER, LOCKOUT, admit
from service.web.protocol.errors import (
    BodyTooLarge,
    BodyTooSlow,
    Overloaded,
    TooManyTries,
    WrongToken,
)
from service.web.protocol.problems import internal_problem, problem_of, problem_of_http
from service.web.protocol.request_id import HEADER, REQUEST_ID, id_of
from service.web.refusals import UNMATCHED

_ERROR = web.RequestKey("error", str)
_ALIVE: Final = "/health"
_PROBES: Final = frozenset({"/health", "/health/ready", "/health/detailed"})
_ONE_PROBE_IN: Final = 100  #: one in so many 200 answers to health checks is logged
_UNFINISHED: Final = (BodyTooLarge, BodyTooSlow)  #: the body is not read to its end
_PAUSE_S: Final = 1.0  #: how long a refused connection is not read, at least


def front(new_id: Callable[[], str], requests: Requests) -> Middleware:
    """Return the middleware.

    Args:
        new_id: makes an id for a request without a usable one.
        requests: counts and times every request.
    """
    probes = itertools.count()

    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        began, method = requests.began(), request.method
        request_id = id_of(request, new_id)
        # With a single middleware, `handler` is the route's own function.
        if handler is alive:
            quick = await alive(request)
            quick.headers[HEADER] = request_id
            requests.answered(began, route=_ALIVE, method=method, status=200)
            return quick
        request[REQUEST_ID] = request_id
        token = REQUEST.set(request_id)
        try:
            response = await _answered(request, handler, request_id)
        finally:
            REQUEST.reset(token)
        response.headers[HEADER] = request_id
        # The route's template, never the path: ids and free text must not become labels.
        route, status = _route(request), response.status
        seconds = requests.answered(began, route=route, method=method, status=status)
        is_probe = status == HTTPStatus.OK and request.path in _PROBES
        if not is_probe or next(probes) % _ONE_PROBE_IN == 0:
            logger.bind(
                event="http",
                method=method,
                route=route,
                status=status,
                duration_ms=round(seconds * 1000, 3),
                bytes=response.content_length,
                request_id=request_id,
                error=request.get(_ERROR),
            ).log("ERROR" if status == HTTPStatus.INTERNAL_SERVER_ERROR else "INFO", "request")
        return response

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        held = request.app[HELD_CONNECTIONS]
        held.request_began(request.protocol)
        try:
            return await answered(request, handler)
        finally:
            held.request_ended(request.protocol)

    return answer


async def _answered(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    app = request.app
    try:
        request[CALLER] = admit(request, app[CONFIG], app[LOCKOUT])
        route = app[TABLE].get(handler)
        # Only an admin gets to an off switch, and one that waits for its turn is none.
        if route is not None and not route.is_queued:
            return await handler(request)
        async with app[CONCURRENCY_LIMITS].limit_of(request):
            return await handler(request)
    except web.HTTPException as exc:
        if exc.status < HTTPStatus.BAD_REQUEST:
            raise
        return problem_of_http(exc, request_id)
    except ServiceError as exc:
        request[_ERROR] = type(exc).__name__
        if isinstance(exc, WrongToken):
            await app[REAL_CLOCK].sleep_real(exc.hold_s)
        if isinstance(exc, Overloaded | TooManyTries):
            pause_reading(request, seconds=_PAUSE_S)
        response = problem_of(exc, request_id)
        if response is None:
            return _bug(request, exc, request_id)
        if isinstance(exc, _UNFINISHED) or request.content.exception() is not None:
            response.force_close()  # the rest of the body may be anything
        return response
    except Exception as exc:  # noqa: BLE001 - a bug in one handler must not stop the others
        return _bug(request, exc, request_id)


def _bug(request: web.Request, exc: Exception, request_id: str) -> web.Response:
    request[_ERROR] = type(exc).__name__
    # Not event "http": that is the one line of each request.
    logger.bind(event="app", route=_route(request)).opt(exception=exc).error("a handler failed")
    return internal_problem(request_id)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNMATCHED
