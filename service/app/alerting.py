"""Alerts bound together: who sees what, where it is written, who gets it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import web
from loguru import logger

from service.adapters.clock import SystemClock
from service.adapters.notify import AppriseTarget, open_targets
from service.app.keys import HEALTH_MONITOR, LEADERSHIP, POOL
from service.app.shutdown_deadline import ALERTS_BY_S, SHUTDOWN_DEADLINE
from service.config import Config
from service.domain.errors import BoundaryError, ConfigError
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.flows.alerts.sender import AlertSender
from service.loops.runner import Pass
from service.ports.alerts import Outgoing
from service.store.tables.alerts import PgAlerts
from service.web.keys import CLOCK, CONFIG, SETTINGS

SENDER: Final = "send_alerts"

ALERTS = web.AppKey("alerts", PgAlerts)
ALERT_SENDER = web.AppKey("alert_sender", AlertSender)
ALERT_MONITOR = web.AppKey("alert_monitor", AlertMonitor)
#: By severity and outcome, since the start.
ALERTS_COUNTED = web.AppKey[Counter[tuple[str, str]]]("alerts_counted")
TARGETS = web.AppKey("targets", Sequence[AppriseTarget])


def targets_of(config: Config) -> Sequence[AppriseTarget]:
    """Raises: ConfigError, for an address that cannot be used."""
    if config.alert_urls is None:
        return ()
    return open_targets(config.alert_urls.get_secret_value(), mode=config.mode.value)


async def targets(app: web.Application) -> AsyncIterator[None]:
    """Look at the addresses; first of all, so that a wrong one is told before anything starts."""
    app[TARGETS] = targets_of(app[CONFIG])
    app[ALERTS_COUNTED] = Counter()
    yield


async def alerts(app: web.Application) -> AsyncIterator[None]:
    alert_buffer, found = AlertBuffer(), app[TARGETS]
    app[ALERTS] = outbox = PgAlerts(app[POOL])
    app[ALERT_MONITOR] = alert_monitor = AlertMonitor(alert_buffer=alert_buffer, clock=app[CLOCK])
    app[ALERT_SENDER] = alert_sender = AlertSender(
        outbox=outbox,
        targets=found,
        alert_buffer=alert_buffer,
        alert_monitor=alert_monitor,
        health=app[HEALTH_MONITOR],
        settings=app[SETTINGS],
        clock=SystemClock(),
        alone=lambda: app[LEADERSHIP].is_leader,
        counted=app[ALERTS_COUNTED],
    )
    yield
    await flush(alert_sender, within_s=app[SHUTDOWN_DEADLINE].left_s(ALERTS_BY_S))


async def tried(config: Config) -> Sequence[tuple[str, str | None]]:
    """Send a test message to every target; return its name and what went wrong.

    Raises: ConfigError, also when there is nobody to send to.
    """
    found = targets_of(config)
    if not found:
        raise ConfigError("TRADER_ALERT_URLS is not set: nobody is told of anything")
    message = Outgoing(
        id=0,
        severity="info",
        title="Test",
        body="This is what an alert looks like. Nothing has happened.",
    )
    errors = await asyncio.gather(*(target.send(message) for target in found))
    return [(target.name, error) for target, error in zip(found, errors, strict=True)]


def job_over(app: web.Application, result: Pass) -> None:
    """Tell of a job that was given up, once until it works again (S4.3)."""
    # On a standby a pass does nothing, and so says nothing of how the job is.
    counts = not result.success or app[LEADERSHIP].is_leader
    if counts and result.job != SENDER:  # which could not tell of itself
        app[ALERT_MONITOR].job_ended(result.job, error=result.error, attempts=result.attempts)


async def flush(alert_sender: AlertSender, *, within_s: float) -> None:
    """Send what is due before everything closes, in bounded time."""
    try:
        async with asyncio.timeout(within_s):
            await alert_sender.flush()
    except (BoundaryError, TimeoutError) as exc:
        logger.bind(event="alert", error=type(exc).__name__).warning(
            "not every alert could be sent before the stop, the next start sends the rest"
        )
