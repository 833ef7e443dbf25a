"""The sandbox's server: Upbit's and Gemini's APIs on one loopback port."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aiohttp import web
from loguru import logger

from service.domain.errors import StartError
from service.sandbox import control, market_control, middleware, price_control
from service.sandbox.clock import SandboxClock
from service.sandbox.exchange.engine import Engine
from service.sandbox.exchange.list_lag import ListLag
from service.sandbox.exchange.startup import Opened, open_exchange
from service.sandbox.faults import Faults
from service.sandbox.gemini_api import handlers as gemini
from service.sandbox.market.prints import instant_of, step_at
from service.sandbox.options import SandboxOptions
from service.sandbox.rate_limits import RequestCounter
from service.sandbox.stream import control as stream_control
from service.sandbox.stream import handlers as stream
from service.sandbox.stream.feed import Feed
from service.sandbox.stream.market_frames import MarketFrames
from service.sandbox.upbit_api import private, public
from service.sandbox.upbit_api.auth import Guard
from service.sandbox.upbit_api.context import CONTEXT, RequestContext
from service.sandbox.upbit_api.quotes import Quotes

__all__ = ["Sandbox", "SandboxOptions", "open_sandbox", "ready_line"]
_PULSE_S: Final = 0.25  #: real seconds between two matchings of the resting orders
_SHORTEST_PULSE_S: Final = 0.01
_STREAMED_PULSE_S: Final = 0.05  #: at speed 0, while a WebSocket reads the market
_SHUTDOWN_S: Final = 1.0
_GEMINI_KEY: Final = "sandbox"  #: the stub model accepts any key that is not empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A running sandbox."""

    clock: SandboxClock
    upbit_url: str  #: without /v1
    upbit_ws_url: str
    gemini_url: str  #: without the version
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    gemini_key: str = field(repr=False)
    faults: Faults
    engine: Engine = field(repr=False)


def ready_line(sandbox: Sandbox) -> str:
    """Return one JSON line with the addresses and keys, for a parent process."""
    return json.dumps(
        {
            "event": "sandbox",
            "upbit_rest": sandbox.upbit_url,
            "upbit_ws": sandbox.upbit_ws_url,
            "gemini": sandbox.gemini_url,
            "access_key": sandbox.access_key,
            "secret_key": sandbox.secret_key,
        }
    )


@asynccontextmanager
async def open_sandbox(options: SandboxOptions) -> AsyncIterator[Sandbox]:
    """Serve Upbit's and Gemini's APIs until the block is left.

    Raises: ConfigError for a bad option, candle file or state; StartError for a busy port.
    """
    # The files are read before the server listens; a large candle file takes a second.
    async with open_exchange(options) as opened:
        context = _context(options, opened)
        context.now()
        feed = Feed(
            MarketFrames(context.engine, context.quotes, context.notes),
            now=context.clock.now,
            matched_now=context.now,
        )
        context.engine.observers += [context.list_lag, feed]
        async with _served(context, feed, options) as port:
            pulse = _Pulse(context, feed)
            try:
                yield _sandbox(options, opened, context, port)
            finally:
                pulse.stop()


def _context(options: SandboxOptions, opened: Opened) -> RequestContext:
    at_real_speed = options.speed == 1
    enforced = at_real_speed if options.rate_limits is None else options.rate_limits
    return RequestContext(
        clock=opened.clock,
        engine=opened.engine,
        prints=opened.prints,
        quotes={market: Quotes(market, prints) for market, prints in opened.engine.prints.items()},
        guard=Guard(access_key=opened.access_key, secret_key=opened.secret_key),
        limiter=RequestCounter(monotonic=time.monotonic, is_enforced=enforced),
        stream_idle_s=options.stream_idle_s,
        list_lag=ListLag(opened.clock.now),
    )


def _app(context: RequestContext, feed: Feed) -> web.Application:
    app = web.Application(
        middlewares=[
            middleware.local_only,
            middleware.faulty,
            middleware.upbit_wire,
            gemini.gemini_wire,
        ]
    )
    app[CONTEXT] = context
    app[stream.FEED] = feed
    of_market, of_stream = (market_control, price_control), (stream, stream_control)
    for module in (public, private, gemini, control, *of_market, *of_stream):
        app.add_routes(module.routes)
    app.on_response_prepare.append(middleware.add_remaining)
    app.on_shutdown.append(stream.close_all)
    return app


@asynccontextmanager
async def _served(
    context: RequestContext, feed: Feed, options: SandboxOptions
) -> AsyncIterator[int]:
    runner = web.AppRunner(_app(context, feed), access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, options.host, options.port).start()
        except OSError as exc:
            raise StartError(
                f"the sandbox cannot listen on {options.host}:{options.port}"
                f" ({exc.strerror}); choose another port, or 0 for any free one"
            ) from exc
        yield runner.addresses[0][1]
    finally:
        context.stopping.set()
        await runner.cleanup()


class _Pulse:
    """Matches resting orders between requests. A timer suffices, since matching is synchronous."""

    def __init__(self, context: RequestContext, feed: Feed) -> None:
        self._context = context
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_PULSE_S, self._beat)
        self._ended = {
            market: instant_of(prints.last_step + 1)
            for market, prints in context.engine.prints.items()
            if prints.last_step is not None
        }

    def _beat(self) -> None:
        now = self._context.now()
        self._timer = self._loop.call_later(self._pause(now), self._beat)
        for market in [market for market, end in self._ended.items() if end <= now]:
            ended_at = self._ended.pop(market).isoformat()
            logger.bind(event="app", market=str(market), ended_at=ended_at).info("market ended")

    def _pause(self, now: datetime) -> float:
        """Return the real seconds until the next beat: at the next print, if a stream is read."""
        if not self._feed.is_read:
            return _PULSE_S
        if not self._context.clock.speed:
            return _STREAMED_PULSE_S
        left = (instant_of(step_at(now) + 1) - now).total_seconds()
        due = left / float(self._context.clock.speed)
        return min(_PULSE_S, max(_SHORTEST_PULSE_S, due))

    def stop(self) -> None:
        self._timer.cancel()


def _sandbox(
    options: SandboxOptions, opened: Opened, context: RequestContext, port: int
) -> Sandbox:
    # A server bound to every address is reachable on loopback.
    host = "127.0.0.1" if options.host in ("0.0.0.0", "") else options.host  # noqa: S104  # compared
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Sandbox(
        clock=context.clock,
        upbit_url=f"http://{where}",
        upbit_ws_url=f"ws://{where}/websocket/v1",
        gemini_url=f"http://{where}",
        access_key=opened.access_key,
        secret_key=opened.secret_key,
        gemini_key=_GEMINI_KEY,
        faults=context.faults,
        engine=context.engine,
    )
