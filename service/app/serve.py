"""Start in order, serve until told to stop, stop in the opposite order."""

import asyncio
import errno
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any, Final

from aiohttp import web
from loguru import logger

from service.adapters.clock import SystemClock
from service.app.alerting import flush, targets_of
from service.app.bootstrap import build
from service.app.checks.access import access
from service.app.checks.finding import CheckLevel
from service.app.checks.machine import machine
from service.app.drain import drain, install
from service.app.handlers import bind
from service.app.jobs import repeating, stop_loops
from service.app.resources import open_ports
from service.app.self_check import tell
from service.app.services import Process, Services
from service.app.shutdown_deadline import ALERTS_BY_S, MEASURES_BY_S
from service.config import Config
from service.crashpoints import RECORD, arm, crashpoint, planned_crash
from service.domain.errors import StartError
from service.ops.logs.setup import Log
from service.ops.metrics.counters import Counters
from service.ops.metrics.machine import MachineReader
from service.web.overload.concurrency_limit import CONCURRENCY_LIMITS, ConcurrencyLimits
from service.web.overload.connection_limit import (
    LimitedSite,
    connection_rules,
    cut_stalled_readers,
)
from service.web.overload.held_connections import HELD_CONNECTIONS
from service.web.overload.overflow import OVERFLOW, OverflowState
from service.web.protocol.auth import LOCKOUT, is_from_admin
from service.web.protocol.request_body import MAX_BODY
from service.web.routes import setup
from service.web.server import ApiRunner

#: aiohttp waits twice: once for handlers to end, once more after cancelling was announced.
DRAIN_S: Final = 2.0
BACKLOG: Final = 128
CANCELS_AT_MOST: Final = 4
CANCEL_AGAIN_S: Final = 0.25


#: Where `serve` and tests find the flows; handlers have keys of their own (web/keys.py).
SERVICES = web.AppKey("services", Services)


def build_app(config: Config, log: Log | None = None) -> web.Application:
    app, real_clock = web.Application(client_max_size=MAX_BODY), SystemClock()
    counters, limits, overflow = Counters(real_clock), ConcurrencyLimits(), OverflowState()
    app[CONCURRENCY_LIMITS], app[OVERFLOW] = limits, overflow
    process = Process(
        config=config,
        real_clock=real_clock,
        counters=counters,
        read_machine=MachineReader(config.data_dir),
        lines_dropped=None if log is None else lambda: log.dropped,
        limits=limits.state,
        turned_away=lambda: overflow.refused,
    )
    setup(app, requests=counters.requests)
    app.cleanup_ctx.append(partial(running, process))
    app.on_shutdown.append(_stop_loops)
    install(app)
    return app


async def running(process: Process, app: web.Application) -> AsyncIterator[None]:
    """Open the ports, bind the flows, repeat the loops; end all that in the opposite order."""
    # First of all, so that a wrong address is told before anything starts.
    targets = targets_of(process.config)
    async with open_ports(process.config, targets=targets) as ports:
        services = build(process, ports)
        async with working(services):
            app[SERVICES] = services
            bind(app, services)
            yield


@asynccontextmanager
async def working(services: Services) -> AsyncIterator[None]:
    """Repeat the loops. After their end the last alerts are sent, the last figures written."""
    deadline = services.process.deadline
    try:
        async with repeating(services):
            yield
    finally:
        crashpoint("shutdown.before_flush")
        await flush(services.alert_sender, within_s=deadline.left_s(ALERTS_BY_S))
        await _write_last(services)


async def _write_last(services: Services) -> None:
    try:
        async with services.process.deadline.by(MEASURES_BY_S):
            await services.recorder.flush()
    except TimeoutError:
        logger.bind(event="app").warning("the last measurements could not be written in time")


async def _stop_loops(app: web.Application) -> None:
    if SERVICES in app:
        stop_loops(app[SERVICES])


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
        log: its lost lines are counted in the metrics.

    Raises: StartError, when something it needs cannot be opened; all that was opened is closed.
    """
    stopping = stop or stop_on_signals()
    _require_access(config)
    _arm(config)
    tell(machine(config))
    with closing(bound(config)) as listener:
        app = build_app(config, log)
        runner = ApiRunner(app, shutdown_timeout=DRAIN_S)
        try:
            if await _unless(stopping, runner.setup()):
                site = _site(runner, listener, config)
                try:
                    await site.start()
                except OSError as exc:
                    raise _not_bound(config, exc) from exc
                ready(_address(listener))
                await stopping.wait()
                logger.bind(event="app").info("stopping")
                # Health says so at once, and passes end meanwhile.
                stop_loops(app[SERVICES])
                await drain(runner, site, listener)
        finally:
            # Also after a failed start: aiohttp closes nothing by itself then.
            await runner.cleanup()
    logger.bind(event="app").info("stopped")


def _site(runner: web.AppRunner, listener: socket.socket, config: Config) -> LimitedSite:
    app = runner.app
    return LimitedSite(
        runner,
        listener,
        backlog=BACKLOG,
        overflow=app[OVERFLOW],
        held=app[HELD_CONNECTIONS],
        rules=connection_rules(partial(is_from_admin, config=config, lockout=app[LOCKOUT])),
    )


def _require_access(config: Config) -> None:
    """Raises: StartError, where no caller could sign in."""
    finding = access(config)
    if finding.level is CheckLevel.FAIL:
        raise StartError(finding.words)


def _arm(config: Config) -> None:
    """Raises: StartError, when the armed point could not be recorded."""
    if config.crashpoint is None:
        return
    try:
        arm(planned_crash(config.crashpoint), record=config.data_dir / RECORD)
    except OSError as exc:
        raise StartError(
            f"TRADER_CRASHPOINT: {config.data_dir / RECORD} cannot be written ({exc.strerror}):"
            " unset the variable, or allow it"
        ) from exc
    logger.bind(event="app", crashpoint=config.crashpoint).warning(
        "this process kills itself at a crash point: TRADER_CRASHPOINT is set"
    )


async def end_tasks(*, again_s: float = CANCEL_AGAIN_S) -> None:
    """Cancel what still runs, again until it ends; the end of the event loop cancels only once.

    Python 3.11's `wait_for`, which aiopg uses, may lose a cancellation. Its task would wait for a
    dead connection, and the process for the task.
    """
    for _ in range(CANCELS_AT_MOST):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=again_s)
    names = ", ".join(sorted(task.get_name() for task in tasks if not task.done()))
    logger.bind(event="app", tasks=names).warning("tasks did not end although they were cancelled")


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
