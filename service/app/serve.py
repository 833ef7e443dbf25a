"""Start in order, serve until told to stop, stop in the opposite order."""

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any, Final

from aiohttp import web
from loguru import logger

from service.adapters.clock import SystemClock
from service.app import alerting, resources
from service.app.checks.machine import machine
from service.app.drain import drain, install
from service.app.jobs import loops, stop_loops
from service.app.measures import COUNTERS, LINES_DROPPED, measures
from service.app.self_check import tell
from service.app.shutdown_deadline import SHUTDOWN_DEADLINE, ShutdownDeadline
from service.app.story import health, story
from service.config import Config
from service.domain.errors import StartError
from service.ops.logs.setup import Log
from service.ops.metrics.counters import Counters
from service.web.keys import CONFIG, REAL_CLOCK
from service.web.overload.connection_limit import LimitedSite, cut_stalled_readers
from service.web.overload.overflow import OVERFLOW, OverflowState
from service.web.protocol.request_body import MAX_BODY
from service.web.routes import setup

#: aiohttp waits twice: once for handlers to end, once more after cancelling was announced.
DRAIN_S: Final = 2.0
KEEP_ALIVE_S: Final = 75.0
BACKLOG: Final = 128


def build_app(config: Config, log: Log | None = None) -> web.Application:
    app = web.Application(client_max_size=MAX_BODY)
    app[CONFIG] = config
    app[REAL_CLOCK] = clock = SystemClock()
    app[COUNTERS] = meters = Counters(clock)
    app[OVERFLOW] = OverflowState()
    app[SHUTDOWN_DEADLINE] = ShutdownDeadline()
    setup(app, requests=meters.requests, log=log)
    if log is not None:
        app[LINES_DROPPED] = lambda: log.dropped
    # Started top to bottom, stopped bottom to top: loops let go before the pool closes.
    app.cleanup_ctx.extend(
        [
            alerting.targets,
            resources.database,
            resources.market,
            resources.exchange,
            resources.model,
            resources.settings,
            story,
            health,
            measures,
            alerting.alerts,
            loops,
        ]
    )
    app.on_shutdown.append(_stop_loops)
    install(app)
    return app


async def _stop_loops(app: web.Application) -> None:
    stop_loops(app)


async def serve(
    config: Config,
    *,
    ready: Callable[[str], None],
    stop: asyncio.Event | None = None,
    log: Log | None = None,
) -> None:
    """Run the service until SIGTERM or SIGINT; repeats change nothing.

    Args:
        ready: called once with the address, when the port is open.
        stop: for callers that own the process's signals, e.g. tests.
        log: takes a line for each request; its lost lines are in the metrics.

    Raises: StartError, when something it needs cannot be opened; all that was opened is closed.
    """
    stopping = stop or stop_on_signals()
    tell(machine(config))
    with closing(bound(config)) as listener:
        app = build_app(config, log)
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=False,
            keepalive_timeout=KEEP_ALIVE_S,
            shutdown_timeout=DRAIN_S,
        )
        try:
            if await _unless(stopping, runner.setup()):
                site = LimitedSite(runner, listener, backlog=BACKLOG, door=app[OVERFLOW])
                try:
                    await site.start()
                except OSError as exc:
                    raise _not_bound(config, exc) from exc
                ready(_address(listener))
                await stopping.wait()
                logger.bind(event="app").info("stopping")
                stop_loops(runner.app)  # health says so at once, and passes end meanwhile
                await drain(runner, site, listener)
        finally:
            # Also after a failed start: aiohttp closes nothing by itself then.
            await runner.cleanup()
    logger.bind(event="app").info("stopped")


def stop_on_signals() -> asyncio.Event:
    # aiohttp's own handlers would cancel a clean-up half-way on a second SIGTERM.
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def _unless(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do `work` unless told to stop meanwhile; return whether it was done."""
    task = asyncio.ensure_future(work)
    told = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        task.cancel()
        await asyncio.wait({task})
        return False
    finally:
        told.cancel()


def bound(config: Config) -> socket.socket:
    """Return a socket that holds the port but does not listen yet: the port opens last."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        cut_stalled_readers(listener)
    except OSError as exc:
        listener.close()
        raise _not_bound(config, exc) from exc
    return listener


def _not_bound(config: Config, exc: OSError) -> StartError:
    if exc.errno == errno.EADDRINUSE:
        return StartError(
            f"Port {config.port} on {config.host} is taken by another process:"
            " stop that one, or choose another port with TRADER_PORT"
        )
    if exc.errno == errno.EACCES:
        return StartError(f"Port {config.port} may not be opened by this user: use one above 1023")
    return StartError(f"TRADER_HOST={config.host} is no address of this machine ({exc.strerror})")


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
