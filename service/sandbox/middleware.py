"""Middleware of every request: faults, then rate limits, then errors in the vendor's format."""

from aiohttp import web
from aiohttp.typedefs import Handler

from service.sandbox import control
from service.sandbox.answer_edits import edited
from service.sandbox.clock import real_pause
from service.sandbox.errors import RequestRefused, quotation_error
from service.sandbox.faults import Fault
from service.sandbox.gemini_api import handlers as model
from service.sandbox.rate_limits import group_of, is_quotation
from service.sandbox.reply import reply
from service.sandbox.upbit_api.context import CONTEXT, RequestContext

_REMAINING = web.RequestKey("remaining", str)


@web.middleware
async def local_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path.startswith(control.PREFIX):
        control.check_local(request)
    return await handler(request)


@web.middleware
async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Apply the fault plan to the request."""
    context = request.app[CONTEXT]
    if request.path.startswith(control.PREFIX):
        return await handler(request)
    await context.arrivals.note(request)
    fault = context.faults.due(request.method, request.path)
    if fault is None:
        return await handler(request)
    if fault.phase == "before":
        await _delayed(context, fault)
    if fault.drop_before:
        return _dropped(request)
    if fault.model is not None:
        request[model.FAULT] = fault.model
    response = await _answered(request, handler, fault)
    if isinstance(response, web.WebSocketResponse):
        return response  # it has been sent and has ended
    return await _spoiled(request, response, context, fault)


async def _spoiled(
    request: web.Request, response: web.StreamResponse, context: RequestContext, fault: Fault
) -> web.StreamResponse:
    """Delay, break off or stretch the answer of a request that was executed."""
    if fault.phase == "after":
        await _delayed(context, fault)
    if fault.drop_after:
        return _dropped(request)
    if fault.drip_s:
        return await _dripped(request, response, context, fault.drip_s)
    return await _half(request, response) if fault.truncate else response


async def _answered(request: web.Request, handler: Handler, fault: Fault) -> web.StreamResponse:
    if fault.status is not None:
        if fault.executes:
            await handler(request)
        return await _echo(request, fault) if fault.echo else _scripted(fault)
    response = await handler(request)
    response.headers.update(fault.headers)
    if isinstance(response, web.Response) and (fault.merge or fault.trades):
        response.body = edited(_body_of(response), merge=fault.merge, trades=fault.trades)
    return response


@web.middleware
async def upbit_wire(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request and answer refusals in Upbit's format."""
    if not _is_upbit(request):
        return await handler(request)
    limiter = request.app[CONTEXT].limiter
    group = group_of(request.method, request.path, has_origin="Origin" in request.headers)
    left = limiter.count(group)
    # Upbit's `min` is constant: 600 on quotations in live captures, 1800 elsewhere.
    minutely = 600 if is_quotation(group) else 1800
    request[_REMAINING] = f"group={group}; min={minutely}; sec={left}"
    try:
        limiter.check(group)
        return await handler(request)
    except RequestRefused as exc:
        return reply(exc.body, status=exc.status)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as exc:
        return reply(quotation_error(exc.status, "no such endpoint").body, status=exc.status)


async def add_remaining(request: web.Request, response: web.StreamResponse) -> None:
    """Add the `Remaining-Req` header to every answer; pyupbit fails without it."""
    if (remaining := request.get(_REMAINING)) is not None:
        response.headers.setdefault("Remaining-Req", remaining)  # a fault may have set it
        if "min=600;" in remaining:
            response.headers["Limit-By-Ip"] = "Yes"


def _is_upbit(request: web.Request) -> bool:
    if request.path.startswith("/websocket/"):
        return True
    return request.path.startswith("/v1/") and not request.path.startswith("/v1/models")


async def _delayed(context: RequestContext, fault: Fault) -> None:
    # Ends when the sandbox stops, so that a long delay does not delay the shutdown.
    await real_pause(fault.delay_s, wake=context.stopping)


def _scripted(fault: Fault) -> web.Response:
    kind = "application/json" if fault.payload[:1] in (b"{", b"[") else "text/plain"
    headers = {"Content-Type": kind, **fault.headers}
    return web.Response(status=fault.status or 200, headers=headers, body=fault.payload)


async def _echo(request: web.Request, fault: Fault) -> web.Response:
    """Answer like a careless proxy's error page, with the whole request."""
    lines = [f"{request.method} {request.path_qs}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    body = "\n".join(lines).encode() + b"\n\n" + await request.read()
    return web.Response(status=fault.status or 200, headers=fault.headers, body=body)


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _body_of(response: web.StreamResponse) -> bytes:
    whole = response.body if isinstance(response, web.Response) else None
    return bytes(whole) if isinstance(whole, bytes | bytearray) else b""


async def _dripped(
    request: web.Request, response: web.StreamResponse, context: RequestContext, drip_s: float
) -> web.StreamResponse:
    """Send the answer byte by byte: no single read is late, but the whole takes very long."""
    body = _body_of(response)
    slow = web.StreamResponse(status=response.status, headers=response.headers)
    slow.content_length = len(body)
    await slow.prepare(request)
    for position in range(len(body)):
        if request.transport is None or context.stopping.is_set():
            break
        await slow.write(body[position : position + 1])
        await real_pause(drip_s, wake=context.stopping)
    return slow


async def _half(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    body = _body_of(response)
    cut = web.StreamResponse(status=response.status, headers=response.headers)
    cut.content_length = max(1, len(body))
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut
